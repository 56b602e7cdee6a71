"""The demo: a measurement of the departures from New York, one file an airport."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.consortium.consortium import Options
from gristmill.demo.flights import AIRPORTS, Departure, airport_csv
from gristmill.measure.method import Shares
from gristmill.measure.question import Question
from gristmill.measure.run import Finished, run

if TYPE_CHECKING:
    from rich.console import Console

QUESTIONS = {"llv2": Question(), "reach-only": Question(frequency=None), "hmss": Question(method=Shares())}
"""By the protocol that carries them out: the kingdom of a consortium prefers the cheaper one for reach alone."""


def measure(
    events: Sequence[Departure],
    directory: Path,
    console: Console,
    *,
    question: Question = QUESTIONS["llv2"],
    options: Options | None = None,
    timeout: timedelta = timedelta(minutes=15),
) -> Finished:
    """Run a consortium in `directory` for one measurement of `events`, with live progress on the console.

    PartyFailed, PermanentFailure or Unavailable say who failed and the cure; the logs are in `directory/logs`.
    """
    airports = {code.lower(): airport_csv(events, code) for code in AIRPORTS}
    return run(airports, question, directory, console, options=options, timeout=timeout)
