"""The exact answer that a measurement is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Truth:
    """What the raw events say.

    Attributes:
        reach: how many people there are.
        frequency: 1..maximum -> share of the people who were seen that often; the last one means "or more".
    """

    reach: int
    frequency: dict[int, float]


def truth(people: Iterable[Hashable], maximum_frequency: int) -> Truth:
    """The exact reach and frequency distribution of events, given by whose each of them is.

    With maximum frequency 0 there is no distribution.
    """
    often = Counter(people)
    counts = Counter(min(times, maximum_frequency) for times in often.values())
    reach = len(often)
    return Truth(reach, {times: counts[times] / max(1, reach) for times in range(1, maximum_frequency + 1)})
