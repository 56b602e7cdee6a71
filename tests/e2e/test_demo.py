"""The demo as a stranger runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, float]:
    """What it prints, the directory that it leaves, and how long it took."""
    directory = tmp_path_factory.mktemp("demo") / "kept"
    started = time.monotonic()
    command = [sys.executable, "-m", "gristmill", "demo", "--directory", str(directory)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout, directory, time.monotonic() - started


def test_it_ends_within_a_minute(demo: tuple[str, Path, float]) -> None:
    assert demo[2] < 60


def test_it_shows_the_measured_reach_beside_the_exact_one(demo: tuple[str, Path, float]) -> None:
    (line,) = [line for line in demo[0].splitlines() if line.startswith("reach ")]
    measured, low, high, exact = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+", line)[:4])
    assert exact == 2_048
    assert low < measured < high
    assert measured == pytest.approx(exact, abs=3 * (high - low))


def test_it_shows_every_frequency_privacy_what_left_and_stage_times(demo: tuple[str, Path, float]) -> None:
    text = " ".join(demo[0].split())
    for part in (
        "6,091 departures of 2,048 aircraft",
        "reach epsilon 1, delta 1e-05; frequency epsilon 1, delta 1e-05",
        "10 or more",
        "How the 95 % intervals are computed",
        "What left each party",
        "execution phase three",
    ):
        assert part in text


def test_without_a_terminal_progress_comes_in_plain_lines(demo: tuple[str, Path, float]) -> None:
    assert re.search(r"^ +\d+\.\d s  worker1: ", demo[0], re.MULTILINE)
    assert "\x1b" not in demo[0]


def test_the_reach_only_demo_shows_the_reach_beside_the_exact_one_and_its_one_execution_phase() -> None:
    command = [sys.executable, "-m", "gristmill", "demo", "--protocol=reach-only"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("reach ")]
    measured, low, high, exact = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+", line)[:4])
    assert exact == 2_048
    assert measured == pytest.approx(exact, abs=3 * (high - low))
    text = " ".join(ran.stdout.split())
    assert "reach epsilon 1, delta 1e-05. Only reach is measured." in text
    assert "execution phase 0." in text
    assert "times seen" not in text


def test_share_shuffle_counts_over_ten_million_people_within_a_minute() -> None:
    command = [sys.executable, "-m", "gristmill", "demo", "--protocol", "hmss"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("reach ")]
    measured, low, high, exact = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+", line)[:4])
    assert (exact, low < measured < high) == (2_048, True)
    assert measured == pytest.approx(exact, abs=3 * (high - low))
    assert "the airports sent 30.0 MB of shares" in " ".join(ran.stdout.split())


def test_a_failure_says_what_failed_the_cure_and_where_the_logs_are(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys" / "file").write_text("in the way")
    (tmp_path / "logs").mkdir(mode=0o700)  # without them there is nothing to point at
    command = [sys.executable, "-m", "gristmill", "demo", "--directory", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "Failed:" in ran.stdout
    assert "Cure:" in ran.stdout
    assert f"Logs: {tmp_path / 'logs'}" in ran.stdout
