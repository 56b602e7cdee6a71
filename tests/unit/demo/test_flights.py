from __future__ import annotations

import pytest

from gristmill.demo.flights import AIRPORTS, Departure, airport_csv, departures


@pytest.mark.parametrize(
    ("period", "flights", "aircraft"), [("week", 6_091, 2_048), ("month", 26_849, 3_148), ("year", 334_264, 4_043)]
)
def test_a_period_has_exactly_the_published_flights(period: str, flights: int, aircraft: int) -> None:
    events = departures(period)
    assert len(events) == flights
    assert len({event.tail_number for event in events}) == aircraft
    assert {event.airport for event in events} == set(AIRPORTS)


def test_an_airport_gets_only_its_own_departures() -> None:
    events = departures("week")
    lines = [airport_csv(events, airport).splitlines() for airport in AIRPORTS]
    assert sum(len(own) - 1 for own in lines) == len(events)
    ewr = Departure(events[0].day, "EWR", "N1")
    assert airport_csv([ewr, Departure(ewr.day, "JFK", "N2")], "EWR") == f"date,tailnum\n{ewr.day},N1\n"
