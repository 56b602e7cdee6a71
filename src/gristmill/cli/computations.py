"""`gristmill computations`: what a duchy's computations are doing; have one tried again, or cancel it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from gristmill.cli import duchy_flags, flags, of_consortium

if TYPE_CHECKING:
    from contextlib import ExitStack

    from gristmill.operations.client import Computations
    from gristmill.operations.peers import PeerStage
    from gristmill.proto.duchy.inspection_pb2 import ComputationSummary

ACTIONS = {
    "list": "all computations, the newest first",
    "show": "one computation: stage, lease, progress, what is missing and who owes it, who has our data",
    "events": "everything that happened to a computation",
    "retry": "make a stage that mills work on claimable now, its earlier failures forgotten",
    "cancel": "end a computation here and tell the kingdom, which ends it everywhere",
}
EXIT_CODES = "exit codes: 0 done; 1 refused, no answer, or the kingdom was not told; 2 wrong usage or configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXIT_CODES
    actions = parser.add_subparsers(dest="action", required=True, metavar="{" + ",".join(ACTIONS) + "}")
    for name, what in ACTIONS.items():
        action = actions.add_parser(
            name, allow_abbrev=False, help=what, description=f"Shows {what}.", epilog=EXIT_CODES
        )
        if name in ("retry", "cancel"):
            action.description = f"{what[0].upper()}{what[1:]}. Who did it and why is among its events."
        if name != "list":
            action.add_argument("computation", metavar="ID", help="global ID of the computation")
        _ADD.get(name, lambda _: None)(action)
        flags.add_boolean(action, "--json", default=False, help="print JSON instead of tables")
        flags.add_tls(action)
        flags.add_computations_client(action)
        flags.add_development(action)
        of_consortium.add_arguments(action)


def _add_list(parser: argparse.ArgumentParser) -> None:
    flags.add_boolean(parser, "--running", default=False, help="only those that have not ended")


def _add_show(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("peers")
    flags.add_boolean(group, "--peers", default=False, help="ask the other duchies where they are, too")
    group.add_argument(
        "--duchy-info-config", type=flags.file, metavar="FILE", help="DuchyCertConfig as textproto; with --peers"
    )
    flags.add_map(
        group,
        "--duchy-computation-control-target",
        metavar="DUCHY=HOST:PORT",
        help="control server of each other duchy; with --peers",
    )


def _add_intervention(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reason", required=True, metavar="TEXT", help="one line for the record; with cancel the kingdom gets it too"
    )
    parser.add_argument("--actor", metavar="NAME", help="who does it, for the record (this user at this host)")


_ADD = {"list": _add_list, "show": _add_show, "retry": _add_intervention, "cancel": _add_intervention}


def run(arguments: argparse.Namespace) -> int:
    from contextlib import ExitStack

    of_consortium.fill_in(arguments)
    with ExitStack() as stack:
        return _RUN[arguments.action](arguments, _computations(arguments, stack), stack)


def _computations(arguments: argparse.Namespace, stack: ExitStack) -> Computations:
    from gristmill.duchy.credentials import own_credentials
    from gristmill.operations.client import Computations
    from gristmill.trust.channels import channel

    client = flags.computations_client(arguments)
    credentials = own_credentials(duchy_flags.tls_files(arguments))
    opened = stack.enter_context(channel(duchy_flags.target(client), credentials))
    return Computations(opened, client.deadline.total_seconds())


def _list(arguments: argparse.Namespace, computations: Computations, stack: ExitStack) -> int:
    from gristmill.operations import described, tables

    now = tables.now_utc()
    rows = [described.listed(each, now) for each in computations.all() if not (arguments.running and each.ending_state)]
    _print(arguments, {"computations": rows}, lambda: tables.computations(rows, now))
    return 0


def _show(arguments: argparse.Namespace, computations: Computations, stack: ExitStack) -> int:
    from gristmill.operations import described

    asking = _asking(arguments) if arguments.peers else None
    told = computations.show(arguments.computation)
    peers = _peers(arguments, told, asking, stack) if asking else None
    _print_one(arguments, lambda now: described.shown(told, now, peers))
    return 0


def _events(arguments: argparse.Namespace, computations: Computations, stack: ExitStack) -> int:
    from gristmill.operations import described, tables

    rows = [described.event(each) for each in computations.events(arguments.computation)]
    _print(arguments, {"computation": arguments.computation, "events": rows}, lambda: tables.events(rows))
    return 0


def _retry(arguments: argparse.Namespace, computations: Computations, stack: ExitStack) -> int:
    from gristmill.operations import described

    seen = computations.show(arguments.computation)
    told = computations.retry(seen, _actor(arguments), arguments.reason)
    _say(arguments, f"attempt {seen.attempt} of {seen.stage} is over; the next mill that asks gets the stage")
    if seen.lease_owner:
        _say(arguments, f"it was taken from {seen.lease_owner}, which writes nothing more")
    _print_one(arguments, lambda now: described.shown(told, now))
    return 0


def _cancel(arguments: argparse.Namespace, computations: Computations, stack: ExitStack) -> int:
    from gristmill.operations import described
    from gristmill.proto.duchy.interventions_pb2 import CancelComputationResponse as Response

    response = computations.cancel(arguments.computation, _actor(arguments), arguments.reason)
    told = {
        Response.TOLD: "the kingdom has been told, and ends it everywhere",
        Response.NOTHING_TO_END: f"the kingdom has nothing to end: {response.kingdom_answer}",
    }
    _say(arguments, "the computation has ended here")
    _print_one(arguments, lambda now: described.canceled(response, now))
    if response.kingdom in told:
        _say(arguments, told[response.kingdom])
        return 0
    print(
        f"gristmill: the kingdom was not told that the computation is canceled: {response.kingdom_answer} "
        "Cure: Cancel it again when the kingdom answers; until then the other duchies wait for this one.",
        file=sys.stderr,
    )
    return 1


_RUN = {"list": _list, "show": _show, "events": _events, "retry": _retry, "cancel": _cancel}


def _actor(arguments: argparse.Namespace) -> str:
    import getpass
    import socket

    if arguments.actor is not None:
        return str(arguments.actor)
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        import os

        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _asking(arguments: argparse.Namespace) -> dict[str, str]:
    """Control server of each duchy. Wrong flags are told before anything is asked."""
    from gristmill.errors import ConfigurationError

    name = "--duchy-computation-control-target"
    targets = flags.mapping(name, arguments.duchy_computation_control_target)
    if not arguments.duchy_info_config or not targets:
        raise ConfigurationError(
            f"--peers needs --duchy-info-config and {name}", cure="Give both as for this duchy's mills."
        )
    try:
        return {duchy: flags.target(target) for duchy, target in targets.items()}
    except argparse.ArgumentTypeError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _peers(
    arguments: argparse.Namespace, told: ComputationSummary, targets: dict[str, str], stack: ExitStack
) -> list[PeerStage]:
    """Of the participants; of every duchy with a target while the participants are not known."""

    from gristmill.errors import FileUnusable
    from gristmill.mill.connections import Connections
    from gristmill.operations.peers import PeerStage, ask, name_the_unnamed
    from gristmill.trust.certificates import Roots
    from gristmill.trust.identity import read_duchies

    files = duchy_flags.tls_files(arguments)
    roots = Roots.read(files.collection_file, allow_development=files.allow_development)
    info = flags.readable_file("--duchy-info-config", arguments.duchy_info_config)
    duchies = read_duchies(info, roots)
    if told.duchy not in duchies:
        raise FileUnusable(f"duchy {told.duchy} is not in {info}", cure="Give this duchy's own info file.")
    name_the_unnamed(told, duchies)
    connections = Connections(stack, files=files, roots=roots, duchies=duchies, duchy=told.duchy)
    wanted = [each.duchy for each in told.participants] or [*targets]
    reachable = [duchy for duchy in wanted if duchy in targets and duchy in duchies and duchy != told.duchy]
    timeout = flags.computations_client(arguments).deadline.total_seconds()
    said = ask({duchy: connections.peer(duchy, targets[duchy]) for duchy in reachable}, told, timeout)
    unknown = [duchy for duchy in wanted if duchy not in reachable and duchy != told.duchy]
    return [
        *said,
        *(PeerStage(duchy, error="not asked: no target, or not in the duchy info file") for duchy in unknown),
    ]


def _print_one(arguments: argparse.Namespace, describe: Any) -> None:
    from gristmill.operations import tables

    now = tables.now_utc()
    row = describe(now)
    _print(arguments, row, lambda: tables.computation(row, now))


def _print(arguments: argparse.Namespace, described: dict[str, Any], table: Any) -> None:
    if arguments.json:
        import json

        print(json.dumps(described, indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table())
        return
    console.width = 1000  # a pipe has no width: nothing is folded
    with console.capture() as captured:
        console.print(table())
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _say(arguments: argparse.Namespace, sentence: str) -> None:
    if not arguments.json:
        print(sentence[0].upper() + sentence[1:] + ".")
