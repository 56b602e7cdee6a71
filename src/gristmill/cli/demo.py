"""`gristmill demo`: measure who left New York in 2013 among three duchies on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.cli import flags

if TYPE_CHECKING:
    from rich.console import Console

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
        "--protocol",
        choices=("llv2", "reach-only", "hmss"),
        default="llv2",
        help="reach and frequency by Liquid Legions V2 (default), reach alone by its cheaper variant, or reach and "
        "frequency by Honest Majority Share Shuffle",
    )
    parser.add_argument(
        "--directory",
        type=flags.path,
        metavar="DIR",
        help="new or empty directory for keys, state and logs; it is kept",
    )
    parser.add_argument("--keep", action="store_true", help="keep the directory also when all went well")


def run(arguments: argparse.Namespace) -> int:
    import shutil
    import signal
    import sys
    import tempfile

    from rich.console import Console

    from gristmill.errors import GristmillError
    from gristmill.measure.present import show_failure

    console = Console()
    directory: Path = arguments.directory or Path(tempfile.mkdtemp(prefix="gristmill-demo-"))
    keep = arguments.keep or arguments.directory is not None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are stopped
    try:
        _demo(arguments.period, arguments.protocol, directory, console)
    except GristmillError as error:
        show_failure(error, directory / "logs", console)
        return 1
    except (KeyboardInterrupt, SystemExit):
        if not keep:
            shutil.rmtree(directory)
        raise
    if keep:
        console.print(f"\nKeys, state and logs: {directory}", soft_wrap=True)
    else:
        shutil.rmtree(directory)
    return 0


def _demo(period: str, protocol: str, directory: Path, console: Console) -> None:
    from gristmill.demo.flights import PERIODS, departures
    from gristmill.demo.run import QUESTIONS, measure
    from gristmill.measure.present import privacy, show
    from gristmill.measure.truth import truth

    events = departures(period)
    first, last = PERIODS[period]
    question = QUESTIONS[protocol]
    exact = truth((event.tail_number for event in events), question.frequencies)
    console.print(
        f"[bold]{len(events):,} departures[/] of {exact.reach:,} aircraft from New York's three airports, {first} to "
        f"{last}. Each airport knows only its own; three duchies measure all, and none sees an aircraft.",
        highlight=False,
    )
    console.print(privacy(question), highlight=False)
    finished = measure(events, directory, console, question=question)
    show(finished, exact, console, events="departures", publishers="the airports", identifier="tail number")
