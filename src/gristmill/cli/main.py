"""The `gristmill` command: one small module a command group, imported only when it is asked for."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gristmill import __version__

if TYPE_CHECKING:
    from gristmill.errors import GristmillError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("gristmill.cli.demo", "measure real events among three duchies on this machine"),
    "measure": ("gristmill.cli.measure", "measure reach and frequency of your own events"),
    "consortium": ("gristmill.cli.consortium", "a local system in the background: up, down, status"),
    "synth": ("gristmill.cli.synth", "make a synthetic population's events, with the exact answer"),
    "keys": ("gristmill.cli.keys", "make or show a development PKI"),
    "mill": ("gristmill.cli.mill", "run a mill: claim stages and work them"),
    "duchy": ("gristmill.cli.duchy", "run all services of a duchy in one process"),
    "internal-api": ("gristmill.cli.internal_api", "run a duchy's internal API server"),
    "computation-control": ("gristmill.cli.computation_control", "run the server that peers send to"),
    "async-computation-control": ("gristmill.cli.async_computation_control", "run the server that fills slots"),
    "requisition-fulfillment": ("gristmill.cli.requisition_fulfillment", "run the server that data providers send to"),
    "herald": ("gristmill.cli.herald", "follow the kingdom and start its computations here"),
    "computations": ("gristmill.cli.computations", "show a duchy's computations; retry or cancel one"),
    "kingdom": ("gristmill.cli.kingdom", "run the development kingdom"),
    "bench": ("gristmill.cli.bench", "time the cryptography of a measurement on this machine"),
    "edp": ("gristmill.cli.edp", "run a data provider that fulfils requisitions from an events file"),
}
"""Command -> (module, one line of help). Each module has `add_arguments(parser)` and `run(arguments) -> int`."""


class Parser(argparse.ArgumentParser):
    """Knows a computation's ID that begins with a hyphen, as one in 64 does, from a flag."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # What argparse takes for a value in spite of its hyphen; IDs are eight bytes in base64url.
        self._negative_number_matcher = re.compile(r"(?:-\d+|-\w[\w-]{9})$", re.ASCII)


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 for success, 1 for a failure that was reported, 2 for wrong usage."""
    if argv is None:  # the process is ours alone, and nearly every command reads or makes keys
        from gristmill.trust.process import disable_core_dumps

        disable_core_dumps()
        argv = sys.argv[1:]
    command = argv[0] if argv else None
    if command in COMMANDS:
        try:
            return _command(command, argv[1:])
        except ImportError as error:
            if error.name != "gristmill._native":
                raise
            return _unusable(error, argv)
    parser = Parser(
        prog="gristmill",
        description="Private reach and frequency across publishers.",
        epilog="\n".join(f"  {name:28}{summary}" for name, (_, summary) in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gristmill {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    parser.parse_args(argv or ["--help"])
    return 2


def _command(command: str, argv: list[str]) -> int:
    module_name, summary = COMMANDS[command]
    module = import_module(module_name)
    parser = Parser(prog=f"gristmill {command}", description=summary, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"gristmill {__version__}")
    module.add_arguments(parser)
    return _run(module.run, parser.parse_args(argv))


def _unusable(error: ImportError, argv: list[str]) -> int:
    """The native core says no to the environment, whenever it is that the command first needs it."""
    from gristmill.errors import ConfigurationError

    cure = "Correct the variable, or unset it: then the fastest that the processor has is used."
    _report(ConfigurationError(error.msg, cure=cure), argparse.Namespace(json="--json" in argv))
    return 2


def _run(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    from gristmill.errors import ConfigurationError, GristmillError
    from gristmill.system_errors import of_system

    try:
        try:
            code = run(arguments)
            if sys.stdout is not None:  # it may be closed
                sys.stdout.flush()  # here, where a full disk can still be reported
            return code
        except BrokenPipeError:
            _discard_output()  # its reader, such as `head`, has read enough
            return 1
        except OSError as error:
            raise of_system(error) from error
    except ConfigurationError as error:
        _report(error, arguments)
        return 2
    except GristmillError as error:
        _report(error, arguments)
        return 1
    except KeyboardInterrupt:
        return 130


def _report(error: GristmillError, arguments: argparse.Namespace) -> None:
    """On standard error; with `--json` also in the place of the answer."""
    _discard_output()
    if getattr(arguments, "json", False) is True:
        import json

        print(json.dumps({"error": error.described()}, indent=2))
        _discard_output()
    print(f"gristmill: {error}", file=sys.stderr)


def _discard_output() -> None:
    """What standard output could not take would be tried again, and complained about, when the interpreter ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())
