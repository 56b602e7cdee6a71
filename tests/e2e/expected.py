"""What a measurement without noise must give, computed from the events with no encryption in between."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from gristmill import _native as native
from gristmill.consumer.request import Privacy
from gristmill.demo.flights import AIRPORTS, Departure, airport_csv, departures
from gristmill.edp.events import vid

WITHOUT_NOISE = Privacy(epsilon=100.0, delta=0.5)
"""Each duchy's share of the noise has a standard deviation of a hundredth: every draw is zero."""

DECAY_RATE, SKETCH_SIZE, KEYS = 12.0, 100_000, 10_000_000
"""The development kingdom's sketch parameters."""


def some_departures(count: int) -> list[Departure]:
    """About `count` of the demo's week, spread over airports and days, with aircraft that return."""
    aircraft = sorted({event.tail_number for event in departures("week")})
    chosen = set(aircraft[:: max(1, 2048 // max(1, count // 3))])
    return [event for event in departures("week") if event.tail_number in chosen]


def providers(events: Iterable[Departure]) -> dict[str, str]:
    """Data provider -> its events as CSV."""
    events = list(events)
    return {code.lower(): airport_csv(events, code) for code in AIRPORTS}


def expected(events: Mapping[str, str], maximum_frequency: int) -> tuple[int, dict[int, float]]:
    """Reach and frequency distribution of the joined sketches."""
    keys: dict[int, set[int]] = defaultdict(set)
    often: Counter[int] = Counter()
    for text in events.values():
        vids = [vid(line.split(",")[1]) for line in text.splitlines()[1:]]
        sketch = native.build_sketch(vids, decay_rate=DECAY_RATE, size=SKETCH_SIZE, sampling_indicator_size=KEYS)
        for index, key, frequency in sketch:
            keys[index].add(key)
            often[index] += frequency
    reach = native.estimate_reach(decay_rate=DECAY_RATE, size=SKETCH_SIZE, active=len(keys), sampling_width=1.0)
    intact = [index for index, found in keys.items() if len(found) == 1 and 0 not in found]
    histogram = Counter(min(often[index], maximum_frequency) for index in intact)
    return reach, {times: count / len(intact) for times, count in sorted(histogram.items())}
