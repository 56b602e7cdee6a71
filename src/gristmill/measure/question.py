"""What is asked of a measurement, with every parameter in its range before anything is started."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gristmill.consumer.request import MeasurementRequest, Privacy
from gristmill.measure.method import Method, Shares, Sketch, require

LEAST_DUCHIES: Final = 3
MOST_DUCHIES: Final = 20
SHARE_SHUFFLE_DUCHIES: Final = 3
LEAST_EPSILON: Final = 1e-5
"""Duchies refuse a computation with less."""
LARGEST_EPSILON: Final = 500
LEAST_DELTA: Final = 1e-50
"""Beyond these the noise's bounds leave the range of double precision, and the duchies would find no noise to add."""
LEAST_WIDTH: Final = 1e-9
"""One person in a billion: with less a few registers would stand for more people than fit 64 bits."""
LARGEST_FREQUENCY: Final = 1000
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """Reach and frequency, how private, of whom and when.

    Attributes:
        frequency: privacy of the frequencies; None: only reach is measured.
        maximum_frequency: the highest that is told from those above; of no meaning when only reach is measured.
        sampling: start and width of the interval of people (by the hash of their VID, in [0, 1)) that are counted.
        start, end: only events from `start` on and before `end`; without a zone: UTC. None: no limit.
        method: how people are counted.
        duchies: their IDs, the aggregator last.

    ConfigurationError names the flag of `gristmill measure` that is out of range.
    """

    reach: Privacy = field(default_factory=lambda: Privacy(1.0, 1e-5))
    frequency: Privacy | None = field(default_factory=lambda: Privacy(1.0, 1e-5))
    maximum_frequency: int = 10
    sampling: tuple[float, float] = (0.0, 1.0)
    start: datetime | None = None
    end: datetime | None = None
    method: Method = field(default_factory=Sketch)
    duchies: tuple[str, ...] = ("worker1", "worker2", "aggregator")

    def __post_init__(self) -> None:
        _require_privacy("reach", self.reach)
        if self.frequency is not None:
            _require_privacy("frequency", self.frequency)
        require(
            2 <= self.maximum_frequency <= LARGEST_FREQUENCY,
            f"--max-frequency must lie between 2 and {LARGEST_FREQUENCY}, and {self.maximum_frequency} does not",
            "10 is usual: people who were seen more often are counted as 10 or more.",
        )
        start, width = self.sampling
        require(
            LEAST_WIDTH <= width <= 1,
            f"the width of --vid-sampling must lie in (0, 1] and be {LEAST_WIDTH:g} or more, and {width:g} is not so",
            _SAMPLING,
        )
        require(
            0 <= start < 1 and _single(start) < 1,
            f"the start of --vid-sampling must lie in [0, 1), and {start:g} does not",
            _SAMPLING,
        )
        by_shares = isinstance(self.method, Shares)
        require(
            by_shares or _single(start + width) <= 1,
            f"--vid-sampling must end at 1 or before, and {start:g} + {width:g} is {start + width:g}",
            _SAMPLING,
        )
        require(
            not by_shares or len(self.duchies) == SHARE_SHUFFLE_DUCHIES,
            f"share shuffle is computed by two workers and an aggregator, and not by {len(self.duchies)} duchies",
            "Leave --duchies out.",
        )
        require(
            self.start is None or self.end is None or _aware(self.start) < _aware(self.end),
            "--from must be before --to",
            "--to itself is no longer part of the period.",
        )
        for name, time in (("from", self.start), ("to", self.end)):
            require(
                time is None or _EARLIEST <= _aware(time) <= _LATEST,
                f"--{name} must lie in the years 1 to 9999 of UTC",
                "Leave it out for no limit.",
            )

    @property
    def frequencies(self) -> int:
        """How many are told apart; 0 when only reach is measured."""
        return self.maximum_frequency if self.frequency is not None else 0

    def period(self) -> tuple[datetime, datetime] | None:
        """From inclusive, to exclusive, with time zones; None for all events."""
        if self.start is None and self.end is None:
            return None
        return _aware(self.start or _EARLIEST), _aware(self.end or _LATEST)

    def request(self, data_providers: Iterable[str]) -> MeasurementRequest:
        """The measurement as its consumer asks for it, of data providers by their resource names."""
        start, width = self.sampling
        return MeasurementRequest(
            data_providers=tuple(data_providers),
            reach=self.reach,
            frequency=self.frequency,
            maximum_frequency=self.maximum_frequency,
            sampling_start=start,
            sampling_width=width,
            period=self.period(),
        )


_SAMPLING = "--vid-sampling=0.1 counts a tenth of the people, --vid-sampling=0.3:0.1 another tenth."


def duchies(count: int) -> tuple[str, ...]:
    """`worker1` and so on, and the aggregator; ConfigurationError for fewer than Liquid Legions V2 needs."""
    require(
        LEAST_DUCHIES <= count <= MOST_DUCHIES,
        f"--duchies must lie between {LEAST_DUCHIES} and {MOST_DUCHIES}, and {count} does not",
        "Liquid Legions V2 needs three duchies: with two, each is the other's only check.",
    )
    return (*(f"worker{number}" for number in range(1, count)), "aggregator")


def _require_privacy(what: str, privacy: Privacy) -> None:
    require(
        LEAST_EPSILON <= privacy.epsilon <= LARGEST_EPSILON,
        f"--{what}-epsilon must be {LEAST_EPSILON:g} or more and at most {LARGEST_EPSILON}, and {privacy.epsilon:g} "
        "is not",
        "The smaller it is, the more noise; 1 is usual.",
    )
    require(
        LEAST_DELTA <= privacy.delta < 1,
        f"--{what}-delta must be {LEAST_DELTA:g} or more and less than 1, and {privacy.delta:g} is not",
        "1e-5 is usual; choose it well below 1 / people.",
    )


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _single(value: float) -> float:
    """As the wire has it: 0.6 + 0.4 exceeds 1 in double precision only."""
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)
