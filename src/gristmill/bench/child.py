"""`python -m gristmill.bench.child`: one call of a native function in a process of its own, timed, from JSON to JSON.

A process of its own, because the largest size that a process ever had never falls again, and because nothing else
then uses processor time meanwhile.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gristmill import _native as native
from gristmill.bench.sketches import sketch

_BYTES = ("secret_key", "public_key", "partial_public_key", "seed", "common_seed")
_WITHOUT_RANDOMNESS = (
    "llv2_decrypt_counts",
    "llv2_estimate_frequency",
    "reach_only_estimate_reach",
    "hash_to_curve",
    "hmss_aggregate",
    "hmss_check_share",
)
_WITH_REGISTER_NOISE = ("llv2_setup", "reach_only_setup", "reach_only_estimate_reach")
_HASHED_AT_ONCE = 1024


def main() -> int:
    request = json.load(sys.stdin)
    try:
        call = prepared(request["function"], request["arguments"])
        _forget_the_peak()
        cpu, wall = time.process_time(), time.perf_counter()
        result = call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    except OSError as error:
        answer: dict[str, Any] = {"error": [error.errno, error.strerror, error.filename]}
    else:
        answer = {"cpu": cpu, "wall": wall, "peak": peak(), "result": _plain(result)}
    json.dump(answer, sys.stdout)
    return 0


def prepared(name: str, arguments: dict[str, Any]) -> Callable[[], Any]:
    """The call, its arguments made of JSON: keys of hexadecimal, noise of budgets, sketches of their sizes."""
    if name == "hash_to_curve":
        texts = [b"%d" % number for number in range(arguments["texts"])]
        return lambda: _hash(texts)
    made: dict[str, Any] = {key: bytes.fromhex(value) if key in _BYTES else value for key, value in arguments.items()}
    if name == "share":
        vector = _frequency_vector(made.pop("population"))
        return lambda: vector.share(**made, progress=native.Progress())
    if "seeds" in made:
        made["seeds"] = [bytes.fromhex(seed) for seed in made["seeds"]]
    if "parameters" in made:
        made["parameters"] = native.ShareShuffle(**{key: _pair(value) for key, value in made["parameters"].items()})
    if "sketch" in made:
        registers = sketch(**made.pop("sketch"))
        if name == "encrypt_reach_only_sketch":
            made["indexes"] = [index for index, _, _ in registers]
        else:
            made["registers"] = registers
    noise = native.RegisterNoise if name in _WITH_REGISTER_NOISE else native.TupleNoise
    for parameter, kind in (("noise", noise), ("baseline", native.Baseline), ("reach_baseline", native.Baseline)):
        if made.get(parameter) is not None:
            made[parameter] = kind(**{key: _pair(value) for key, value in made[parameter].items()})
    if name not in _WITHOUT_RANDOMNESS:
        made["randomness"] = native.Randomness.operating_system()
    function = getattr(native, name)
    if "parameters" in made:
        parameters = made.pop("parameters")
        return lambda: function(parameters, **made, progress=native.Progress())
    if "share" in made:
        share = made.pop("share")
        return lambda: function(share, **made, progress=native.Progress())
    return lambda: function(**made, progress=native.Progress())


def peak() -> int:
    """The largest resident size, in bytes, that this process had since it started or forgot."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # Elsewhere. (On Linux this one is inherited from the process that started us, and cannot be forgotten.)
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def _forget_the_peak() -> None:
    """What it took to make the arguments is no part of the call."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _hash(texts: list[bytes]) -> int:
    for first in range(0, len(texts), _HASHED_AT_ONCE):
        native.hash_all_to_curve(texts[first : first + _HASHED_AT_ONCE])
    return len(texts)


def _frequency_vector(population: int) -> native.FrequencyVector:
    """Every tenth person was seen once."""
    progress = native.Progress()
    index = native.VidIndex([(1, population)], threads=1, progress=progress)
    seen = range(1, population + 1, 10)
    return native.FrequencyVector(index, seen, sampling_start=0.0, sampling_width=1.0, maximum=1, progress=progress)


def _pair(value: Any) -> Any:
    """JSON knows no tuples, and a privacy budget is one."""
    return tuple(value) if isinstance(value, list) else value


def _plain(result: Any) -> Any:
    """For JSON: figures as an object."""
    if isinstance(result, native.ReachFigures):
        return {"tuples": result.tuples, "kept": result.kept, "active": result.active}
    if isinstance(result, native.ReachOnlyFigures):
        return {"registers": result.registers, "distinct": result.distinct, "active": result.active}
    if isinstance(result, native.ShareFigures):
        return {"entries": result.entries, "register_count": result.register_count}
    return result


if __name__ == "__main__":
    sys.exit(main())
