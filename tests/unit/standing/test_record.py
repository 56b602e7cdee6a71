"""What a standing consortium's directory remembers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gristmill.consumer.request import Privacy
from gristmill.edp.events import EventFile
from gristmill.edp.population import Population
from gristmill.errors import ConfigurationError
from gristmill.measure.method import Shares, Sketch
from gristmill.standing.record import RECORD, Record, note, noted, replace_private_file


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path / "run"


def record(directory: Path) -> Record:
    files = {"a": directory / "a" / "events.csv", "b": directory.parent / "b.csv"}
    columns = EventFile(Path(), "person", {"device": "tv"}, "time", integer_ids=True)
    return Record(("worker1", "worker2", "aggregator"), files, columns, Sketch(10.0, 5_000, 7_000))


def test_a_record_is_read_as_it_was_written(directory: Path) -> None:
    record(directory).write(directory)
    assert Record.read(directory) == record(directory)
    assert (directory / RECORD).stat().st_mode & 0o077 == 0


def test_the_population_of_shares_is_read_as_it_was_written_and_known_to_every_data_provider(directory: Path) -> None:
    shares = Shares(Population([(1, 50), (101, 150)]))
    replace(record(directory), method=shares).write(directory)
    read = Record.read(directory)
    assert read.method == shares
    assert {events.population for events in read.events().values()} == {shares.population}


def test_files_in_the_directory_move_with_it_and_others_stay(directory: Path) -> None:
    record(directory).write(directory)
    moved = directory.rename(directory.with_name("moved"))
    assert Record.read(moved).files == {"a": moved / "a" / "events.csv", "b": directory.parent / "b.csv"}


def test_events_that_are_gone_are_named(directory: Path) -> None:
    (directory / "a").mkdir()
    (directory / "a" / "events.csv").write_text("person\n1\n")
    with pytest.raises(ConfigurationError, match=r"the events of b, .*b\.csv, cannot be read any more"):
        record(directory).require_files()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"format": 1}', '{"format": 2, "duchies": 3}', "[" * 100_000],
    ids=lambda content: content[:20],
)
def test_a_file_that_is_no_record_is_refused(directory: Path, content: str) -> None:
    (directory / RECORD).write_text(content)
    with pytest.raises(ConfigurationError, match="was not made by gristmill consortium up"):
        Record.read(directory)


def test_a_directory_that_does_not_exist_has_no_consortium(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no consortium in"):
        Record.read(tmp_path / "none")


def test_a_directory_that_is_open_to_others_is_refused(directory: Path) -> None:
    record(directory).write(directory)
    directory.chmod(0o755)
    with pytest.raises(ConfigurationError, match="open to other users"):
        Record.read(directory)


def test_a_file_that_cannot_be_replaced_is_left_as_it_was(directory: Path) -> None:
    (directory / "file").mkdir()  # a directory cannot be replaced by a file
    with pytest.raises(ConfigurationError, match="cannot be written"):
        replace_private_file(directory / "file", {})
    assert [path.name for path in directory.iterdir()] == ["file"]


@pytest.mark.parametrize("frequency", [Privacy(3.0, 1e-7), None])
def test_what_was_asked_is_known_by_its_id_and_by_its_whole_name(directory: Path, frequency: Privacy | None) -> None:
    of = record(directory)
    question = of.question(
        reach=Privacy(2.0, 1e-6),
        frequency=frequency,
        maximum_frequency=4,
        sampling=(0.25, 0.5),
        start=datetime(2024, 3, 1, tzinfo=UTC),
        end=None,
    )
    name = "measurementConsumers/c/measurements/m1"
    note(directory, name, question, ("a", "b"))
    assert noted(directory, of, "m1") == noted(directory, of, name) == (name, question, ("a", "b"))


def test_a_measurement_that_was_never_asked_is_refused_with_those_that_were(directory: Path) -> None:
    of = record(directory)
    with pytest.raises(ConfigurationError, match="no measurement m2 was asked") as none:
        noted(directory, of, "m2")
    assert none.value.cure == "None was asked yet."
    note(directory, "measurementConsumers/c/measurements/m1", of.question(), ())
    with pytest.raises(ConfigurationError) as some:
        noted(directory, of, "../../standing")
    assert some.value.cure == "Known are m1."


def test_a_broken_note_is_told_from_one_that_is_missing(directory: Path) -> None:
    of = record(directory)
    note(directory, "measurementConsumers/c/measurements/m1", of.question(), ())
    (directory / "measurements" / "m1.json").write_text("{")
    with pytest.raises(ConfigurationError, match="measurement m1 cannot be read"):
        noted(directory, of, "m1")
