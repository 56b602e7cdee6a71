from __future__ import annotations

from collections import Counter

import pytest

from gristmill.demo.flights import AIRPORTS, Departure, airport_csv, departures, truth


@pytest.mark.parametrize(
    ("period", "flights", "aircraft"), [("week", 6_091, 2_048), ("month", 26_849, 3_148), ("year", 334_264, 4_043)]
)
def test_a_period_has_exactly_the_published_flights(period: str, flights: int, aircraft: int) -> None:
    events = departures(period)
    assert len(events) == flights
    assert truth(events, 10).reach == aircraft
    assert {event.airport for event in events} == set(AIRPORTS)


def test_the_exact_frequencies_are_those_of_a_plain_count() -> None:
    events = departures("week")
    often = Counter(Counter(event.tail_number for event in events).values())
    exact = truth(events, 10)
    assert sum(exact.frequency.values()) == pytest.approx(1)
    assert exact.frequency[1] == often[1] / 2_048
    assert exact.frequency[10] == sum(n for times, n in often.items() if times >= 10) / 2_048


def test_an_airport_gets_only_its_own_departures() -> None:
    events = departures("week")
    lines = [airport_csv(events, airport).splitlines() for airport in AIRPORTS]
    assert sum(len(own) - 1 for own in lines) == len(events)
    ewr = Departure(events[0].day, "EWR", "N1")
    assert airport_csv([ewr, Departure(ewr.day, "JFK", "N2")], "EWR") == f"date,tailnum\n{ewr.day},N1\n"
