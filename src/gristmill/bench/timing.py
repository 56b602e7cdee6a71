"""Running calls in child processes, one after another, and summing them up by stage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from gristmill.bench import stages
from gristmill.bench.libcrypto import Yardstick
from gristmill.bench.protocols import calls
from gristmill.bench.stages import Call, Size
from gristmill.errors import GristmillError

CIPHERTEXT_SIZE = 66
REGISTER_SIZE = 3 * CIPHERTEXT_SIZE


@dataclass(frozen=True)
class Timing:
    """What one call took: seconds of processor time (of all its threads) and of wall time, bytes of peak memory."""

    cpu: float
    wall: float
    peak: int
    result: Any


@dataclass(frozen=True)
class StageTiming:
    """What all calls of one stage took together; `peak` is that of the largest."""

    stage: str
    calls: int
    item: str
    items: int
    """Summed over the calls."""
    cpu: float
    wall: float
    peak: int
    figures: Any = None
    """What the last call returned."""


def timed(call: Call, folder: Path) -> Timing:
    """Runs a call in a process of its own, whose working directory is `folder`. Raises OSError as the call did."""
    request = json.dumps({"function": call.function, "arguments": call.arguments})
    command = [sys.executable, "-P", "-m", "gristmill.bench.child"]
    ended = subprocess.run(command, input=request, capture_output=True, text=True, check=False, cwd=folder)  # noqa: S603
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise GristmillError(
            f"{call.stage} could not be timed: {said[-1]}",
            cure="If the process was killed, it lacked memory; otherwise this is a defect: report it.",
        )
    answer = json.loads(ended.stdout)
    if "error" in answer:
        number, reason, filename = answer["error"]
        raise OSError(number, reason, str(folder / filename) if filename else None)
    return Timing(**answer)


def measurement(size: Size, folder: Path, yardstick: Yardstick | None = None) -> Iterator[StageTiming]:
    """A whole measurement, stage after stage. Files are made in `folder` and removed as soon as nobody reads them."""
    for stage, group in groupby(calls(size), key=lambda call: call.stage):
        timings, items, item = [], 0, ""
        for call in group:
            if yardstick:
                yardstick.measure()
            given = sum((folder / name).stat().st_size for name in call.inputs)
            timing = timed(call, folder)
            more, item = counted(stage, given, timing.result)
            items += more
            timings.append(timing)
            for name in call.inputs:
                (folder / name).unlink()
        yield summed(stage, item, items, timings)


def counted(stage: str, given: int, result: Any) -> tuple[int, str]:
    """How many items a call worked on, and what they are, from the bytes that it was given and what it returned."""
    match stage:
        case stages.EDP | stages.SETUP | stages.PHASE_ONE_WORKER | stages.EXECUTION_WORKER:
            return result, "register"
        case stages.PHASE_ONE_AGGREGATOR:
            return given // REGISTER_SIZE, "register"
        case stages.EXECUTION_AGGREGATOR:
            return result["registers"], "register"
        case stages.SHUFFLE_WORKER:
            return result, "entry"
        case stages.AGGREGATION:
            return result["entries"], "entry"
        case stages.PHASE_TWO_WORKER:
            return result, "tuple"
        case stages.PHASE_TWO_AGGREGATOR:  # in a reach measurement none is kept: only the flags are tested
            return (result["kept"], "kept tuple") if result["kept"] else (result["tuples"], "tuple")
        case stages.PHASE_THREE_WORKER:
            return result, "ciphertext"
        case _:  # phase three, aggregator, which examines every ciphertext of a row at once
            return given // CIPHERTEXT_SIZE, "ciphertext"


def summed(stage: str, item: str, items: int, timings: Iterable[Timing]) -> StageTiming:
    timings = list(timings)
    return StageTiming(
        stage,
        len(timings),
        item,
        items,
        sum(timing.cpu for timing in timings),
        sum(timing.wall for timing in timings),
        max(timing.peak for timing in timings),
        timings[-1].result,
    )
