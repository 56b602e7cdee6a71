"""From a CSV file to VIDs."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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


@given(st.text(min_size=1).filter(lambda text: text == text.strip() and not re.fullmatch(r"[-+\u22120-9.eE]+", text)))
def test_a_text_id_becomes_63_bits_of_its_sha_256(text: str) -> None:
    digest = hashlib.sha256(text.encode()).digest()
    assert vid(text) == int.from_bytes(digest[:8], "big") % 2**63


@pytest.mark.parametrize("text", ["007", str(2**63), "+5", "1e5", "12E5", "٣", "10.0.0.1", "a b", "1.2.3e4", "e5", "."])
def test_what_only_looks_like_an_integer_is_text(text: str) -> None:
    assert vid(text) == int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 2**63


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((text, "is negative") for text in ("-1", "-9223372036854775808", "-0.5", "-.5", "-1e5", "\u22121")),
        *((text, "is a decimal fraction") for text in ("5.0", "5.", ".5", "+0.5")),
        *((text, "has an exponent") for text in ("1.23457E+11", "1.5e5", "1E+11", ".1e-3")),
        *((text, "begins or ends with a space") for text in (" 5", "5 ", "\tx", "x\n", "\u00a05", " ", " -5")),
    ],
)
def test_what_became_of_a_number_or_an_id_by_accident_is_no_id(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        vid(text)


def test_the_hash_of_a_known_id_stays_what_it_is() -> None:
    assert vid("N14228") == int(hashlib.sha256(b"N14228").hexdigest()[:16], 16) & 0x7FFF_FFFF_FFFF_FFFF


def test_rows_are_chosen_by_column_and_time_and_empty_ids_are_no_events(csv: Path) -> None:
    file = EventFile(
        csv, "tailnum", {"origin": "EWR"}, "time", datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 8, tzinfo=UTC)
    )
    assert list(Events.read(file).vids()) == [vid("N14228"), vid("N14228")]


def test_a_period_includes_its_start_and_not_its_end(csv: Path) -> None:
    events = Events.read(EventFile(csv, "tailnum", time_column="time"))
    start, end = (microseconds(datetime(2013, 1, day, tzinfo=UTC)) for day in (2, 8))
    assert list(events.vids(start, end)) == [vid("N14228")]


def test_a_compressed_file_reads_the_same(csv: Path, tmp_path: Path) -> None:
    compressed = tmp_path / "events.csv.xz"
    compressed.write_bytes(lzma.compress(csv.read_bytes()))
    plain = Events.read(EventFile(csv, "tailnum")).vids()
    assert Events.read(EventFile(compressed, "tailnum")).vids() == plain
    assert len(plain) == 4


BAD_FILES: list[tuple[str, bytes, dict[str, Any], str]] = [
    ("empty", b"", {}, r"events\.csv is empty"),
    ("a blank header", b"\nid\n1\n", {}, r"line 1 of .*events\.csv is blank"),
    ("no such column", b"vid\nN14228\n", {}, r"events\.csv has no column id"),
    ("no such filter column", b"id\nN14228\n", {"where": {"origin": "EWR"}}, "has no column origin"),
    ("a column twice", b"id,id\nN14228,2\n", {}, "more than one column id"),
    ("too few columns", b"id,x\nN14228,2\nN14228\n", {}, r"line 3 of .*events\.csv has 1 columns, and .* has 2"),
    ("too many columns", b"id\nN14228,\n", {}, r"line 2 of .*events\.csv has 2 columns"),
    ("an open quote", b'id\n1\n"N14228\n', {}, r"line 3 of .*events\.csv is not CSV"),
    ("not UTF-8", b"id\n1\nN14228\xff\n", {}, r"line 3 of .*events\.csv is not UTF-8"),
    ("a negative ID", b"id,x\n1,N14228\n-2,N14228\n", {}, r"line 3 of .*events\.csv: the id is negative"),
    ("a fraction", b"id,x\n1.0,N14228\n", {}, r"line 2 of .*events\.csv: the id is a decimal fraction"),
    ("not an integer", b"id\n1\nN14228\n", {"integer_ids": True}, r"line 3 of .*: the id is not an integer"),
    ("too large", b"id\n9223372036854775808\n", {"integer_ids": True}, "line 2 of .*: the id is not an integer"),
    ("a spreadsheet's number", b"id\n1\n1.23457E+11\n", {}, r"line 3 of .*: the id has an exponent"),
    ("a space", b"id,x\n1,N14228\n 2,N14228\n", {}, r"line 3 of .*: the id begins or ends with a space"),
    ("after lines in quotes", b'id,x\n1,"N14228\n\n"\n-2,x\n', {}, r"line 5 of .*: the id is negative"),
    ("several lines", b'id,x\n1,a\n-2,"N14228\n\n"\n', {}, r"line 3 of .*: the id is negative"),
    ("never closed", b'id,x\n1,a\n2,"N14228\n3,b\n4,c\n', {}, r"line 3 of .*events\.csv is not CSV"),
    (
        "never closed, far on",
        b'id,x\n1,"' + b"N14228,\n" * 20_000,
        {},
        r"line 2 of .*events\.csv is not CSV: field larger",
    ),
    ("old line ends", b"id,x\r1,N14228\r", {}, r"line 1 of .*events\.csv is not CSV: there is a carriage return"),
    ("UTF-16", "id,x\n1,N14228\n".encode("utf-16"), {}, r"line 1 of .*events\.csv is not UTF-8"),
    ("compressed, not named so", gzip.compress(b"id\n1\n"), {}, r"line 1 of .*events\.csv is not UTF-8"),
    ("no name", b"id\n1\n", {"id_column": ""}, r"events\.csv has no column without a name"),
    ("no time", b"id,time\n1,2013-01-01\n2,N14228\n", {"time_column": "time"}, r"line 3 of .* has no ISO 8601 time"),
]


@pytest.mark.parametrize(("content", "file", "said"), [bad[1:] for bad in BAD_FILES], ids=[bad[0] for bad in BAD_FILES])
def test_a_bad_file_is_named_with_the_line_and_a_cure_and_without_its_content(
    tmp_path: Path, content: bytes, file: dict[str, Any], said: str
) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        Events.read(EventFile(path, **file))
    assert caught.value.cure
    assert "N14228" not in str(caught.value)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "csv.xz", "parquet"])
def test_a_missing_file_is_a_configuration_error(tmp_path: Path, ending: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"missing\.{ending} does not exist"):
        Events.read(EventFile(tmp_path / f"missing.{ending}"))


@pytest.mark.parametrize("ending", ["csv.gz", "csv.xz", "parquet"])
@pytest.mark.parametrize(
    "content", [b"id\n1\n", gzip.compress(b"id\n1\n", mtime=0)[:-3], lzma.compress(b"id\n1\n")[:-3]]
)
def test_a_damaged_file_is_a_configuration_error(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"events.{ending}"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="damaged"):
        Events.read(EventFile(path))


def test_a_directory_is_no_events_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Is a directory"):
        Events.read(EventFile(tmp_path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "events.csv")
    with pytest.raises(ConfigurationError, match=r"events\.csv is a pipe or a device"):
        Events.read(EventFile(tmp_path / "events.csv"))


def test_a_byte_order_mark_blank_lines_and_quoted_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes('\ufeffid,x\r\n1,"a\r\nb"\r\n\r\n2,c\r\n'.encode())
    assert list(Events.read(EventFile(path)).vids()) == [1, 2]


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    days = [datetime(2013, 1, day, 5, tzinfo=UTC) for day in (1, 2, 3, 4)]
    columns = {
        "time": pyarrow.array(days, pyarrow.timestamp("ns", "UTC")),
        "person": [7, None, 9, 10],
        "ok": [True] * 3 + [False],
    }
    path = tmp_path / "events.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    file = EventFile(path, "person", {"ok": "true"}, "time")
    events = Events.read(file)
    assert list(events.vids()) == [7, 9]
    assert list(events.vids(microseconds(days[1]))) == [9]
    with pytest.raises(ConfigurationError, match=r"events\.parquet has no column id"):
        Events.read(EventFile(path))


def test_a_bad_row_of_a_parquet_file_is_numbered(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "events.parquet"
    parquet.write_table(pyarrow.table({"id": [1, 2, -3]}), path)
    with pytest.raises(ConfigurationError, match=r"row 3 of .*events\.parquet: the id is negative"):
        Events.read(EventFile(path))


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "events.parquet"
    path.touch()
    with pytest.raises(ConfigurationError, match="needs pyarrow") as caught:
        Events.read(EventFile(path))
    assert "gristmill[parquet]" in caught.value.cure
