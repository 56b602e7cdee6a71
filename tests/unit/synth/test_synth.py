"""Synthetic populations: the events are what the exact answer beside them says."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.cli.main import main
from gristmill.edp.events import EventFile, Events
from gristmill.errors import ConfigurationError, StorageFull
from gristmill.synth.files import described, write
from gristmill.synth.population import Event, Exact, Population, draw, events

DISTRIBUTIONS = st.one_of(
    st.integers(1, 5).map(lambda times: f"constant:{times}"),
    st.tuples(st.integers(1, 4), st.integers(0, 4)).map(lambda pair: f"uniform:{pair[0]}:{sum(pair)}"),
    st.floats(1, 6).map(lambda mean: f"geometric:{mean}"),
    st.floats(1, 6).map(lambda mean: f"poisson:{mean}"),
)
POPULATIONS = st.builds(
    Population,
    people=st.integers(1, 80),
    publishers=st.integers(1, 5),
    overlap=st.floats(0, 1),
    frequency=DISTRIBUTIONS,
    seed=st.integers(0, 2**40),
    days=st.integers(1, 400),
    text_ids=st.booleans(),
)


def made(population: Population) -> tuple[list[Event], Exact]:
    exact = Exact()
    return list(events(population, exact)), exact


@given(POPULATIONS)
@settings(deadline=None)
def test_the_exact_answer_is_that_of_a_plain_count(population: Population) -> None:
    rows, exact = made(population)
    often = Counter(row.person for row in rows)
    assert exact.reach == len(often) == population.people
    assert exact.frequency == Counter(often.values())
    assert exact.events == Counter(row.publisher for row in rows)
    for name in population.names():
        assert exact.reach_of[name] == len({row.person for row in rows if row.publisher == name})


@given(POPULATIONS)
@settings(deadline=None)
def test_a_seed_makes_the_same_events_again(population: Population) -> None:
    assert made(population) == made(population)


@given(POPULATIONS)
@settings(deadline=None)
def test_every_event_lies_in_the_period(population: Population) -> None:
    times = [datetime.fromisoformat(row.time) for row in made(population)[0]]
    assert all(0 <= (time - population.start).total_seconds() < population.days * 86_400 for time in times)


def test_another_seed_makes_other_events() -> None:
    assert made(Population(50, seed=1))[0] != made(Population(50, seed=2))[0]


@pytest.mark.parametrize(("overlap", "publishers_a_person"), [(0.0, 1), (1.0, 4)])
def test_overlap_goes_from_nobody_twice_to_everybody_everywhere(overlap: float, publishers_a_person: int) -> None:
    rows, _ = made(Population(60, publishers=4, overlap=overlap))
    seen = Counter(person for person, _ in {(row.person, row.publisher) for row in rows})
    assert set(seen.values()) == {publishers_a_person}


@pytest.mark.parametrize(
    ("distribution", "mean"), [("geometric:2.5", 2.5), ("poisson:3", 3.0), ("uniform:2:6", 4.0), ("constant:7", 7.0)]
)
def test_a_distribution_has_its_mean(distribution: str, mean: float) -> None:
    generator, one = random.Random(5), draw(distribution)
    drawn = [one(generator) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mean, abs=0.08)
    assert min(drawn) >= 1


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("text_ids", [False, True])
def test_the_files_hold_the_people_that_the_answer_counts(tmp_path: Path, ending: str, text_ids: bool) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    population = Population(300, text_ids=text_ids)
    exact = write(population, tmp_path / "made", parquet=ending == "parquet")
    answer = json.loads((tmp_path / "made" / "exact.json").read_text())
    assert answer == described(population, exact, ending)
    vids: set[int] = set()
    for name, about in answer["publishers"].items():
        read = Events.read(EventFile(tmp_path / "made" / about["file"], time_column="time")).vids()
        assert (len(read), len(set(read))) == (about["events"], about["reach"]), name
        vids |= set(read)
    assert len(vids) == answer["reach"] == 300


def test_these_events_never_change(tmp_path: Path) -> None:
    write(Population(200, seed=7), tmp_path / "made")
    digest = hashlib.sha256((tmp_path / "made" / "publisher1.csv").read_bytes()).hexdigest()
    assert digest.startswith("78cb3c34c0479c5a")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"people": 0}, "at least 1 of people"),
    ({"overlap": 1.5}, "overlap is a probability"),
    ({"overlap": float("nan")}, "overlap is a probability"),
    ({"frequency": "zipf:2"}, "no frequency distribution zipf:2"),
    ({"frequency": "geometric:0.5"}, "no frequency distribution"),
    ({"frequency": "uniform:5:2"}, "no frequency distribution"),
    ({"frequency": "constant:1.5"}, "no frequency distribution"),
    ({"frequency": "poisson:x"}, "is not a number"),
    ({"frequency": "constant:inf"}, "is not a number"),
    ({"start": datetime(9999, 12, 31, tzinfo=UTC)}, "end after the year 9999"),
]


@pytest.mark.parametrize(("parameters", "said"), BAD)
def test_what_cannot_be_made_is_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Population(**{"people": 10, **parameters})


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine")
    assert main(["synth", str(tmp_path), "--people=5"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gristmill.synth.files._CsvWriter.write", full)
    with pytest.raises(StorageFull, match="No space left on device"):
        write(Population(5), tmp_path / "parent" / "made")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", str(tmp_path / "made"), "--people=40", "--publishers=2", "--start=2020-02-01"]) == 0
    assert "of 40 people" in capsys.readouterr().out
    with (tmp_path / "made" / "publisher2.csv").open() as file:
        assert next(csv.DictReader(file))["time"].startswith("2020-02-")


def test_the_command_prints_the_exact_answer_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", str(tmp_path / "made"), "--people=10", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["reach"] == 10
    assert printed == json.loads((tmp_path / "made" / "exact.json").read_text())
