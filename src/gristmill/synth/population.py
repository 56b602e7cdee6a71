"""A synthetic population, person by person, and its exact reach and frequency.

The same parameters and seed give the same events for ever: only `random()` and `seed()` of Python's generator are used,
which alone are promised not to change between versions (docs of the `random` module, "Notes on Reproducibility").
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

from gristmill.errors import ConfigurationError

DEVICES: Final = (("phone", 0.55), ("tv", 0.8), ("desktop", 1.0))
"""Names and cumulative shares of the column to filter by."""
LARGEST_MEAN: Final = 100.0
_DAY: Final = 86_400

Draw = Callable[[random.Random], int]
"""How often a publisher that reaches a person at all shows the campaign: 1 or more."""


@dataclass(frozen=True, slots=True)
class Population:
    """What to make.

    Attributes:
        people: how many are reached by one publisher at least: the exact reach.
        publishers: how many; each person's first one is drawn uniformly.
        overlap: probability that a further publisher reaches a person, for each of them.
        frequency: events of a person at a publisher: `constant:N`, `uniform:LOW:HIGH`, `geometric:MEAN` or
            `poisson:MEAN` (of 1 plus a Poisson number).
        start, days: events are spread evenly over this time, in whole seconds; the start is one, in UTC.
        text_ids: `person-17` instead of 17.
    """

    people: int
    publishers: int = 3
    overlap: float = 0.3
    frequency: str = "geometric:2"
    seed: int = 1
    start: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    days: int = 28
    text_ids: bool = False

    def __post_init__(self) -> None:
        """ConfigurationError for what cannot be made."""
        for what, value in (("people", self.people), ("publishers", self.publishers), ("days", self.days)):
            if value < 1:
                raise ConfigurationError(f"there must be at least 1 of {what}, not {value}")
        if not 0 <= self.overlap <= 1:
            raise ConfigurationError(f"the overlap is a probability from 0 to 1, and {self.overlap:g} is not")
        draw(self.frequency)
        try:
            self.start + timedelta(days=self.days)
        except OverflowError:
            raise ConfigurationError(f"{self.days} days from {self.start:%Y-%m-%d} end after the year 9999") from None

    def names(self) -> tuple[str, ...]:
        """The publishers, `publisher1` first."""
        return tuple(f"publisher{number}" for number in range(1, self.publishers + 1))


class Event(NamedTuple):
    """A publisher showed the campaign to a person."""

    publisher: str
    person: str
    time: str
    device: str


@dataclass(slots=True)
class Exact:
    """The exact answer, counted while the events go by."""

    reach: int = 0
    events: Counter[str] = field(default_factory=Counter)
    reach_of: Counter[str] = field(default_factory=Counter)
    frequency: Counter[int] = field(default_factory=Counter)
    """Times seen, over all publishers -> how many people."""


def events(population: Population, exact: Exact) -> Iterator[Event]:
    """All events, one person after the other; `exact` is complete when they have been taken."""
    generator = random.Random(population.seed)  # noqa: S311 (nothing is kept secret by it)
    often = draw(population.frequency)
    names = population.names()
    seconds = population.days * _DAY
    time_of = _clock(population.start, population.days)
    for number in range(1, population.people + 1):
        person = f"person-{number}" if population.text_ids else str(number)
        first = int(generator.random() * len(names))
        times = 0
        for place, name in enumerate(names):
            if place != first and generator.random() >= population.overlap:
                continue
            count = often(generator)
            exact.reach_of[name] += 1
            exact.events[name] += count
            times += count
            for _ in range(count):
                time = time_of(int(generator.random() * seconds))
                yield Event(name, person, time, _device(generator.random()))
        exact.reach += 1
        exact.frequency[times] += 1


def _clock(start: datetime, days: int) -> Callable[[int], str]:
    """Seconds after the start as ISO 8601, from tables of days and times of day: there may be millions of events."""
    midnight = datetime(start.year, start.month, start.day, tzinfo=start.tzinfo)
    since = int((start - midnight).total_seconds())
    dates = [(midnight + timedelta(days=day)).strftime("%Y-%m-%d") for day in range(days + (since > 0))]
    times, zone = _times_of_day(), start.isoformat()[len("2024-01-01T00:00:00") :]

    def text(seconds: int) -> str:
        day, second = divmod(since + seconds, _DAY)
        return dates[day] + times[second] + zone

    return text


@cache
def _times_of_day() -> list[str]:
    return [f"T{hour:02}:{minute:02}:{second:02}" for hour in range(24) for minute in range(60) for second in range(60)]


def draw(distribution: str) -> Draw:
    """The draw that a name such as `uniform:1:5` stands for; ConfigurationError if it stands for none."""
    name, *texts = distribution.split(":")
    numbers = [_number(text, distribution) for text in texts]
    whole = all(number == int(number) and number >= 1 for number in numbers)
    match name, numbers:
        case "constant", [times] if whole:
            return lambda _: int(times)
        case "uniform", [low, high] if whole and low <= high:
            return lambda generator: int(low) + int(generator.random() * (int(high) - int(low) + 1))
        case "geometric", [mean] if 1 <= mean <= LARGEST_MEAN:
            return _geometric(mean)
        case "poisson", [mean] if 1 <= mean <= LARGEST_MEAN:
            return _poisson(mean - 1)
    raise ConfigurationError(
        f"there is no frequency distribution {distribution}",
        cure="Give constant:N, uniform:LOW:HIGH (integers from 1), geometric:MEAN or poisson:MEAN (from 1 to 100).",
    )


def _number(text: str, distribution: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigurationError(
            f"{text!r} in the frequency distribution {distribution} is not a number", cure="Write geometric:2, say."
        )
    return number


def _geometric(mean: float) -> Draw:
    """By inversion: the least n with 1 - (1 - 1/mean)^n above a uniform number."""
    if mean == 1:
        return lambda _: 1
    logarithm = math.log1p(-1 / mean)
    return lambda generator: 1 + int(math.log1p(-generator.random()) / logarithm)


def _poisson(mean: float) -> Draw:
    """1 plus a Poisson number, by multiplication (Knuth, The Art of Computer Programming, volume 2, 3.4.1)."""
    limit = math.exp(-mean)

    def one(generator: random.Random) -> int:
        count, product = 1, generator.random()
        while product > limit:
            count += 1
            product *= generator.random()
        return count

    return one


def _device(share: float) -> str:
    return next(name for name, upto in DEVICES if share < upto)
