"""A consortium with a measurement under way, and ways to wait for a moment in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from e2e.expected import WITHOUT_NOISE, expected
from gristmill.consortium.consortium import Consortium, Options
from gristmill.consumer.client import Consumer
from gristmill.consumer.request import MeasurementRequest
from gristmill.proto.duchy.inspection_pb2 import ComputationSummary, Event

Found = TypeVar("Found")


@contextmanager
def measuring(
    directory: Path, events: Mapping[str, str], options: Options, *, reach_only: bool = False
) -> Iterator[tuple[Consortium, Consumer, str]]:
    """Without noise, so that the right result is known exactly; gives the measurement's name too."""
    with Consortium(directory, events, options) as consortium, consortium.consumer() as consumer:
        name = consumer.create(
            MeasurementRequest(
                data_providers=tuple(party.resource for party in consortium.keys.data_providers),
                reach=WITHOUT_NOISE,
                frequency=None if reach_only else WITHOUT_NOISE,
                maximum_frequency=10,
            )
        )
        yield consortium, consumer, name


def assert_right(consumer: Consumer, name: str, events: Mapping[str, str]) -> None:
    """The measurement ends, and with the result that it would have had without the fault."""
    result = consumer.wait(name, timeout_seconds=240)
    reach, frequency = expected(events, 10)
    assert result.reach == reach
    if result.protocol == "liquid_legions_v2":
        assert dict(result.frequency) == pytest.approx(frequency)


def computation(consortium: Consortium, duchy: str) -> ComputationSummary | None:
    with consortium.inspection(duchy) as inspection:
        return next(iter(inspection.computations()), None)


def events(consortium: Consortium, duchy: str) -> list[Event]:
    with consortium.inspection(duchy) as inspection:
        (only,) = inspection.computations()
        return inspection.events(only.global_computation_id)


def wait_for_claim(consortium: Consortium, duchy: str, stage: str, seconds: float = 120) -> ComputationSummary:
    """Return as soon as a mill of the duchy works on the stage."""
    with consortium.inspection(duchy) as inspection:

        def look() -> ComputationSummary | None:
            for summary in inspection.computations():
                assert not summary.ending_state, f"{duchy} ended before anybody was seen working on {stage}"
                if summary.stage == stage and summary.lease_owner:
                    return summary
            return None

        return wait_until(look, seconds=seconds, pause=0.005)


def wait_until(look: Callable[[], Found | None], *, seconds: float, pause: float = 0.05) -> Found:
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        assert time.monotonic() < until, "waited too long"
        time.sleep(pause)
