"""What a measurement says to people at its end, well or badly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.consumer.result import VectorSize
from gristmill.measure import report
from gristmill.measure.truth import Truth

if TYPE_CHECKING:
    from rich.console import Console

    from gristmill.errors import GristmillError
    from gristmill.measure.question import Question
    from gristmill.measure.run import Finished


def show(
    finished: Finished,
    exact: Truth | None,
    console: Console,
    *,
    events: str = "times seen",
    publishers: str = "the publishers",
    identifier: str = "ID",
    started: bool = True,
) -> None:
    """The answer as a table and a chart, how to read it, what left each party, and how long the stages took.

    `started`: all processes were started and stopped for this measurement, and their time is part of its duration.
    """
    answer = report.answer_of(finished.result)
    unicode = "utf" in console.encoding.lower()
    console.print()
    console.print(report.results(answer, exact, unicode=unicode, events=events))
    console.print(report.legend(exact=exact is not None, unicode=unicode), style="dim")
    for text in (
        *([report.verdict(answer, exact)] if exact else []),
        report.method(finished.result),
        report.what_left(
            finished.traffic,
            by_shares=isinstance(finished.result.counted_by, VectorSize),
            publishers=publishers,
            identifier=identifier,
        ),
    ):
        console.print()
        console.print(text, highlight=False)
    console.print()
    console.print(report.stage_times(finished.stages))
    included = ", start and stop of all processes included" if started else ""
    console.print(f"\nMeasured in {finished.duration.total_seconds():.1f} s{included}.")


def privacy(question: Question) -> str:
    """One line: how much privacy the answer keeps."""
    reach, frequency = question.reach, question.frequency
    line = f"Privacy: reach epsilon {reach.epsilon:g}, delta {reach.delta:g}"
    if frequency is None:
        return f"{line}. Only reach is measured."
    return (
        f"{line}; frequency epsilon {frequency.epsilon:g}, delta {frequency.delta:g}. Frequencies saturate at "
        f"{question.maximum_frequency}: the last row is “or more”."
    )


def show_failure(error: GristmillError, logs: Path, console: Console) -> None:
    """What failed, the cure, and where the logs are if there are any."""
    console.print()
    place = str(logs) if logs.is_dir() else ""
    for heading, text in (("Failed:", error.message), ("Cure:", error.cure), ("Logs:", place)):
        if text:
            console.print(heading, style="bold", end=" ")
            console.print(text, markup=False, highlight=False, soft_wrap=True)
