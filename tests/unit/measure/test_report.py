from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from gristmill.measure.report import Answer, Estimate, StageTime, bar, results, stage_times, verdict
from gristmill.measure.truth import Truth

ANSWER = Answer(Estimate(2071, 1975, 2160), {1: Estimate(0.6, 0.55, 0.65), 2: Estimate(0.4, 0.35, 0.45)})
EXACT = Truth(2048, {1: 0.62, 2: 0.38})


def printed(renderable: RenderableType, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_measured_values_stand_beside_their_intervals_and_the_exact_ones() -> None:
    text = printed(results(ANSWER, EXACT))
    for part in ("2,071", "1,975 to 2,160", "2,048", "60.0%", "55.0% to 65.0%", "62.0%", "2 or more"):
        assert part in text


def test_eighty_columns_are_enough() -> None:
    wide = Answer(Estimate(334_264, 331_000, 337_999), {n: Estimate(0.1, 0.05, 0.15) for n in range(1, 11)})
    text = printed(results(wide, Truth(335_000, dict.fromkeys(range(1, 11), 0.1))))
    assert "…" not in text
    assert len(text.splitlines()) == 13


def test_a_bar_shows_interval_and_exact_value_in_place() -> None:
    drawn = bar(Estimate(0.5, 0.4, 0.6), 0.5, scale=1.0, unicode=False)
    assert drawn.index("=") == round(0.4 * 25)
    assert drawn.index("|") == round(0.5 * 25)
    assert len(drawn) == round(0.6 * 25) + 1


def test_an_exact_value_outside_its_interval_is_counted() -> None:
    assert verdict(ANSWER, EXACT).startswith("3 of 3")
    assert verdict(ANSWER, Truth(1, EXACT.frequency)).startswith("2 of 3")


def test_of_reach_alone_there_is_one_row_and_one_exact_value() -> None:
    alone, exact = Answer(ANSWER.reach, {}), Truth(2048, {})
    assert len(printed(results(alone, exact, events="times seen")).splitlines()) == 2
    assert "times seen" not in printed(results(alone, exact, events="times seen"))
    assert verdict(alone, exact).startswith("The exact value lies inside its 95 % interval")
    assert verdict(alone, Truth(1, {})).startswith("The exact value lies outside")


@pytest.mark.parametrize("duchy", ["worker1", "aggregator"])
def test_stage_times_have_a_column_for_each_duchy(duchy: str) -> None:
    times = [StageTime("worker1", "SETUP_PHASE", timedelta(seconds=1.5)), StageTime("aggregator", "X", timedelta(0))]
    text = printed(stage_times(times))
    assert duchy in text
    assert "setup phase" in text
    assert "1.50" in text
