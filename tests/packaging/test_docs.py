"""The docs name the flags that there are, all of them and no others."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from gristmill.cli.main import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"
FOR_ANALYSTS = ["consortium", "measure", "synth"]
OF_DUCHIES = sorted(set(COMMANDS) - {"bench", "demo", "keys", *FOR_ANALYSTS})


def flags(command: str) -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    import_module(COMMANDS[command][0]).add_arguments(parser)
    return set(_options(parser))


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Of the command and of its subcommands."""
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _options(each)


@pytest.mark.parametrize(
    ("page", "command"),
    [
        *(("running-a-duchy.md", command) for command in OF_DUCHIES),
        *(("tutorial.md", command) for command in FOR_ANALYSTS),
        ("performance.md", "bench"),
    ],
)
def test_every_flag_of_a_command_is_named(page: str, command: str) -> None:
    named = set(re.findall(r"--[a-z0-9-]+", (DOCS / page).read_text()))
    assert flags(command) - named == set()


PAGES = ["running-a-duchy.md", "tutorial.md", "mission.md", "architecture.md", "errors.md", "performance.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_that_is_named_exists(page: str) -> None:
    everything = {flag for command in COMMANDS for flag in flags(command)}
    everything |= {"--name", "--help", "--duchy"}
    named = set(re.findall(r"`(--[a-z0-9-]+)", (DOCS / page).read_text()))
    assert named - everything == set()


def test_every_command_is_named_in_the_readme() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    assert {command for command in COMMANDS if command not in readme} == set()


def test_the_stages_on_the_protocols_pages_are_those_of_the_tables() -> None:
    root = DOCS.parent
    checked = subprocess.run([sys.executable, "tools/stages.py", "--check"], cwd=root, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
