"""Every command of docs/tutorial.md is run, in order, in one directory, and prints what the tutorial shows.

Numbers differ from run to run and are compared as one, spaces too, and bars of charts not at all. `...` stands for any
lines. Measurements are asked without noise, in a fraction of the time; `make test-long` runs them as they are written.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
WITHOUT_NOISE = " --reach-epsilon 100 --reach-delta 0.5 --frequency-epsilon 100 --frequency-delta 0.5"


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines that it is said to print."""
    for block in re.findall(r"^```console\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.replace("\\\n    ", "").rstrip("\n").split("\n")
            yield command, lines


def essence(line: str) -> str:
    """The line without what differs from run to run."""
    line = re.sub(r"[█▒┃#=|]+", "", line)
    line = re.sub(r"^(Measurement|computation ) .*", r"\1", line)
    return re.sub(r"\s+", " ", re.sub(r"\d+([.,]\d+)*(e[-+]\d+)?", "0", line)).strip()


def asked(directory: Path) -> str:
    """The ID of the measurement that the standing consortium was asked."""
    return next((path.stem for path in (directory / "run" / "measurements").glob("[!.]*.json")), "ID")


def run_all(directory: Path, measure: str) -> None:
    """`measure` is added to every command that asks for a measurement."""
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment: Mapping[str, str] = {**os.environ, "GRISTMILL": str(ROOT), "PATH": binaries, "COLUMNS": "200"}
    for command, lines in commands():
        wanted = command.replace(" ID", f" {asked(directory)}")
        refused = any(line.startswith("gristmill: GM-1") for line in lines)
        if command.startswith("gristmill measure ") and "--measurement" not in command and not refused:
            before, arrow, after = wanted.partition(" > ")
            wanted = before + measure + arrow + after
        ran = subprocess.run(
            ["/bin/sh", "-c", wanted],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert ran.returncode == (2 if refused else 0), f"{wanted}\n{ran.stdout}"
        printed = {essence(line) for line in ran.stdout.splitlines()}
        missing = [line for line in lines if line != "..." and essence(line) not in printed]
        assert not missing, f"{wanted} printed\n{ran.stdout}\nand not\n" + "\n".join(missing)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if (tmp_path / "run").exists():
        subprocess.run([sys.executable, "-m", "gristmill", "consortium", "down", tmp_path / "run"], check=False)


def test_every_command_is_in_a_block_that_is_run() -> None:
    """No fence that a reader would copy from is left out."""
    fences = re.findall(r"^```(\w*)\n", TUTORIAL, re.MULTILINE)
    assert set(fences[::2]) == {"console", "json"}
    assert {command.split()[1] for command, _ in commands() if command.startswith("gristmill")} == {
        "measure",
        "synth",
        "consortium",
        "computations",
    }


@pytest.mark.xdist_group("e2e")
def test_the_tutorial_is_true_without_noise(directory: Path) -> None:
    run_all(directory, WITHOUT_NOISE)


@pytest.mark.long
@pytest.mark.xdist_group("e2e")
def test_the_tutorial_is_true_as_it_is_written(directory: Path) -> None:
    run_all(directory, "")
