"""What holds for the source tree as a whole."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = ("src/wfa", "src/gristmill/proto")


def test_help_appears_at_once() -> None:
    def seconds() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "gristmill", "--help"], capture_output=True, check=True)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.3


def test_layers_point_one_way() -> None:
    linted = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout


def test_files_are_of_a_length_that_one_reads() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    lengths = {
        name: len((ROOT / name).read_text().splitlines())
        for name in listed
        if name.endswith((".py", ".rs")) and not name.startswith(GENERATED) and (ROOT / name).exists()
    }
    assert {name: lines for name, lines in lengths.items() if lines > 600} == {}
    assert statistics.median(lengths.values()) < 150
