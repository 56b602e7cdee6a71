"""From a CSV file to VIDs."""

from __future__ import annotations

import hashlib
import lzma
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.edp.events import EventFile, Events, microseconds, vid
from gristmill.errors import ConfigurationError

CSV = """time,tailnum,origin
2013-01-01T05:17,N14228,EWR
2013-01-01T05:29,N24211,LGA
2013-01-02T00:00,N14228,EWR
2013-01-03T00:00,,EWR
2013-01-08T00:00,N14228,EWR
"""


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(CSV)
    return path


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_an_integer_id_is_the_vid(number: int) -> None:
    assert vid(str(number)) == number


@given(st.text(min_size=1).filter(lambda text: not text.isdecimal()))
def test_a_text_id_becomes_63_bits_of_its_sha_256(text: str) -> None:
    digest = hashlib.sha256(text.encode()).digest()
    assert vid(text) == int.from_bytes(digest[:8], "big") % 2**63


@pytest.mark.parametrize("text", ["007", "-1", str(2**63), "+5", " 5", "5.0", "٣"])
def test_what_only_looks_like_an_integer_is_text(text: str) -> None:
    assert vid(text) == int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 2**63


def test_the_hash_of_a_known_id_stays_what_it_is() -> None:
    assert vid("N14228") == int(hashlib.sha256(b"N14228").hexdigest()[:16], 16) & 0x7FFF_FFFF_FFFF_FFFF


def test_rows_are_chosen_by_column_and_time_and_empty_ids_are_no_events(csv: Path) -> None:
    file = EventFile(
        csv, "tailnum", {"origin": "EWR"}, "time", datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 8, tzinfo=UTC)
    )
    assert Events.read(file).vids() == [vid("N14228"), vid("N14228")]


def test_a_period_includes_its_start_and_not_its_end(csv: Path) -> None:
    events = Events.read(EventFile(csv, "tailnum", time_column="time"))
    start, end = (microseconds(datetime(2013, 1, day, tzinfo=UTC)) for day in (2, 8))
    assert events.vids(start, end) == [vid("N14228")]


def test_a_compressed_file_reads_the_same(csv: Path, tmp_path: Path) -> None:
    compressed = tmp_path / "events.csv.xz"
    compressed.write_bytes(lzma.compress(csv.read_bytes()))
    plain = Events.read(EventFile(csv, "tailnum")).vids()
    assert Events.read(EventFile(compressed, "tailnum")).vids() == plain
    assert len(plain) == 4


@pytest.mark.parametrize(
    ("file", "said"),
    [({"id_column": "vid"}, "no column vid"), ({"id_column": "tailnum", "time_column": "origin"}, "line 2")],
)
def test_an_unusable_file_is_named_without_its_content(csv: Path, file: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Events.read(EventFile(csv, **file))  # type: ignore[arg-type]
    assert "N14228" not in str(caught.value)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.csv"):
        Events.read(EventFile(tmp_path / "missing.csv"))
