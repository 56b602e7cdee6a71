"""`gristmill demo`: measure who left New York in 2013 among three duchies on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from gristmill.demo.flights import Departure
    from gristmill.demo.run import Finished

_PERIODS = ("week", "month", "year")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Start a kingdom, three duchies and three data providers on this machine, and measure how many aircraft left "
        "New York, and how often, without any duchy seeing one. An aircraft stands for a person, an airport for a "
        "publisher, a departure for an impression."
    )
    parser.add_argument(
        "--period", choices=_PERIODS, default="week", help="first week (default) or month of January 2013, or the year"
    )
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="new or empty directory for keys, state and logs; it is kept"
    )
    parser.add_argument("--keep", action="store_true", help="keep the directory also when all went well")


def run(arguments: argparse.Namespace) -> int:
    import shutil
    import signal
    import sys
    import tempfile

    from rich.console import Console

    from gristmill.errors import GristmillError

    console = Console()
    directory: Path = arguments.directory or Path(tempfile.mkdtemp(prefix="gristmill-demo-"))
    keep = arguments.keep or arguments.directory is not None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are stopped
    try:
        _demo(arguments.period, directory, console)
    except GristmillError as error:
        console.print()
        for heading, text in (("Failed:", error.message), ("Cure:", error.cure), ("Logs:", f"{directory / 'logs'}")):
            if text:
                console.print(heading, style="bold", end=" ")
                console.print(text, markup=False, highlight=False, soft_wrap=True)
        return 1
    if keep:
        console.print(f"\nKeys, state and logs: {directory}", soft_wrap=True)
    else:
        shutil.rmtree(directory)
    return 0


def _demo(period: str, directory: Path, console: Console) -> None:
    from gristmill.demo.flights import PERIODS, departures
    from gristmill.demo.run import MAXIMUM_FREQUENCY, PRIVACY, measure

    events = departures(period)
    first, last = PERIODS[period]
    aircraft = len({event.tail_number for event in events})
    console.print(
        f"[bold]{len(events):,} departures[/] of {aircraft:,} aircraft from New York's three airports, {first} to "
        f"{last}. Each airport knows only its own; three duchies measure all, and none sees an aircraft.",
        highlight=False,
    )
    console.print(
        f"Privacy: reach epsilon {PRIVACY.epsilon:g}, delta {PRIVACY.delta:g}; frequency epsilon {PRIVACY.epsilon:g}, "
        f"delta {PRIVACY.delta:g}. Frequencies saturate at {MAXIMUM_FREQUENCY}: the last row is “or more”.",
        highlight=False,
    )
    finished = measure(events, directory, console)
    _show(finished, events, console)


def _show(finished: Finished, events: list[Departure], console: Console) -> None:
    from gristmill.demo import report
    from gristmill.demo.flights import truth
    from gristmill.demo.run import MAXIMUM_FREQUENCY

    answer, exact = report.answer_of(finished.result), truth(events, MAXIMUM_FREQUENCY)
    unicode = "utf" in console.encoding.lower()
    console.print()
    console.print(report.results(answer, exact, unicode=unicode))
    console.print(report.legend(unicode=unicode), style="dim")
    for text in (
        report.verdict(answer, exact),
        report.INTERVALS,
        report.what_left(finished.traffic),
    ):
        console.print()
        console.print(text, highlight=False)
    console.print()
    console.print(report.stage_times(finished.stages))
    console.print(f"\nMeasured in {finished.duration.total_seconds():.1f} s, start and stop of all processes included.")
