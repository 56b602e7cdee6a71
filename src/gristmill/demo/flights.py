"""The demo's events, and the exact answer that a measurement of them is held against.

An aircraft (by its tail number) stands for a person, an airport for a publisher, a departure for an impression.
"""

from __future__ import annotations

import csv
import io
import lzma
from collections import Counter
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


@dataclass(frozen=True, slots=True)
class Truth:
    """What the raw events say.

    Attributes:
        reach: how many aircraft there are.
        frequency: 1..maximum -> share of the aircraft that departed that often; the last one means "or more".
    """

    reach: int
    frequency: dict[int, float]


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


def truth(events: Iterable[Departure], maximum_frequency: int) -> Truth:
    """The exact reach and frequency distribution of the union of all airports' events."""
    often = Counter(event.tail_number for event in events)
    aircraft = Counter(min(times, maximum_frequency) for times in often.values())
    reach = len(often)
    return Truth(reach, {times: aircraft[times] / reach for times in range(1, maximum_frequency + 1)})


def airport_csv(events: Iterable[Departure], airport: str) -> str:
    """One airport's events as the file that its data provider reads: date and tail number."""
    rows = (f"{event.day},{event.tail_number}\n" for event in events if event.airport == airport)
    return "date,tailnum\n" + "".join(rows)
