"""Replays recorded runs through the native code: `python tests/protocol/replay.py FILE...`

Prints a line `FILE stage role ok`, `FILE stage role FAILED` or `FILE stage role skipped: why` for every stage, for
every data provider's encryption and for the result; reasons of failures go to standard error. Exits with 1 if
something failed or a file could not be read, otherwise with 0.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parent.parent
_PYTHON = _TESTS.parent / ".venv" / "bin" / "python"

if __name__ == "__main__" and importlib.util.find_spec("gristmill") is None:  # another Python than `make dev`'s
    if _PYTHON.exists() and Path(sys.prefix) != _PYTHON.parents[1]:
        os.execv(_PYTHON, [str(_PYTHON), *sys.argv])  # noqa: S606
    sys.exit(f"gristmill is not installed for {sys.executable}: run `make dev`, then {_PYTHON} {sys.argv[0]} FILE...")

sys.path[:0] = [str(_TESTS)]

from gristmill import _native  # noqa: E402
from protocol import by_native, group_order, shares  # noqa: E402
from protocol.calls import Call, call_of, encryption_calls  # noqa: E402
from protocol.recorded import Outcome, SkippedError, UnreadableError, expected, load, parse_stage  # noqa: E402


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one stage. `reason` says why it was skipped or failed."""

    stage: str
    role: str
    verdict: str  # ok, FAILED or skipped
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.stage} {self.role} {self.verdict}" + (f": {self.reason}" if self.verdict == "skipped" else "")


@dataclass(frozen=True, slots=True)
class Task:
    """A call whose outcome is known."""

    stage: str
    role: str
    call: Call
    wanted: Outcome

    def carried_out(self, carry_out: Callable[[Call], Outcome]) -> Line:
        try:
            joins = self.call.function == "join_registers"
            outcome = carry_out(group_order.as_sorted(self.call) if joins else self.call)
            if joins and outcome != self.wanted:
                outcome = carry_out(group_order.in_recorded_order(self.call, self.wanted.output))
        except Exception as error:
            return _not_replayed(self.stage, self.role, error)
        if outcome == self.wanted:
            return Line(self.stage, self.role, "ok", figures=outcome.figures)
        return Line(self.stage, self.role, "FAILED", _difference(outcome, self.wanted), outcome.figures)


def _not_replayed(stage: str, role: str, error: Exception) -> Line:
    """Whatever goes wrong with one stage, the others are still replayed."""
    if isinstance(error, SkippedError):
        return Line(stage, role, "skipped", str(error))
    return Line(stage, role, "FAILED", f"{type(error).__name__}: {error}")


def tasks(run: Mapping[str, Any]) -> Iterator[Task | Line]:
    """The data providers' encryptions and the stages; a line at once for what cannot be carried out."""
    yield from _encryptions(run)
    for entry in run["stages"]:
        stage, role = str(entry.get("stage")), str(entry.get("role"))
        try:
            recorded = parse_stage(entry)
            if recorded.protocol == shares.PROTOCOL:
                call = shares.call_of(recorded, run.get("config", {}))
                yield Task(stage, role, call, shares.expected(recorded))
            else:
                yield Task(stage, role, call_of(recorded), expected(recorded))
        except Exception as error:
            yield _not_replayed(stage, role, error)


def _encryptions(run: Mapping[str, Any]) -> Iterator[Task | Line]:
    try:
        protocol = parse_stage(run["stages"][0]).protocol
        if protocol == shares.PROTOCOL:
            yield from _shares(run)
            return
        calls = encryption_calls(run, protocol)
    except SkippedError:
        return  # another protocol, whose sketches differ too
    except Exception as error:
        yield _not_replayed("edp_encryption", "edp", error)
        return
    for role, call, recorded in calls:
        yield Task("edp_encryption", role, call, Outcome(recorded))


def _shares(run: Mapping[str, Any]) -> Iterator[Task]:
    stages = [parse_stage(entry) for entry in run["stages"] if entry.get("stage") == "shuffle_phase"]
    for role, call, recorded in shares.share_calls(run, [stage.request for stage in stages]):
        yield Task("edp_share", role, call, Outcome(recorded))


def replay(run: Mapping[str, Any], carry_out: Callable[[Call], Outcome] = by_native.run) -> Iterator[Line]:
    """A line for each task of a run file, and one for the result."""
    return replay_tasks(tasks(run), run.get("result"), carry_out)


def replay_tasks(
    given: Iterable[Task | Line], result: Mapping[str, Any] | None, carry_out: Callable[[Call], Outcome]
) -> Iterator[Line]:
    figures: dict[str, Any] = {}
    skipped = False
    for task in given:
        line = task if isinstance(task, Line) else task.carried_out(carry_out)
        figures |= line.figures
        skipped |= line.verdict == "skipped"
        yield line
    if result is not None and skipped:
        yield Line("result", "aggregator", "skipped", "not every stage was replayed")
    elif result is not None:
        yield _result(figures, result)


def _result(figures: Mapping[str, Any], recorded: Mapping[str, Any]) -> Line:
    distribution = {int(k): v for k, v in recorded.get("frequency_distribution", {}).items()}
    wanted = {"reach": recorded.get("reach"), "frequency_distribution": distribution}
    got = {"reach": None, "frequency_distribution": {}, **figures}
    if got == wanted:
        return Line("result", "aggregator", "ok")
    return Line("result", "aggregator", "FAILED", f"the file says {wanted}, the stages gave {got}")


def _difference(outcome: Outcome, wanted: Outcome) -> str:
    if outcome.figures != wanted.figures:
        return f"{dict(outcome.figures)} instead of {dict(wanted.figures)}"
    if len(outcome.output) != len(wanted.output):
        return f"{len(outcome.output)} bytes instead of {len(wanted.output)}"
    pairs = zip(outcome.output, wanted.output, strict=True)
    return f"the outputs differ from byte {next(i for i, (ours, theirs) in enumerate(pairs) if ours != theirs)} on"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Replays recorded runs through the native code.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a run file, .json or .json.xz")
    parser.add_argument("--threads", type=int, default=1, help="threads of a stage (default 1)")
    parser.add_argument("--block", type=int, default=None, help="items of a block (default: the native core's)")
    options = parser.parse_args(arguments)
    if not hasattr(_native.Randomness, "replay"):
        print("gristmill._native was built without the feature `replay`: build it with `make dev`", file=sys.stderr)
        return 1
    failed = False
    for name in options.files:
        try:
            run = load(Path(name))
        except UnreadableError as error:
            print(error, file=sys.stderr)
            failed = True
            continue
        for line in replay(run, partial(by_native.run, threads=options.threads, block=options.block)):
            print(f"{name} {line}", flush=True)
            if line.verdict == "FAILED":
                print(f"{name} {line.stage} {line.role}: {line.reason}", file=sys.stderr)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
