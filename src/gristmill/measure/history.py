"""What a computation's events tell afterwards: how long each stage was worked on, and how much peers sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from gristmill.measure.report import StageTime
from gristmill.proto.duchy.inspection_pb2 import Event

_CLAIMED = "claimed"
_OVER = ("stage entered", "put back", "worker lost", "ended")
_RECEIVED = "slot filled"
_LENGTH = re.compile(r"(\d+) bytes")


def stage_times(duchy: str, events: Iterable[Event]) -> list[StageTime]:
    """Time under a mill's claim, summed over a stage's attempts, in the order in which stages were first claimed."""
    spent: dict[str, timedelta] = {}
    running: tuple[str, datetime] | None = None
    for event in events:
        time = event.time.ToDatetime(UTC)
        if event.kind == _CLAIMED:
            running = (event.stage, time)
            spent.setdefault(event.stage, timedelta(0))
        elif event.kind in _OVER and running:
            stage, since = running
            spent[stage] += time - since
            running = None
    return [StageTime(duchy, stage, duration) for stage, duration in spent.items()]


def bytes_received(events: Iterable[Event]) -> int:
    """How many bytes the peers' messages of a computation had together."""
    lengths = (_LENGTH.search(event.detail) for event in events if event.kind == _RECEIVED)
    return sum(int(found[1]) for found in lengths if found)
