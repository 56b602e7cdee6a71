"""Commands whose files do not fit: exit code 1, what was too large and the cure, and nothing left behind."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 600
"""Bytes a file may have: less than a certificate has, and what else commands write first."""
COMMANDS = {
    "keys make": ("new", "--duchy=a", "--duchy=b", "--data-provider=c"),
    "bench": ("--registers=20",),
    "synth": ("new",),
    "measure": ("--events=a=a.csv", "--events=b=b.csv"),
    "measure ": ("--events=a=a.csv", "--events=b=b.csv", "--json"),
    "consortium up": ("new", "--data-provider=a=a.csv", "--data-provider=b=b.csv"),
}


def run(command: str, *arguments: str, directory: Path) -> str:
    """Standard error of a command that fails in a process that may write small files only."""
    (directory / "tmp").mkdir()
    for name in ("a", "b"):
        (directory / f"{name}.csv").write_text("id\n1\n2\n")
    before = sorted(directory.rglob("*"))
    ran = subprocess.run(
        [sys.executable, "-m", "gristmill", *command.split(), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": str(directory / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
    )
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    assert sorted(directory.rglob("*")) == before
    return ran.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_files_that_do_not_fit_are_an_error_and_none_is_left(command: str, tmp_path: Path) -> None:
    said = run(command, *COMMANDS[command], directory=tmp_path)
    assert "cannot be written: File too large" in said
    assert "Make room on the disk, or raise the quota or limit." in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_answer_that_standard_output_cannot_take_is_an_error(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "gristmill", "synth", "made", "--people=5"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr.startswith("gristmill: GM-3004: a file or the output cannot be written: No space left")
    assert "Traceback" not in ran.stderr
