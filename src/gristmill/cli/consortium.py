"""`gristmill consortium`: kingdom, duchies and data providers as a local system that outlives the command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.cli import flags
from gristmill.cli.measure import add_columns, add_sketch

if TYPE_CHECKING:
    from gristmill.measure.question import Sketch
    from gristmill.standing.record import Record
    from gristmill.standing.standing import Standing

_EXIT_CODES = "exit codes: 0 done (status: it is up); 1 it failed (status: it is down); 2 wrong usage or bad input."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EXIT_CODES
    commands = parser.add_subparsers(dest="action", required=True, metavar="{up,down,status}")
    up = commands.add_parser(
        "up",
        allow_abbrev=False,
        help="start a consortium in a directory, or go on with the one that is there",
        description=(
            "Start a kingdom, duchies with a mill each and data providers in the background, and return when they "
            "answer. A new directory becomes a new consortium, by default the demo's; one that was taken down goes on "
            "where it was, and takes no flags. `gristmill measure --consortium DIR` measures with it."
        ),
        epilog=_EXIT_CODES,
    )
    up.add_argument("directory", type=Path, metavar="DIR")
    up.add_argument(
        "--data-provider",
        action="append",
        default=[],
        type=flags.key_value,
        metavar="NAME=FILE",
        help="a data provider and its events, CSV (.gz, .xz) or Parquet; two or more (the demo's three airports)",
    )
    add_columns(up.add_argument_group("events"))
    up.add_argument("--duchies", type=flags.integer(), default=3, metavar="N", help="three or more (3)")
    add_sketch(up)
    down = commands.add_parser(
        "down", allow_abbrev=False, help="end it in order; `up` goes on with its measurements", epilog=_EXIT_CODES
    )
    down.add_argument("directory", type=Path, metavar="DIR")
    status = commands.add_parser(
        "status", allow_abbrev=False, help="its processes, ports and measurements", epilog=_EXIT_CODES
    )
    status.add_argument("directory", type=Path, metavar="DIR")
    status.add_argument("--json", action="store_true", help="as JSON")
    up.set_defaults(defaults={action.dest: action.default for action in up._actions})


def run(arguments: argparse.Namespace) -> int:
    return {"up": _up, "down": _down, "status": _status}[arguments.action](arguments)


def _up(arguments: argparse.Namespace) -> int:
    from gristmill.standing.record import RECORD
    from gristmill.standing.standing import bring_up

    directory: Path = arguments.directory.expanduser()
    if (directory / RECORD).exists():
        _require_no_flags(arguments)
        standing = bring_up(directory)
    else:
        standing = bring_up(directory, *_new(arguments, directory.absolute()))
    count = len(standing.state["parties"])
    print(f"{count} processes of {', '.join(standing.record.duchies)} and {', '.join(standing.record.files)} run.")
    print(f"Measure:   gristmill measure --consortium {directory}")
    print(f"Take down: gristmill consortium down {directory}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    from gristmill.standing.standing import take_down

    directory: Path = arguments.directory.expanduser()
    print(f"{directory} was taken down." if take_down(directory) else f"{directory} was down already.")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    import json

    from gristmill.standing.record import Record
    from gristmill.standing.standing import Standing, running

    directory: Path = arguments.directory.expanduser().absolute()
    record = Record.read(directory)
    up = running(directory) is not None
    content: dict[str, Any] = {
        "directory": str(directory),
        "state": "up" if up else "down",
        "data_providers": {name: str(file) for name, file in record.files.items()},
    }
    if up:
        content |= _look(Standing.attach(directory))
    if arguments.json:
        print(json.dumps(content, indent=2))
    else:
        _show(content)
    return 0 if up else 1


def _look(standing: Standing) -> dict[str, Any]:
    """Processes and ports as the supervisor publishes them, and the stage of each open computation at each duchy."""
    from gristmill.errors import GristmillError

    measurements: dict[str, dict[str, str]] = {}
    for duchy in standing.record.duchies:
        try:
            with standing.inspection(duchy) as inspection:
                for each in inspection.computations():
                    if not each.ending_state:
                        measurements.setdefault(each.global_computation_id, {})[duchy] = each.stage
        except GristmillError:
            continue  # it is being started again, which the processes show
    return standing.state | {"measurements": measurements}


def _show(content: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    since = f" since {content['since']}" if "since" in content else ""
    console.print(f"{content['directory']} is {content['state']}{since}", markup=False, highlight=False, soft_wrap=True)
    if content["state"] == "down":
        return
    table = Table("process", "pid", "started again", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for party in content["parties"]:
        restarts = party["restarts"]
        table.add_row(party["name"], str(party["pid"] or "ended"), f"{restarts} times" if restarts else "")
    console.print(table)
    for duchy, ports in content["duchy_ports"].items():
        console.print(f"internal API of {duchy}: 127.0.0.1:{ports['internal_api']}", highlight=False)
    for identifier, stages in content["measurements"].items():
        where = ", ".join(f"{duchy} in {stage}" for duchy, stage in stages.items())
        console.print(f"measurement {identifier}: {where}", markup=False, highlight=False, soft_wrap=True)


def _new(arguments: argparse.Namespace, directory: Path) -> tuple[Record, dict[str, str]]:
    """What the flags describe, read and checked, and the events to write: nothing has been started or written."""
    from gristmill.edp.events import EventFile
    from gristmill.measure import publishers
    from gristmill.measure.question import Question, Sketch, duchies
    from gristmill.standing.record import Record

    sketch = Sketch(arguments.decay_rate, arguments.sketch_size, arguments.sampling_indicator_size)
    parties = duchies(arguments.duchies)
    if not arguments.data_provider:
        return _demo(parties, sketch, directory)
    columns = EventFile(
        Path(),
        arguments.id_column,
        flags.mapping("--where", arguments.where),
        arguments.time_column,
        integer_ids=arguments.integer_ids,
    )
    files = [(name, Path(file).expanduser().absolute()) for name, file in arguments.data_provider]
    read = publishers.read(files, columns, Question(sketch=sketch, duchies=parties))
    return Record(parties, {publisher.party: publisher.file.path for publisher in read}, columns, sketch), {}


def _demo(parties: tuple[str, ...], sketch: Sketch, directory: Path) -> tuple[Record, dict[str, str]]:
    """The demo's airports with the departures of its first week."""
    from gristmill.demo.flights import AIRPORTS, airport_csv, departures
    from gristmill.edp.events import EventFile
    from gristmill.standing.record import Record

    events = departures("week")
    contents = {code.lower(): airport_csv(events, code) for code in AIRPORTS}
    files = {name: directory / name / "events.csv" for name in contents}
    return Record(parties, files, EventFile(Path(), "tailnum", time_column="date"), sketch), contents


def _require_no_flags(arguments: argparse.Namespace) -> None:
    from gristmill.errors import ConfigurationError

    changed = [name for name, default in arguments.defaults.items()
               if name not in ("directory", "help") and getattr(arguments, name) != default]  # fmt: skip
    if changed:
        raise ConfigurationError(
            f"--{changed[0].replace('_', '-')} cannot change the consortium that is in {arguments.directory}",
            cure="Leave it out, or give a new directory.",
        )
