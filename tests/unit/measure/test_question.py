from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gristmill.measure.method import Sketch
from gristmill.measure.question import Question, duchies


@pytest.mark.parametrize("count", [3, 5])
def test_the_aggregator_is_the_last_of_the_duchies(count: int) -> None:
    assert duchies(count)[0] == "worker1"
    assert duchies(count)[-1] == "aggregator"
    assert len(set(duchies(count))) == count


@pytest.mark.parametrize("sampling", [(0.6, 0.4), (0.9, 0.1), (0.0, 1.0)])
def test_an_interval_may_end_at_1(sampling: tuple[float, float]) -> None:
    assert Question(sampling=sampling).sampling == sampling


def test_a_period_without_an_end_reaches_to_the_end_of_time() -> None:
    start = datetime(2024, 1, 1)  # noqa: DTZ001 (as a user writes it)
    period = Question(start=start).period()
    assert period
    assert period[0] == start.replace(tzinfo=UTC)
    assert period[1].year == 9999
    assert Question().period() is None


def test_the_request_is_the_question() -> None:
    asked = Question(maximum_frequency=7, sampling=(0.25, 0.5)).request(["dataProviders/a"])
    assert (asked.maximum_frequency, asked.sampling_start, asked.sampling_width) == (7, 0.25, 0.5)
    assert asked.data_providers == ("dataProviders/a",)


def test_reach_alone_is_asked_for_without_frequencies() -> None:
    question = Question(frequency=None)
    assert question.request(["dataProviders/a"]).frequency is None
    assert question.frequencies == 0


def test_the_kingdom_is_told_the_sketch() -> None:
    assert Sketch(3.5, 1000, 77).flags() == (
        "--llv2-decay-rate=3.5",
        "--llv2-max-size=1000",
        "--llv2-sampling-indicator-size=77",
    )
