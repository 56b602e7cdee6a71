from __future__ import annotations

from datetime import timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from gristmill.measure.history import bytes_received, stage_times
from gristmill.proto.duchy.inspection_pb2 import Event


def event(seconds: int, kind: str, stage: str, detail: str = "") -> Event:
    return Event(time=Timestamp(seconds=seconds), kind=kind, stage=stage, detail=detail)


def test_a_stage_takes_the_time_of_all_its_attempts_without_the_pauses() -> None:
    events = [
        event(0, "claimed", "SETUP_PHASE"),
        event(3, "worker lost", "SETUP_PHASE"),
        event(10, "claimed", "SETUP_PHASE"),
        event(12, "output recorded", "SETUP_PHASE"),
        event(14, "stage entered", "WAIT_EXECUTION_PHASE_ONE_INPUTS"),
        event(20, "claimed", "EXECUTION_PHASE_ONE"),
        event(21, "ended", "COMPLETE"),
    ]
    times = [(time.stage, time.duration) for time in stage_times("worker1", events)]
    assert times == [("SETUP_PHASE", timedelta(seconds=7)), ("EXECUTION_PHASE_ONE", timedelta(seconds=1))]


def test_only_what_peers_sent_is_counted_as_received() -> None:
    events = [
        event(0, "output recorded", "SETUP_PHASE", "blob 1: 198 bytes, SHA-256 00"),
        event(1, "slot filled", "WAIT", "EXECUTION_PHASE_ONE_INPUT: 264 bytes, SHA-256 00"),
        event(2, "slot filled", "WAIT", "EXECUTION_PHASE_TWO_INPUT: 66 bytes, SHA-256 00"),
    ]
    assert bytes_received(events) == 330
