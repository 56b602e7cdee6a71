"""`gristmill measure` as a stranger runs it, with the sample of the tutorial and four duchies."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gristmill import _native as native

pytestmark = pytest.mark.xdist_group("e2e")

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
FLAGS = (
    "--id-column=person",
    "--time-column=time",
    "--to=2024-03-07",  # one event is later
    "--max-frequency=3",
    "--duchies=4",
    "--reach-epsilon=100",  # so private is nobody: the noise is 0, and the right answer known
    "--reach-delta=0.5",
    "--frequency-epsilon=100",
    "--frequency-delta=0.5",
    "--truth",
    "--json",
)


def often() -> Counter[str]:
    """Person -> how often seen before the 7th of March."""
    lines = [(EXAMPLES / f"{name}.csv").read_text().splitlines() for name in ("news", "video")]
    rows = [row for file in lines for row in csv.DictReader(file)]
    return Counter(row["person"] for row in rows if row["time"] < "2024-03-07")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The process, and where it made its temporary directory."""
    temporary = tmp_path_factory.mktemp("temporary")
    events = [f"--events={name}={EXAMPLES / name}.csv" for name in ("news", "video")]
    return subprocess.run(
        [sys.executable, "-m", "gristmill", "measure", *events, *FLAGS],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "TMPDIR": str(temporary)},
    ), temporary


@pytest.fixture(scope="module")
def answer(ran: tuple[subprocess.CompletedProcess[str], Path]) -> dict[str, Any]:
    """All of standard output is one JSON document."""
    assert ran[0].returncode == 0, ran[0].stderr
    document: dict[str, Any] = json.loads(ran[0].stdout)
    return document


def test_the_answer_is_that_of_the_sketch_with_the_exact_one_beside_it(answer: dict[str, Any]) -> None:
    people = often()
    in_the_sketch = native.estimate_reach(decay_rate=12.0, size=100_000, active=len(people), sampling_width=1.0)
    assert (answer["reach"]["value"], answer["reach"]["exact"]) == (in_the_sketch, len(people))
    shares = Counter(min(times, 3) for times in people.values())
    for entry in answer["frequency"]:
        share = shares[entry["times"]] / len(people)
        assert (entry["value"], entry["exact"]) == (pytest.approx(share), pytest.approx(share))
    assert [(entry["times"], entry["or_more"]) for entry in answer["frequency"]] == [(1, False), (2, False), (3, True)]


def test_the_document_says_how_it_was_measured(answer: dict[str, Any]) -> None:
    assert answer["duchies"] == ["worker1", "worker2", "worker3", "aggregator"]
    assert answer["events"] == {"news": 9, "video": 8}
    assert answer["warnings"] == []


def test_progress_goes_to_standard_error_in_plain_lines(
    ran: tuple[subprocess.CompletedProcess[str], Path], answer: dict[str, Any]
) -> None:
    for duchy in ("worker1", "worker2", "worker3", "aggregator"):
        shown = [line for line in ran[0].stderr.splitlines() if f" s  {duchy}: " in line]
        # Of a measurement of few people a look may miss a short stage, but no duchy's waiting for its turn in a lap.
        assert any("execution phase" in line for line in shown), ran[0].stderr
    assert "\x1b" not in ran[0].stderr


def test_neither_files_nor_processes_are_left_behind(
    ran: tuple[subprocess.CompletedProcess[str], Path], answer: dict[str, Any]
) -> None:
    temporary = ran[1]
    assert list(temporary.iterdir()) == []
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if str(temporary).encode() in command]
