"""`gristmill measure --consortium DIR`: asked of a consortium that runs already."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.cli import flags, measure
from gristmill.cli.method import METHOD

if TYPE_CHECKING:
    from rich.console import Console

    from gristmill.measure.question import Question
    from gristmill.standing.record import Record

FIXED = (
    *("events", "id_column", "integer_ids", "where", "time_column", "duchies", "keep"),
    *METHOD,
)
"""What a running consortium has decided on already."""
ASKED = (
    *(
        "reach_only",
        "max_frequency",
        "reach_epsilon",
        "reach_delta",
        "frequency_epsilon",
        "frequency_delta",
        "vid_sampling",
    ),
    *("start", "end", "data_provider"),
)
"""What a measurement that was asked before has decided on already."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a running consortium, in place of --events")
    group.add_argument(
        "--consortium",
        type=flags.path,
        metavar="DIR",
        help="measure with the one that `gristmill consortium up DIR` started; it has the events and the protocol",
    )
    group.add_argument(
        "--data-provider", action="append", default=[], metavar="NAME", help="only these of its data providers; repeat"
    )
    group.add_argument(
        "--measurement", metavar="ID", help="wait for one that was asked of it before instead of asking a new one"
    )
    settled = {action.dest: (action.option_strings[0], action.default) for action in parser._actions if action.dest in
             (*FIXED, *ASKED)}  # fmt: skip
    parser.set_defaults(flags=settled)


def run(arguments: argparse.Namespace) -> int:
    """Measure and show the answer as `gristmill measure` does; what is asked stays on record in the directory."""
    from rich.console import Console

    from gristmill.errors import ConfigurationError, GristmillError, MeasurementFailed
    from gristmill.measure.present import show_failure
    from gristmill.measure.run import resume, submit
    from gristmill.standing.record import note, noted
    from gristmill.standing.standing import Standing

    refuse(arguments, FIXED, "is the consortium's to say", "Leave it out: it was settled by gristmill consortium up.")
    directory: Path = arguments.consortium.absolute()
    running = Standing.attach(directory)
    record, progress = running.record, Console(stderr=True)
    name = ""
    if arguments.measurement is None:
        question, chosen = _question(arguments, record), tuple(arguments.data_provider)
    else:
        refuse(
            arguments, ASKED, "was settled when the measurement was asked", "Leave it out, or leave out --measurement."
        )
        name, question, chosen = noted(directory, record, arguments.measurement)
    publishers = record.publishers(question, chosen)
    measure.introduce(question, publishers, progress)

    def created(given: str) -> None:
        nonlocal name
        name = given
        progress.print(f"Measurement {name.rpartition('/')[2]}", markup=False, highlight=False)
        try:
            note(directory, name, question, chosen)
        except ConfigurationError as error:  # it has been asked: its answer is worth more than the record of it
            progress.print(f"It cannot be followed later: {error}", markup=False, highlight=False, soft_wrap=True)

    try:
        if name:
            finished = resume(running, name, progress, timeout=arguments.timeout)
        else:
            parties = [publisher.party for publisher in publishers]
            finished = submit(
                running, question, progress, data_providers=parties, timeout=arguments.timeout, on_created=created
            )
        measure.show_answer(arguments, question, publishers, finished)
    except ConfigurationError:
        raise
    except KeyboardInterrupt:
        _say_how_to_follow(directory, name, progress)
        raise
    except GristmillError as error:
        if isinstance(error, MeasurementFailed):
            error.cure = error.cure or (
                f"gristmill computations events {name.rpartition('/')[2]} --consortium {directory} --duchy NAME tells "
                "how it came to that."
            )
        show_failure(error, directory / "logs", progress)
        _say_how_to_follow(directory, name, progress)
        if arguments.json:
            measure.print_error(error, directory / "logs")
        return 1
    return 0


def _say_how_to_follow(directory: Path, name: str, progress: Console) -> None:
    if name:
        progress.print(
            f"gristmill measure --consortium {directory} --measurement {name.rpartition('/')[2]} waits for it, or "
            "tells its end again.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _question(arguments: argparse.Namespace, record: Record) -> Question:
    from gristmill.consumer.request import Privacy

    return record.question(
        reach=Privacy(arguments.reach_epsilon, arguments.reach_delta),
        frequency=measure.frequency_privacy(arguments),
        maximum_frequency=arguments.max_frequency,
        sampling=arguments.vid_sampling,
        start=arguments.start,
        end=arguments.end,
    )


def refuse(arguments: argparse.Namespace, names: tuple[str, ...], why: str, cure: str) -> None:
    """ConfigurationError if one of these flags was given another value than its default."""
    from gristmill.errors import ConfigurationError

    settled: Mapping[str, tuple[str, Any]] = arguments.flags
    for name in names:
        flag, default = settled[name]
        if getattr(arguments, name) != default:
            raise ConfigurationError(f"{flag} {why}", cure=cure)
