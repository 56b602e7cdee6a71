"""Events from a CSV file: whose they are and when they were. No event is ever logged.

The ID of an event's person is text. One that is written as a decimal integer from 0 to 2^63 - 1, without leading zeros
or signs, is the VID itself. Every other one becomes a VID by a hash: the first 8 bytes of the SHA-256 of its UTF-8
text, big-endian, with the top bit cleared. All data providers of a measurement must do the same.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import lzma
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from gristmill.errors import ConfigurationError

_LARGEST_VID = 2**63 - 1
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class EventFile:
    """A CSV file with a header line (plain, .gz or .xz), and which of its rows are events.

    A row counts if every column of `where` has exactly the given value, its ID is not empty and its time (ISO 8601;
    without a zone: UTC) lies in [start, end). Without `time_column` events have no time.
    """

    path: Path
    id_column: str = "id"
    where: Mapping[str, str] = field(default_factory=dict)
    time_column: str | None = None
    start: datetime | None = None
    end: datetime | None = None


class Events:
    """VIDs of events in the file's order, with their times in microseconds since the epoch if the file has any."""

    __slots__ = ("_times", "_vids")

    def __init__(self, vids: array[int], times: array[int] | None) -> None:
        self._vids = vids
        self._times = times

    @classmethod
    def of(cls, vids: Iterable[int]) -> Self:
        """Events that have no time."""
        return cls(array("q", vids), None)

    @classmethod
    def read(cls, file: EventFile) -> Self:
        """Raises ConfigurationError that names the file and the line, never what is in it."""
        vids, times = array("q"), array("q")
        start = microseconds(file.start) if file.start else None
        end = microseconds(file.end) if file.end else None
        try:
            with _open(file.path) as lines:
                rows = csv.DictReader(lines)
                _check_columns(file, rows.fieldnames or ())
                for row in rows:
                    if any(row[column] != value for column, value in file.where.items()) or not row[file.id_column]:
                        continue
                    if file.time_column is not None:
                        time = _time(row[file.time_column], file.path, rows.line_num)
                        if (start is not None and time < start) or (end is not None and time >= end):
                            continue
                        times.append(time)
                    vids.append(vid(row[file.id_column]))
        except (OSError, UnicodeDecodeError, csv.Error, lzma.LZMAError, EOFError) as error:
            raise ConfigurationError(
                f"the events file {file.path} cannot be read: {type(error).__name__}", cure="Check --events-file."
            ) from None
        return cls(vids, None if file.time_column is None else times)

    def __len__(self) -> int:
        return len(self._vids)

    @property
    def timed(self) -> bool:
        return self._times is not None

    def vids(self, start: int | None = None, end: int | None = None) -> list[int]:
        """The VIDs of events in [start, end), in microseconds since the epoch; one for each event."""
        if start is None and end is None:
            return self._vids.tolist()
        if self._times is None:
            raise ValueError("these events have no times")
        low, high = start if start is not None else -(2**63), end if end is not None else 2**63
        return [one for one, time in zip(self._vids, self._times, strict=True) if low <= time < high]


def vid(text: str) -> int:
    """The VID of an ID, by the rule at the top of this module."""
    if _INTEGER.fullmatch(text) and (number := int(text)) <= _LARGEST_VID:
        return number
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & _LARGEST_VID


def microseconds(time: datetime) -> int:
    """Microseconds since the epoch, exactly; a time without a zone is UTC."""
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _open(path: Path) -> io.TextIOBase:
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8", newline="")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _check_columns(file: EventFile, present: object) -> None:
    wanted = [file.id_column, *file.where, *([file.time_column] if file.time_column else [])]
    missing = [column for column in wanted if column not in (present or ())]  # type: ignore[operator]
    if missing:
        raise ConfigurationError(
            f"the events file {file.path} has no column {', '.join(missing)}", cure="Check its header line."
        )


def _time(text: str | None, path: Path, line: int) -> int:
    try:
        return microseconds(datetime.fromisoformat(text or ""))
    except ValueError:
        raise ConfigurationError(f"line {line} of {path} has no ISO 8601 time") from None
