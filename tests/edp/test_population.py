"""Which VIDs there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gristmill.edp.events import EventFile, Events, vid
from gristmill.edp.population import LARGEST_VID, Population
from gristmill.errors import ConfigurationError, EventsInvalid

GAPS = Population([(20, 22), (1, 3), (10, 10)])


def test_the_order_in_which_ranges_are_given_makes_no_difference() -> None:
    assert Population([(1, 3), (10, 10), (20, 22)]) == GAPS
    assert (GAPS.size, str(GAPS)) == (7, "1-3, 10-10, 20-22")


def test_every_position_has_a_vid_of_its_own() -> None:
    assert [GAPS.at(position) for position in range(7)] == [1, 2, 3, 10, 20, 21, 22]
    assert GAPS.at(7) == 1


def test_it_contains_the_vids_of_its_ranges_only() -> None:
    assert [number for number in range(-1, 30) if number in GAPS] == [1, 2, 3, 10, 20, 21, 22]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "no range"),
        (["0-5"], "not within 1-2147483646"),
        ([f"1-{LARGEST_VID + 1}"], "not within"),
        (["5-4"], "empty"),
        (["1-5", "5-9"], "1-5 and 5-9 overlap"),
        (["3-4", "1-9"], "1-9 and 3-4 overlap"),
        (["1..9"], "'1..9' is no range"),
        (["10"], "'10' is no range"),
        (["1-99999999999"], "is no range"),
    ],
)
def test_what_is_no_population_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Population.parse(texts)


def test_texts_are_spread_over_the_population() -> None:
    chosen = {vid(f"person-{number}", GAPS) for number in range(200)}
    assert chosen == {1, 2, 3, 10, 20, 21, 22}


def test_an_integer_outside_the_population_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("id\n3\n4\n")
    with pytest.raises(EventsInvalid, match=r"line 3 of .*: the id is outside the population 1-3, 10-10, 20-22"):
        Events.read(EventFile(path, population=GAPS))
    path.write_text("id\n3\n10\n")
    assert list(Events.read(EventFile(path, population=GAPS)).vids()) == [3, 10]
