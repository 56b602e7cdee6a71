"""Replays recorded runs through the native code: `python tests/protocol/replay.py FILE...`

Prints a line `FILE stage role ok`, `FILE stage role FAILED` or `FILE stage role skipped: why` for every stage, for
every data provider's encryption and for the result; reasons of failures go to standard error. Exits with 1 if
something failed or a file could not be read, otherwise with 0.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from protocol import by_native, by_reference, group_order  # noqa: E402
from protocol.calls import Call, call_of, encryption_calls  # noqa: E402
from protocol.recorded import Outcome, SkippedError, UnreadableError, expected, load, parse_stage  # noqa: E402

JOIN = "join_registers"


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


def replay(
    run: Mapping[str, Any], *, threads: int = 1, block: int | None = None, reference: bool = False
) -> Iterator[Line]:
    """Replays what a run file holds, through the native code or through the reference."""
    carry_out = by_reference.run if reference else partial(by_native.run, threads=threads, block=block)

    def attempt(stage: str, role: str, work: Any) -> Line:
        try:
            call, wanted = work()
            outcome = carry_out(call)
            if call.function == JOIN and outcome != wanted:
                outcome = carry_out(group_order.in_recorded_order(call, wanted.output))
        except SkippedError as error:
            return Line(stage, role, "skipped", str(error))
        except Exception as error:  # whatever goes wrong with one stage, the others are still replayed
            return Line(stage, role, "FAILED", f"{type(error).__name__}: {error}")
        if outcome == wanted:
            return Line(stage, role, "ok", figures=outcome.figures)
        return Line(stage, role, "FAILED", _difference(outcome, wanted), outcome.figures)

    yield from _encryptions(run, attempt)
    figures: dict[str, Any] = {}
    skipped = False
    for entry in run["stages"]:
        line = attempt(str(entry.get("stage")), str(entry.get("role")), partial(_recorded_stage, entry))
        figures |= line.figures
        skipped |= line.verdict == "skipped"
        yield line
    if "result" in run:
        if skipped:
            yield Line("result", "aggregator", "skipped", "not every stage was replayed")
        else:
            yield _result(figures, run["result"])


def _recorded_stage(entry: Mapping[str, Any]) -> tuple[Call, Outcome]:
    stage = parse_stage(entry)
    return call_of(stage), expected(stage)


def _encryptions(run: Mapping[str, Any], attempt: Any) -> Iterator[Line]:
    try:
        parse_stage(run["stages"][0])
        calls = encryption_calls(run)
    except SkippedError:
        return  # another protocol, whose sketches differ too
    except Exception as error:
        yield Line("edp_encryption", "edp", "FAILED", f"{type(error).__name__}: {error}")
        return
    for role, call, recorded in calls:
        yield attempt("edp_encryption", role, lambda call=call, recorded=recorded: (call, Outcome(recorded)))


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
    failed = False
    for name in options.files:
        try:
            run = load(Path(name))
        except UnreadableError as error:
            print(error, file=sys.stderr)
            failed = True
            continue
        for line in replay(run, threads=options.threads, block=options.block):
            print(f"{name} {line}", flush=True)
            if line.verdict == "FAILED":
                print(f"{name} {line.stage} {line.role}: {line.reason}", file=sys.stderr)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
