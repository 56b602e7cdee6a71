"""The demo's events.

An aircraft (by its tail number) stands for a person, an airport for a publisher, a departure for an impression.
"""

from __future__ import annotations

import csv
import io
import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

AIRPORTS = {"EWR": "Newark", "JFK": "John F. Kennedy", "LGA": "LaGuardia"}

PERIODS = {
    "week": (date(2013, 1, 1), date(2013, 1, 7)),
    "month": (date(2013, 1, 1), date(2013, 1, 31)),
    "year": (date(2013, 1, 1), date(2013, 12, 31)),
}
"""Name -> first and last day, both inclusive."""


@dataclass(frozen=True, slots=True)
class Departure:
    """One row of the file."""

    day: date
    airport: str
    tail_number: str


def departures(period: str) -> list[Departure]:
    """The departures of a period of `PERIODS`, sorted by day, airport and tail number."""
    first, last = (day.isoformat() for day in PERIODS[period])
    packed = files("gristmill.demo").joinpath("data/flights.csv.xz").read_bytes()
    rows = csv.DictReader(io.StringIO(lzma.decompress(packed).decode()))
    return [
        Departure(date.fromisoformat(row["date"]), row["origin"], row["tailnum"])
        for row in rows
        if first <= row["date"] <= last
    ]


def airport_csv(events: Iterable[Departure], airport: str) -> str:
    """One airport's events as the file that its data provider reads: date and tail number."""
    rows = (f"{event.day},{event.tail_number}\n" for event in events if event.airport == airport)
    return "date,tailnum\n" + "".join(rows)
