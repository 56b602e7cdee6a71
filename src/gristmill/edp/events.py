"""Events from a file: whose they are and when they were. No event is ever logged.

The ID of an event's person is text. One that is written as a decimal integer from 0 to 2^63 - 1, without leading zeros
or signs, is the VID itself. A negative number, a decimal fraction, a number like 1.2E+11, and what begins or ends with
a space is no ID: it is far more likely an accident on the way here (an overflow, an integer that became a float, a
spreadsheet, padding) than a name, and the same person would be another one elsewhere. Every other one becomes a VID by
a hash: the first 8 bytes of the SHA-256 of its UTF-8 text, big-endian, with the top bit cleared. All data providers of
a measurement must do the same.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from gristmill.edp.population import Population
from gristmill.edp.rows import place, rows
from gristmill.errors import EventsInvalid

_LARGEST_VID = 2**63 - 1
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_FRACTION = r"(?:[0-9]+\.[0-9]*|\.[0-9]+)"
_EXPONENT = r"[eE][+-]?[0-9]+"
_NO_ID = {
    "begins or ends with a space": re.compile(r"\s.*|.*\s", re.DOTALL),
    "is negative": re.compile(rf"[-\u2212](?:[0-9]+|{_FRACTION})(?:{_EXPONENT})?"),
    "is a decimal fraction": re.compile(rf"\+?{_FRACTION}"),
    "has an exponent, as spreadsheets write long numbers": re.compile(rf"\+?{_FRACTION}{_EXPONENT}|[0-9]+[eE]\+[0-9]+"),
}
"""What an ID cannot be. 12e5 is none of these: it may be hexadecimal."""


@dataclass(frozen=True, slots=True)
class EventFile:
    """A CSV file with a header line (plain, .gz or .xz) or a Parquet file, and which of its rows are events.

    A row counts if every column of `where` has exactly the given value, its ID is not empty and its time (ISO 8601;
    without a zone: UTC) lies in [start, end). Without `time_column` events have no time. `integer_ids` refuses text.
    `population` has all VIDs that there may be; None: any integer from 0 to 2^63 - 1.
    """

    path: Path
    id_column: str = "id"
    where: Mapping[str, str] = field(default_factory=dict)
    time_column: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    integer_ids: bool = False
    population: Population | None = None


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
        timed = file.time_column is not None
        wanted = tuple(file.where.values())
        columns = [file.id_column, *file.where, *([file.time_column] if file.time_column is not None else [])]
        fast, (first, last) = _INTEGER.fullmatch, _largest_range(file.population)
        for number, values in rows(file.path, columns):
            text = values[0]
            if not text or (wanted and values[1 : 1 + len(wanted)] != wanted):
                continue
            if timed:
                time = _time(values[-1], number, file.path)
                if (start is not None and time < start) or (end is not None and time >= end):
                    continue
                times.append(time)
            if fast(text) and first <= (found := int(text)) <= last:  # most are
                vids.append(found)
            else:
                vids.append(_vid(text, number, file))
        return cls(vids, times if timed else None)

    def __len__(self) -> int:
        return len(self._vids)

    @property
    def timed(self) -> bool:
        return self._times is not None

    def vids(self, start: int | None = None, end: int | None = None) -> array[int]:
        """The VIDs of events in [start, end), in microseconds since the epoch; one for each event, 8 bytes each."""
        if start is None and end is None:
            return self._vids
        if self._times is None:
            raise ValueError("these events have no times")
        low, high = start if start is not None else -(2**63), end if end is not None else 2**63
        return array("q", (one for one, time in zip(self._vids, self._times, strict=True) if low <= time < high))


def vid(text: str, population: Population | None = None) -> int:
    """The VID of an ID, by the rule at the top of this module; ValueError for a number that is no ID."""
    if _INTEGER.fullmatch(text) and (number := int(text)) <= _LARGEST_VID:
        if population is not None and number not in population:
            raise ValueError(f"is outside the population {population}")
        return number
    for what, pattern in _NO_ID.items():
        if pattern.fullmatch(text):
            raise ValueError(what)
    hashed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") & _LARGEST_VID
    return hashed if population is None else population.at(hashed)


def microseconds(time: datetime) -> int:
    """Microseconds since the epoch, exactly; a time without a zone is UTC."""
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _largest_range(population: Population | None) -> tuple[int, int]:
    """Of integers that are VIDs."""
    if population is None:
        return 0, _LARGEST_VID
    return max(population.ranges, key=lambda both: both[1] - both[0])


def _vid(text: str, number: int, file: EventFile) -> int:
    try:
        found = vid(text, file.population)
    except ValueError as error:
        integers = "integers from 0 to 2^63 - 1" if file.population is None else "integers that --population holds"
        raise EventsInvalid(
            f"{place(file.path, number)} of {file.path}: the {file.id_column} {error}",
            cure=f"Write IDs as {integers}, or as text that is no number and has no space around it.",
        ) from None
    if file.integer_ids and str(found) != text:
        raise EventsInvalid(
            f"{place(file.path, number)} of {file.path}: the {file.id_column} is not an integer from 0 to 2^63 - 1",
            cure="Mend the ID, or leave out --integer-ids: then text is hashed.",
        )
    return found


def _time(text: str, number: int, path: Path) -> int:
    try:
        return microseconds(datetime.fromisoformat(text))
    except ValueError:
        raise EventsInvalid(
            f"{place(path, number)} of {path} has no ISO 8601 time",
            cure="Write times as 2024-01-31 or 2024-01-31T17:05:00+01:00.",
        ) from None
