"""A pace for each caller, so that one data provider's burst does not starve the others."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """A token bucket a caller: `burst` calls at once, then `rate` calls a second.

    Callers are the authenticated parties of a server, so the number of buckets is bounded.
    """

    def __init__(self, rate: float = 20.0, burst: int = 100, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._now = rate, burst, now
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, caller: str) -> bool:
        """Whether one more call may go through now; it is counted if so."""
        now = self._now()
        level, since = self._buckets.get(caller, (float(self._burst), now))
        level = min(float(self._burst), level + (now - since) * self._rate)
        allowed = level >= 1.0
        self._buckets[caller] = (level - 1.0 if allowed else level, now)
        return allowed
