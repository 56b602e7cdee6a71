"""The population that frequency vectors are made over: which VIDs there are (share-shuffle specification, 3.1).

All data providers of a measurement must have the same population, or their vectors do not fit together.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final, Self

from gristmill.errors import ConfigurationError

LARGEST_VID: Final = 2**31 - 2
_RANGE: Final = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_CURE: Final = "Give --population=FIRST-LAST, both inclusive, as in 1-10000000; repeat it for further ranges."


@dataclass(frozen=True, slots=True)
class Population:
    """The union of disjoint ranges of VIDs, both ends inclusive; in any order. ConfigurationError if they overlap."""

    ranges: Sequence[tuple[int, int]]
    _starts: list[int] = field(init=False, repr=False, compare=False)
    _counted: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = sorted(self.ranges)
        if not ordered:
            raise ConfigurationError("the population has no range of VIDs", cure=_CURE)
        for first, last in ordered:
            if not 1 <= first <= last <= LARGEST_VID:
                raise ConfigurationError(
                    f"the population's range {first}-{last} is empty or not within 1-{LARGEST_VID}", cure=_CURE
                )
        for (first, last), (following, end) in pairwise(ordered):
            if following <= last:
                raise ConfigurationError(
                    f"the population's ranges {first}-{last} and {following}-{end} overlap",
                    cure="Count every VID once.",
                )
        object.__setattr__(self, "ranges", tuple(ordered))
        object.__setattr__(self, "_starts", [first for first, _ in ordered])
        sizes = (last - first + 1 for first, last in ordered)
        object.__setattr__(self, "_counted", list(accumulate(sizes, initial=0)))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Of ranges such as `1-10000000`. Raises ConfigurationError."""
        ranges = []
        for text in texts:
            match = _RANGE.fullmatch(text)
            if match is None:
                raise ConfigurationError(f"{text!r} is no range of VIDs", cure=_CURE)
            ranges.append((int(match[1]), int(match[2])))
        return cls(ranges)

    def __str__(self) -> str:
        return ", ".join(f"{first}-{last}" for first, last in self.ranges)

    @property
    def size(self) -> int:
        """How many VIDs there are."""
        return self._counted[-1]

    def __contains__(self, vid: object) -> bool:
        if not isinstance(vid, int):
            return False
        place = bisect_right(self._starts, vid) - 1
        return place >= 0 and vid <= self.ranges[place][1]

    def at(self, position: int) -> int:
        """The VID at a position from 0 in ascending order; a position beyond the last one starts over."""
        position %= self.size
        place = bisect_right(self._counted, position) - 1
        return self._starts[place] + position - self._counted[place]
