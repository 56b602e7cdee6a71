"""`gristmill consortium`: kingdom, duchies and data providers as a local system that outlives the command."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.cli import flags
from gristmill.cli.measure import add_columns
from gristmill.cli.method import add_method, method

if TYPE_CHECKING:
    from gristmill.measure.method import Method
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
    _add(up)
    up.add_argument(
        "--data-provider",
        action="append",
        default=[],
        type=flags.named_path,
        metavar="NAME=FILE",
        help="a data provider and its events, CSV (.gz, .xz) or Parquet; two or more (the demo's three airports)",
    )
    add_columns(up.add_argument_group("events"))
    up.add_argument("--duchies", type=flags.integer(), default=3, metavar="N", help="three or more (3)")
    add_method(up)
    down = commands.add_parser(
        "down", allow_abbrev=False, help="end it in order; `up` goes on with its measurements", epilog=_EXIT_CODES
    )
    _add(down)
    status = commands.add_parser(
        "status", allow_abbrev=False, help="its processes, ports and measurements", epilog=_EXIT_CODES
    )
    _add(status)
    up.set_defaults(defaults={action.dest: action.default for action in up._actions})


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=flags.path, metavar="DIR")
    flags.add_boolean(parser, "--json", default=False, help="print JSON instead of text")


def run(arguments: argparse.Namespace) -> int:
    return {"up": _up, "down": _down, "status": _status}[arguments.action](arguments)


def _up(arguments: argparse.Namespace) -> int:
    import signal
    import sys

    from gristmill.standing.record import RECORD
    from gristmill.standing.standing import bring_up

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    directory: Path = arguments.directory
    if (directory / RECORD).exists():
        _require_no_flags(arguments)
        standing = bring_up(directory)
    else:
        standing = bring_up(directory, *_new(arguments, directory.absolute()))
    if arguments.json:
        _print_json(_content(standing.directory))
        return 0
    count, record = len(standing.state["parties"]), standing.record
    print(f"{count} processes run: kingdom, {', '.join(record.duchies)} with a mill each, {', '.join(record.files)}.")
    print(f"Measure:   gristmill measure --consortium {directory}")
    print(f"Take down: gristmill consortium down {directory}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    from gristmill.standing.standing import take_down

    directory: Path = arguments.directory
    was_up = take_down(directory)
    if arguments.json:
        _print_json(_content(directory.absolute()) | {"was_up": was_up})
    else:
        print(f"{directory} was taken down." if was_up else f"{directory} was down already.")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from gristmill.standing.standing import UP

    content = _content(arguments.directory.absolute())
    if arguments.json:
        _print_json(content)
    else:
        _show(content)
    return 0 if content["state"] == UP else 1


def _content(directory: Path) -> dict[str, Any]:
    from gristmill.standing.record import Record
    from gristmill.standing.standing import UP, Standing, keys_expire, running, state_of

    record, state = Record.read(directory), running(directory)
    expire = keys_expire(directory)
    content = {
        "directory": str(directory),
        "state": state_of(directory) if state is None else UP,
        "keys_expire": expire.isoformat() if expire else None,
        "data_providers": {name: str(file) for name, file in record.files.items()},
    }
    return content if state is None else content | _look(Standing.of(directory, record, state))


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
    since = f" since {content['since']}" if "since" in content else ""
    print(f"{content['directory']} is {content['state']}{since}")
    if "parties" not in content:
        return
    rows = [("process", "pid", "started again")]
    rows += [(party["name"], str(party["pid"] or "ended"), _times(party["restarts"])) for party in content["parties"]]
    wide = max(len(name) for name, _, _ in rows)
    for name, pid, again in rows:
        print(f"{name:{wide}}  {pid:8}  {again}".rstrip())
    for duchy, ports in content["duchy_ports"].items():
        print(f"internal API of {duchy}: 127.0.0.1:{ports['internal_api']}")
    for identifier, stages in content["measurements"].items():
        print(f"measurement {identifier}: {', '.join(f'{duchy} in {stage}' for duchy, stage in stages.items())}")
    print(f"Its keys expire at {content['keys_expire']}.")


def _times(restarts: int) -> str:
    return "" if not restarts else "once" if restarts == 1 else f"{restarts} times"


def _print_json(content: dict[str, Any]) -> None:
    import json

    print(json.dumps(content, indent=2))


def _new(arguments: argparse.Namespace, directory: Path) -> tuple[Record, dict[str, str]]:
    """What the flags describe, read and checked, and the events to write: nothing has been started or written."""
    from gristmill.edp.events import EventFile
    from gristmill.measure import publishers
    from gristmill.measure.question import Question, duchies
    from gristmill.standing.record import Record

    chosen, parties = method(arguments), duchies(arguments.duchies)
    question = Question(method=chosen, duchies=parties)
    if not arguments.data_provider:
        _refuse_changed(
            arguments, ("id_column", "where", "time_column", "integer_ids"),
            "is of no use without --data-provider", cure="Leave it out, or name data providers and their files.",
        )  # fmt: skip
        return _demo(parties, chosen, directory)
    columns = EventFile(
        Path(),
        arguments.id_column,
        flags.mapping("--where", arguments.where),
        arguments.time_column,
        integer_ids=arguments.integer_ids,
    )
    files = [(name, file.absolute()) for name, file in arguments.data_provider]
    read = publishers.read(files, columns, question)
    return Record(parties, {publisher.party: publisher.file.path for publisher in read}, columns, chosen), {}


def _demo(parties: tuple[str, ...], method: Method, directory: Path) -> tuple[Record, dict[str, str]]:
    """The demo's airports with the departures of its first week."""
    from gristmill.demo.flights import AIRPORTS, airport_csv, departures
    from gristmill.edp.events import EventFile
    from gristmill.standing.record import Record

    events = departures("week")
    contents = {code.lower(): airport_csv(events, code) for code in AIRPORTS}
    files = {name: directory / name / "events.csv" for name in contents}
    return Record(parties, files, EventFile(Path(), "tailnum", time_column="date"), method), contents


def _require_no_flags(arguments: argparse.Namespace) -> None:
    _refuse_changed(
        arguments, [name for name in arguments.defaults if name not in ("directory", "help", "json")],
        f"cannot change the consortium that is in {arguments.directory}", cure="Leave it out, or give a new directory.",
    )  # fmt: skip


def _refuse_changed(arguments: argparse.Namespace, names: Iterable[str], why: str, *, cure: str) -> None:
    from gristmill.errors import ConfigurationError

    for name in names:
        if getattr(arguments, name) != arguments.defaults[name]:
            raise ConfigurationError(f"--{name.replace('_', '-')} {why}", cure=cure)
