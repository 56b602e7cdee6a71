"""The stages of a share shuffle among two workers and an aggregator, in the order in which they run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gristmill.bench.stages import AGGREGATION, EDP, SHUFFLE_WORKER, Call, Size

MODULUS = 127
"""As in production: an entry takes one byte."""
LARGE_MODULUS = 2**31 - 1
"""Where so many data providers need more."""
WORKERS = 2
ROWS = ("hmss-3", "hmss-10", "hmss-shuffle", "hmss-aggregate", "hmss-parse")


def calls(size: Size) -> Iterator[Call]:
    """All calls of a measurement whose data providers have a population of `registers` people; a tenth was seen."""
    parameters = _parameters(size.providers, size.maximum_frequency)
    if size.noise:
        frequency = None if parameters["reach_only"] else size.noise.frequency
        parameters |= {"mechanism": "DISCRETE_GAUSSIAN", "reach": size.noise.reach, "frequency": frequency}
    seeds = [os.urandom(48).hex() for _ in range(size.providers)]
    for provider, seed in enumerate(seeds):
        named: dict[str, Any] = {"population": size.registers, "seed": seed, "output": f"edp{provider}"}
        named |= {"ring_modulus": parameters["ring_modulus"], "maximum": size.maximum_frequency}
        yield Call(EDP, "share", {**named, "threads": size.threads})
    common = os.urandom(48).hex()
    for worker, order in enumerate(("FIRST", "SECOND")):
        shares = [f"edp{provider}" for provider in range(size.providers) if provider % WORKERS == worker]
        expanded = [seed for provider, seed in enumerate(seeds) if provider % WORKERS != worker]
        named = {"shares": shares, "seeds": expanded, "register_count": size.registers, "common_seed": common}
        named |= {"order": order, "output": f"shuffled{worker}", "threads": size.threads}
        yield Call(SHUFFLE_WORKER, "hmss_shuffle", {"parameters": parameters, **named})
    named = {"inputs": [f"shuffled{worker}" for worker in range(WORKERS)], "maximum_frequency": size.maximum_frequency}
    yield Call(
        AGGREGATION,
        "hmss_aggregate",
        {"parameters": parameters, **named, "sampling_width": 1.0, "threads": size.threads},
    )


def rows(entries: int, folder: Path) -> Iterator[tuple[str, Call]]:
    """Rows of `make bench`, each a call on one thread. The files that they share stay in `folder`."""
    parameters = _parameters(providers=10, maximum_frequency=10)
    table = bytes(value % MODULUS for value in range(256))
    with (folder / "share").open("wb") as file:  # a serialized FrequencyVector
        file.write(b"\x0a" + varint(entries) + os.urandom(entries).translate(table))
    for row, shares, seeds in (("hmss-3", 2, 1), ("hmss-10", 5, 5), ("hmss-shuffle", 0, 1)):
        named: dict[str, Any] = {"shares": ["share"] * shares, "seeds": [os.urandom(48).hex() for _ in range(seeds)]}
        named |= {"register_count": entries, "common_seed": os.urandom(48).hex(), "order": "FIRST", "output": row}
        yield row, Call(SHUFFLE_WORKER, "hmss_shuffle", {"parameters": parameters, **named, "threads": 1})
    parameters = parameters | {"reach_only": True}  # of random shares that is all there is to find
    named = {"inputs": ["hmss-3", "hmss-10"], "maximum_frequency": 10, "sampling_width": 1.0, "threads": 1}
    yield "hmss-aggregate", Call(AGGREGATION, "hmss_aggregate", {"parameters": parameters, **named})
    named = {"share": "share", "register_count": entries, "ring_modulus": MODULUS, "threads": 1}
    yield "hmss-parse", Call("reading a share", "hmss_check_share", named)


def _parameters(providers: int, maximum_frequency: int) -> dict[str, Any]:
    """Arguments of ShareShuffle, without noise."""
    most = maximum_frequency * providers
    modulus = MODULUS if most + 1 < MODULUS else LARGE_MODULUS
    named = {"reach_only": maximum_frequency == 1, "maximum_combined_frequency": most, "ring_modulus": modulus}
    return {**named, "mechanism": "NONE", "reach": None, "frequency": None}


def varint(number: int) -> bytes:
    """A number as protocol buffers write it."""
    head, rest = number & 0x7F, number >> 7
    return bytes([head | 0x80]) + varint(rest) if rest else bytes([head])
