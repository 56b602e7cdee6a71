"""The look at a duchy's audit trail notices what it is there for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from faults.history import Blow, Span, claims, defects, path, recoveries, without_a_taker
from gristmill.proto.duchy.inspection_pb2 import Event

ONE, TWO = "worker1-mill-1", "worker1-mill-2"
STAGES = ("FIRST", "WAIT", "SECOND")


def event(kind: str, stage: str, fence: int, actor: str, detail: str = "", time: float = 0.0) -> Event:
    happened = Event(kind=kind, stage=stage, fence=fence, actor=actor, detail=detail)
    happened.time.FromDatetime(datetime.fromtimestamp(time, UTC))
    return happened


def history() -> list[Event]:
    """Of a computation whose first mill died in the second stage."""
    return [
        event("created", "FIRST", 0, ""),
        event("claimed", "FIRST", 1, ONE),
        event("output recorded", "FIRST", 1, ONE, "blob 0: 3 bytes"),
        event("stage entered", "WAIT", 1, ONE),
        event("slot filled", "WAIT", 1, "worker2", "INPUT: 3 bytes"),
        event("stage entered", "SECOND", 1, "worker2"),
        event("claimed", "SECOND", 2, ONE, time=10.0),
        event("worker lost", "SECOND", 2, ONE, time=14.0),
        event("claimed", "SECOND", 3, TWO, time=14.0),
        event("output recorded", "SECOND", 3, TWO, "blob 0: 3 bytes"),
        event("ended", "COMPLETE", 3, TWO, "SUCCEEDED"),
    ]


def test_a_history_with_a_lost_worker_is_in_order() -> None:
    assert defects(history(), STAGES) == []


@pytest.mark.parametrize(
    ("at", "strange", "noticed"),
    [
        (9, event("output recorded", "SECOND", 3, ONE, "blob 0: 3 bytes"), "while"),
        (9, event("output recorded", "SECOND", 2, ONE, "blob 1: 3 bytes"), "while"),
        (8, event("details updated", "SECOND", 2, ONE), "while"),
        (11, event("put back", "COMPLETE", 3, TWO), "while"),
        (10, event("output recorded", "SECOND", 3, TWO, "blob 0: 3 bytes"), "output recorded 2 times"),
        (10, event("slot filled", "SECOND", 3, "worker2", "INPUT: 3 bytes"), "slot filled 2 times"),
        (10, event("stage entered", "SECOND", 3, TWO), "the stages entered"),
        (11, event("ended", "COMPLETE", 3, TWO, "SUCCEEDED"), "it ended with"),
        (10, event("claimed", "SECOND", 3, TWO), "fences"),
    ],
)
def test_what_must_not_be_in_it_is_noticed(at: int, strange: Event, noticed: str) -> None:
    events = history()
    events.insert(at, strange)
    assert any(noticed in defect for defect in defects(events, STAGES))


def test_a_stage_that_was_left_out_is_noticed() -> None:
    assert defects(history(), (*STAGES, "THIRD"))


def test_a_recovery_is_counted_from_the_blow_to_the_next_claim() -> None:
    blow = Blow(ONE, "mill killed", 11.5)
    (recovery,), untouched = recoveries(history(), [blow, replace(blow, time=9.0), replace(blow, mill=TWO)])
    assert (recovery.blow, recovery.stage, recovery.seconds) == (blow, "SECOND", 2.5)
    assert untouched == []


def test_a_stage_lost_by_a_mill_that_nobody_touched_is_no_recovery() -> None:
    assert recoveries(history(), []) == ([], [ONE])


def test_the_path_of_reach_alone_has_one_phase_of_three() -> None:
    whole = path("aggregator", 10)
    laps = ("_TWO", "_THREE")
    one_lap = [stage.replace("_ONE", "") for stage in whole if not any(lap in stage for lap in laps)]
    assert path("aggregator", 1) == one_lap != whole


def test_a_mill_has_a_stage_in_hand_from_its_claim_until_it_is_left_lost_or_forgotten() -> None:
    first = [
        event("claimed", "FIRST", 1, ONE, time=1.0),
        event("stage entered", "WAIT", 1, ONE, time=2.0),
        event("claimed", "SECOND", 2, ONE, time=3.0),
        event("worker lost", "SECOND", 2, ONE, time=9.0),
    ]
    second = [event("claimed", "FIRST", 1, ONE, time=5.0), event("ended", "COMPLETE", 1, ONE, time=6.0)]
    assert claims([first, second], [], "worker1") == [Span(ONE, 1.0, 2.0), Span(ONE, 3.0, 5.0), Span(ONE, 5.0, 6.0)]


@pytest.mark.parametrize("outage", [Span(ONE, 4.0, 6.0), Span("worker1", 2.0, 4.0)])
def test_a_mill_that_lost_its_stage_is_free_from_its_blow_on_or_when_its_server_is_back(outage: Span) -> None:
    lost = [
        event("claimed", "FIRST", 1, ONE, time=1.0),
        event("worker lost", "FIRST", 1, ONE, time=9.0),
    ]
    assert claims([lost], [outage, Span(TWO, 2.0, 3.0)], "worker1") == [Span(ONE, 1.0, 4.0)]


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0.0),
        ([Span(ONE, 0.0, 20.0)], 0.0),
        ([Span(ONE, 0.0, 15.0), Span(TWO, 12.0, 20.0)], 3.0),
        ([Span("worker1", 8.0, 11.0)], 1.0),
        ([Span("worker1", 8.0, 13.0), Span(ONE, 0.0, 15.0), Span(TWO, 12.0, 20.0)], 5.0),
        ([Span("worker2", 0.0, 20.0)], 0.0),
    ],
)
def test_a_stage_has_no_taker_while_the_server_is_away_or_no_mill_is_free(spans: list[Span], seconds: float) -> None:
    assert without_a_taker(10.0, 16.0, "worker1", (ONE, TWO), spans) == seconds
