"""Microseconds per register of every Liquid Legions stage, beside libcrypto's EC_POINT_mul in the same run.

    python benchmarks/quick.py [--registers 2000] [--providers 3] [--repetitions 1] [--json]

Three duchies, no noise, one thread. A stage computes on a thread of its own, so its time is the processor time of the
whole process, in which nothing else runs meanwhile. The last column is a row's time divided by libcrypto's.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gristmill import _native as native

CURVE = 415  # P-256 in OpenSSL's numbering
MAXIMUM_FREQUENCY = 10
SKETCH = {"decay_rate": 12.0, "sketch_size": 100_000, "sampling_width": 1.0}

Row = tuple[str, str, int, float]  # stage, what is counted, how many, microseconds each


def libcrypto_multiplication(multiplications: int = 300, repetitions: int = 5) -> float:
    """Microseconds of one EC_POINT_mul of a random point by a random scalar: the fastest of some repetitions."""
    name = ctypes.util.find_library("crypto")
    if name is None:
        raise SystemExit("libcrypto was not found: install OpenSSL's shared library")
    crypto = ctypes.CDLL(name)
    for function in ("EC_GROUP_new_by_curve_name", "EC_POINT_new", "EC_GROUP_get0_order", "BN_new"):
        getattr(crypto, function).restype = ctypes.c_void_p
    group = ctypes.c_void_p(crypto.EC_GROUP_new_by_curve_name(CURVE))
    order = ctypes.c_void_p(crypto.EC_GROUP_get0_order(group))
    scalar = ctypes.c_void_p(crypto.BN_new())
    point, product = (ctypes.c_void_p(crypto.EC_POINT_new(group)) for _ in range(2))
    crypto.BN_rand_range(scalar, order)
    crypto.EC_POINT_mul(group, point, scalar, None, None, None)
    times = []
    for _ in range(repetitions):
        start = time.thread_time()
        for _ in range(multiplications):
            crypto.EC_POINT_mul(group, product, None, point, scalar, None)
        times.append(time.thread_time() - start)
    return min(times) / multiplications * 1e6


def sketch(registers: int, provider: int) -> list[tuple[int, int, int]]:
    """Registers of which about half share their index with another provider's, some with another key."""
    source = random.Random(provider)  # noqa: S311 - test data
    indexes = source.sample(range(2 * registers), registers)
    return [(index, source.randint(1, 3), source.randint(1, MAXIMUM_FREQUENCY)) for index in indexes]


def stages(folder: Path, providers: int, registers: int) -> Iterator[Row]:
    """Runs a whole measurement; a row for each stage."""
    pairs = [native.generate_key_pair() for _ in range(3)]
    secrets, elements = [secret for secret, _ in pairs], [element for _, element in pairs]
    composite = native.combine_public_keys(elements)
    partial = [native.combine_public_keys(elements[1:]), elements[2], composite]
    randomness = native.Randomness.operating_system()
    keys = {"public_key": composite, "randomness": randomness}
    frequency: dict[str, Any] = {"maximum_frequency": MAXIMUM_FREQUENCY}

    def run(function: Any, *arguments: Any, **named: Any) -> tuple[Any, float]:
        start = time.process_time()
        result = function(*arguments, **named, threads=1, progress=native.Progress())
        return result, (time.process_time() - start) * 1e6

    named: dict[str, Any]
    path = [str(folder / f"edp{provider}") for provider in range(providers)]
    spent = 0.0
    for provider, output in enumerate(path):
        plain = sketch(registers, provider)
        _, microseconds = run(native.encrypt_sketch, plain, output=output, **keys, **frequency)
        spent += microseconds
    yield "EDP encryption", "register", providers * registers, spent / (providers * registers)

    vector = str(folder / "setup")
    count, microseconds = run(native.llv2_setup, own=path, received=[], output=vector, noise=None, **keys, **frequency)
    yield "setup, no noise", "register", count, microseconds / count

    for worker in range(2):
        output = str(folder / f"one{worker}")
        named = {"inputs": [vector], "output": output, "secret_key": secrets[worker]}
        count, microseconds = run(native.llv2_blind_registers, **named, **keys)
        vector = output
    yield "phase one, worker", "register", count, microseconds / count

    tuples = str(folder / "tuples")
    named = {"inputs": [vector], "output": tuples, "secret_key": secrets[2], "sketches": providers, "noise": None}
    _, microseconds = run(native.llv2_join_registers, **named, **keys)
    yield "phase one, aggregator", "register", count, microseconds / count

    for worker in range(2):
        output = str(folder / f"two{worker}")
        named = {"inputs": [tuples], "output": output, "secret_key": secrets[worker], "noise": None}
        count, microseconds = run(native.llv2_decrypt_flags, **named, partial_public_key=partial[worker], **keys)
        tuples = output
    yield "phase two, worker", "tuple", count, microseconds / count

    matrix = str(folder / "matrix")
    named = {"inputs": [tuples], "output": matrix, "secret_key": secrets[2], "reach_baseline": None, "noise": None}
    figures, microseconds = run(native.llv2_estimate_reach, **named, **SKETCH, **keys, **frequency)
    yield f"phase two, aggregator ({figures.kept} rows)", "tuple", count, microseconds / count

    for worker in range(2):
        output = str(folder / f"three{worker}")
        named = {"inputs": [matrix], "output": output, "secret_key": secrets[worker]}
        count, microseconds = run(native.llv2_decrypt_counts, **named)
        matrix = output
    yield "phase three, worker", "ciphertext", count, microseconds / count

    named = {"inputs": [matrix], "secret_key": secrets[2], "baseline": None}
    _, microseconds = run(native.llv2_estimate_frequency, **named, **frequency)
    yield "phase three, aggregator", "row", figures.kept, microseconds / figures.kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--registers", type=int, default=2000, help="registers of a provider")
    parser.add_argument("--providers", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=1, help="the fastest of so many runs counts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    multiplication = libcrypto_multiplication()
    runs = []
    for _ in range(arguments.repetitions):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(list(stages(Path(folder), arguments.providers, arguments.registers)))
    fastest = [min(rows, key=lambda row: row[3]) for rows in zip(*runs, strict=True)]
    if arguments.json:
        columns = ("stage", "item", "items", "microseconds_each")
        table = [dict(zip(columns, row, strict=True)) for row in fastest]
        print(json.dumps({"libcrypto_multiplication_microseconds": multiplication, "stages": table}, indent=2))
        return
    print(f"libcrypto EC_POINT_mul, variable base: {multiplication:.1f} us")
    print(f"{'stage':<36} {'item':<11} {'items':>7} {'us each':>9} {'multiplications':>16}")
    for stage, item, items, microseconds in fastest:
        print(f"{stage:<36} {item:<11} {items:>7} {microseconds:>9.1f} {microseconds / multiplication:>16.2f}")


if __name__ == "__main__":
    main()
