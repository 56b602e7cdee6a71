"""`gristmill measure`: reach and frequency of one's own events, by a consortium on this machine."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.cli import flags
from gristmill.cli.method import add_method, method

if TYPE_CHECKING:
    from rich.console import Console

    from gristmill.consumer.request import Privacy
    from gristmill.errors import GristmillError
    from gristmill.measure.publishers import Publisher
    from gristmill.measure.question import Question
    from gristmill.measure.run import Finished

_EXIT_CODES = (
    "exit codes: 0 measured; 1 the measurement failed, and the logs are kept; 2 wrong usage or bad input, and nothing "
    "was started; 130 and 143 interrupted."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Measure how many people these events reached, and how often: a kingdom, duchies and a data provider for each "
        "file run on this machine while it lasts. IDs that are integers from 0 to 2^63 - 1 are VIDs; text becomes one "
        "by a hash (the first 8 bytes of its SHA-256 without the top bit), the same for every file."
    )
    parser.epilog = _EXIT_CODES
    _add_events(parser)
    _add_question(parser)
    add_method(parser)
    group = parser.add_argument_group("output")
    group.add_argument("--truth", action="store_true", help="show the exact answer beside the measured one")
    group.add_argument("--json", action="store_true", help="the answer as JSON on standard output, and nothing else")
    group.add_argument(
        "--keep",
        type=flags.path,
        metavar="DIR",
        help="new or empty directory for keys, state and logs, which stay there",
    )
    group.add_argument(
        "--timeout",
        type=flags.positive_duration,
        default=timedelta(hours=24),
        metavar="DURATION",
        help="give up when it takes longer (24h)",
    )
    from gristmill.cli import measure_there

    measure_there.add_arguments(parser)


def _add_events(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("events")
    group.add_argument(
        "--events",
        action="append",
        type=flags.named_path,
        metavar="NAME=FILE",
        help="a publisher and its events, CSV with a header line (.gz, .xz) or Parquet; two or more",
    )
    add_columns(group)
    group.add_argument("--from", dest="start", type=_time, metavar="TIME", help="only events from this time on")
    group.add_argument("--to", dest="end", type=_time, metavar="TIME", help="only events before this time")


def add_columns(group: argparse._ArgumentGroup) -> None:
    """What the columns of every file of events are called, and which rows count."""
    group.add_argument("--id-column", default="id", metavar="COLUMN", help="whose event it is (id)")
    flags.add_boolean(group, "--integer-ids", default=False, help="refuse text IDs instead of hashing them (false)")
    flags.add_map(group, "--where", metavar="COLUMN=VALUE", help="only rows with this value; repeat for more columns")
    group.add_argument("--time-column", metavar="COLUMN", help="when it was, ISO 8601; without a zone: UTC")


def _add_question(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("measurement")
    group.add_argument("--reach-only", action="store_true", help="measure reach alone, with a third of the data")
    group.add_argument(
        "--max-frequency", type=flags.integer(), default=10, metavar="N", help="highest frequency, with all above (10)"
    )
    for what in ("reach", "frequency"):
        group.add_argument(f"--{what}-epsilon", type=float, default=1.0, metavar="X", help=f"privacy of the {what} (1)")
        group.add_argument(f"--{what}-delta", type=float, default=1e-5, metavar="X", help="(1e-5)")
    group.add_argument(
        "--vid-sampling",
        type=_sampling,
        default=(0.0, 1.0),
        metavar="[START:]WIDTH",
        help="count only this share of the people, from START on (0:1)",
    )
    group.add_argument("--duchies", type=flags.integer(), default=3, metavar="N", help="three or more (3)")


def run(arguments: argparse.Namespace) -> int:
    import sys

    from gristmill.errors import ConfigurationError

    try:
        if arguments.consortium is not None:
            from gristmill.cli import measure_there

            return measure_there.run(arguments)
        if arguments.measurement or arguments.data_provider:
            raise ConfigurationError(
                "--measurement and --data-provider need --consortium",
                cure="Give the directory of a running consortium.",
            )
        question, publishers = _prepare(arguments)
        return _measure(arguments, question, publishers)
    except ConfigurationError as error:
        if arguments.json:
            print_error(error)
        print(f"gristmill: {error}", file=sys.stderr)
        return 2


def _prepare(arguments: argparse.Namespace) -> tuple[Question, list[Publisher]]:
    """Everything that can be wrong with the input; nothing has been started or written."""
    from gristmill.consumer.request import Privacy
    from gristmill.edp.events import EventFile
    from gristmill.errors import ConfigurationError
    from gristmill.measure import publishers
    from gristmill.measure.question import Question, duchies

    if not arguments.events:
        raise ConfigurationError(
            "no events are given",
            cure="Give --events=NAME=FILE for each publisher, two or more; or --consortium=DIR for one that runs.",
        )
    question = Question(
        reach=Privacy(arguments.reach_epsilon, arguments.reach_delta),
        frequency=frequency_privacy(arguments),
        maximum_frequency=arguments.max_frequency,
        sampling=arguments.vid_sampling,
        start=arguments.start,
        end=arguments.end,
        method=method(arguments),
        duchies=duchies(arguments.duchies),
    )
    keep: Path | None = arguments.keep
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise ConfigurationError(f"{keep} of --keep exists and is not empty", cure="Give a new directory.")
    columns = EventFile(
        Path(),
        arguments.id_column,
        flags.mapping("--where", arguments.where),
        arguments.time_column,
        integer_ids=arguments.integer_ids,
    )
    return question, publishers.read(arguments.events or [], columns, question)


def frequency_privacy(arguments: argparse.Namespace) -> Privacy | None:
    """None with --reach-only; ConfigurationError when frequencies are asked for all the same."""
    from gristmill.cli.measure_there import refuse
    from gristmill.consumer.request import Privacy

    if not arguments.reach_only:
        return Privacy(arguments.frequency_epsilon, arguments.frequency_delta)
    refuse(
        arguments,
        ("max_frequency", "frequency_epsilon", "frequency_delta"),
        "is of no use with --reach-only",
        "Leave it out, or leave out --reach-only.",
    )
    return None


def _measure(arguments: argparse.Namespace, question: Question, publishers: list[Publisher]) -> int:
    import shutil
    import signal
    import sys
    import tempfile

    from rich.console import Console

    from gristmill.errors import ConfigurationError, GristmillError
    from gristmill.measure.present import show_failure
    from gristmill.measure.publishers import files
    from gristmill.measure.run import run as measure
    from gristmill.system_errors import of_system

    progress = Console(stderr=True)
    introduce(question, publishers, progress)
    keep = arguments.keep is not None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are stopped
    directory: Path = arguments.keep if keep else Path(tempfile.mkdtemp(prefix="gristmill-measure-"))
    try:
        finished = measure(files(publishers), question, directory, progress, timeout=arguments.timeout)
        show_answer(arguments, question, publishers, finished)
    except ConfigurationError:
        raise
    except (GristmillError, OSError) as cause:
        error = cause if isinstance(cause, GristmillError) else of_system(cause)
        logs = directory / "logs"
        show_failure(error, logs, progress)
        keep = keep or logs.is_dir()  # else it failed before anything was started
        if arguments.json:
            print_error(error, logs if logs.is_dir() else None)
        return 1
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
    if keep:
        progress.print(f"\nKeys, state and logs: {directory}", soft_wrap=True)
    return 0


def introduce(question: Question, publishers: list[Publisher], progress: Console) -> None:
    from gristmill.measure.present import privacy

    for publisher in publishers:
        progress.print(
            f"{publisher.name}: {len(publisher.vids):,} events in {publisher.file.path}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    progress.print(privacy(question), highlight=False, soft_wrap=not progress.is_terminal)


def show_answer(
    arguments: argparse.Namespace, question: Question, publishers: list[Publisher], finished: Finished
) -> None:
    import json

    from rich.console import Console

    from gristmill.measure.capacity import too_small
    from gristmill.measure.document import document
    from gristmill.measure.present import show
    from gristmill.measure.publishers import exact

    truth = exact(publishers, question) if arguments.truth else None
    cure = too_small(finished.result.reach, question)
    warnings = [f"The sketch is nearly full, and the answer unreliable. {cure}"] if cure else []
    if arguments.json:
        counts = {publisher.name: len(publisher.vids) for publisher in publishers}
        print(json.dumps(document(finished, question, counts, truth, warnings), indent=2))
        return
    console = Console()
    show(finished, truth, console, started=arguments.consortium is None)
    for warning in warnings:
        console.print(f"\n{warning}", style="bold")


def print_error(error: GristmillError, logs: Path | None = None) -> None:
    import json

    from gristmill.measure.document import error_document

    print(json.dumps(error_document(error, str(logs) if logs else None), indent=2))


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time such as 2024-01-31") from None


def _sampling(text: str) -> tuple[float, float]:
    start, colon, width = text.rpartition(":")
    try:
        return (float(start) if colon else 0.0), float(width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form WIDTH or START:WIDTH, as in 0.1") from None
