from __future__ import annotations

from collections import Counter

import pytest

from gristmill.demo.flights import departures
from gristmill.measure.truth import Truth, truth


def test_the_exact_frequencies_are_those_of_a_plain_count() -> None:
    events = departures("week")
    often = Counter(Counter(event.tail_number for event in events).values())
    exact = truth((event.tail_number for event in events), 10)
    assert exact.reach == 2_048
    assert sum(exact.frequency.values()) == pytest.approx(1)
    assert exact.frequency[1] == often[1] / 2_048
    assert exact.frequency[10] == sum(n for times, n in often.items() if times >= 10) / 2_048


def test_nobody_has_no_frequency() -> None:
    assert truth([], 2) == Truth(0, {1: 0.0, 2: 0.0})
