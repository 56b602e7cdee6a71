"""Rows of a table in a file, as text: CSV with a header line (plain, .gz or .xz), or Parquet.

Errors name the file and the line, never what is in it.
"""

from __future__ import annotations

import csv
import gzip
import lzma
import math
import stat
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

from gristmill.errors import ConfigurationError, EventsInvalid

_PARQUET = (".parquet", ".pq")
_BATCH_ROWS = 65_536


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """For each row its number (see `place`) and the text of these columns; a missing value is empty text.

    ConfigurationError if the file cannot be read, is empty, lacks a column or has a broken line.
    """
    with _readable(path):
        if stat.S_ISFIFO(mode := path.stat().st_mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode):
            raise EventsInvalid(
                f"the events file {path} is a pipe or a device", cure="Write the events to a file: it is read twice."
            )
        yield from _parquet(path, columns) if _is_parquet(path) else _csv(path, columns)


def place(path: Path, number: int) -> str:
    """`line 7`, or of Parquet `row 7`."""
    return f"{'row' if _is_parquet(path) else 'line'} {number}"


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in _PARQUET


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise EventsInvalid(f"the events file {path} does not exist", cure="Check its path.") from None
    except (lzma.LZMAError, EOFError, zlib.error, gzip.BadGzipFile):
        raise EventsInvalid(
            f"the events file {path} is damaged, or not compressed as its name says", cure="Copy or compress it again."
        ) from None
    except OSError as error:
        raise EventsInvalid(
            f"the events file {path} cannot be read: {error.strerror}", cure="Check its path and permissions."
        ) from None


def _csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    with _open(path) as file:
        reader, first = csv.reader(_lines(file, path), strict=True), 1
        try:
            header = next(reader, None)
            if not header:
                raise EventsInvalid(
                    f"the events file {path} is empty" if header is None else f"line 1 of {path} is blank",
                    cure="It needs a header line with the names of its columns.",
                )
            places = _places(path, header, columns, "Check its first line, and that commas separate its columns.")
            width = len(header)
            first = reader.line_num + 1
            for fields in reader:  # a record: in quotes it may go over several lines, and is known by its first
                if len(fields) == width:
                    yield first, tuple([fields[place] for place in places])
                elif fields:  # a blank line is none
                    raise EventsInvalid(
                        f"line {first} of {path} has {len(fields)} columns, and its header line has {width}",
                        cure="Mend or remove the line.",
                    )
                first = reader.line_num + 1
        except csv.Error as error:
            reason = "there is a carriage return inside" if "new-line" in str(error) else error
            raise EventsInvalid(
                f"line {first} of {path} is not CSV: {reason}",
                cure="Check that every quote is closed, and that lines end with a line feed.",
            ) from None


def _open(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".xz":
        return lzma.open(path, "rb")
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _lines(file: IO[bytes], path: Path) -> Iterator[str]:
    """Decoded one by one, so that the number of a line that is not UTF-8 is known."""
    for number, line in enumerate(file, 1):
        try:
            yield (line.removeprefix(BOM_UTF8) if number == 1 else line).decode()
        except UnicodeDecodeError:
            raise EventsInvalid(f"line {number} of {path} is not UTF-8", cure="Save the file as UTF-8.") from None


def _places(path: Path, present: Sequence[str], wanted: Sequence[str], cure: str) -> list[int]:
    for column in wanted:
        if present.count(column) != 1:
            how = "has no column" if column not in present else "has more than one column"
            raise EventsInvalid(f"the events file {path} {how} {column or 'without a name'}", cure=cure)
    return [present.index(column) for column in wanted]


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError(
            f"reading {path} needs pyarrow, which is not installed", cure="pip install 'gristmill[parquet]'"
        ) from None
    with path.open("rb") as opened:
        try:
            file = parquet.ParquetFile(opened)
            _places(path, file.schema_arrow.names, columns, "Check the file's schema.")
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=list(dict.fromkeys(columns))):
                texts = [_texts(batch.column(column), pyarrow) for column in columns]
                for values in zip(*texts, strict=True):
                    number += 1
                    yield number, values
        except pyarrow.ArrowException:
            raise EventsInvalid(
                f"the events file {path} is not Parquet, or damaged", cure="Write or copy it again."
            ) from None


def _texts(column: Any, pyarrow: Any) -> list[str]:
    if pyarrow.types.is_timestamp(column.type):  # Python's times have no nanoseconds
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)
