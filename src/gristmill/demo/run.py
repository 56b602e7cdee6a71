"""The demo: start a consortium, measure the departures from New York, show what happens and what comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.consortium.consortium import DUCHIES, Consortium, Options
from gristmill.consortium.inspection import Inspection
from gristmill.consumer.request import MeasurementRequest, Privacy
from gristmill.consumer.result import MeasurementResult
from gristmill.demo import history, lanes
from gristmill.demo.flights import AIRPORTS, Departure, airport_csv
from gristmill.demo.lanes import Lane
from gristmill.demo.report import StageTime, Traffic
from gristmill.errors import GristmillError, Unavailable
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement

if TYPE_CHECKING:
    from rich.console import Console

MAXIMUM_FREQUENCY = 10
PRIVACY = Privacy(epsilon=1.0, delta=1e-5)
_LOOK_SECONDS = 0.2
_ENDED = (Measurement.SUCCEEDED, Measurement.FAILED, Measurement.CANCELLED)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a demo gives: the verified result, the time of each stage, what left each party, and how long it took."""

    result: MeasurementResult
    stages: list[StageTime]
    traffic: Traffic
    duration: timedelta


def measure(
    events: Sequence[Departure],
    directory: Path,
    console: Console,
    *,
    options: Options | None = None,
    timeout: timedelta = timedelta(minutes=15),
) -> Finished:
    """Run a consortium in `directory` for one measurement of `events`, with live progress on the console.

    PartyFailed, PermanentFailure or Unavailable say who failed and the cure; the logs are in `directory/logs`.
    """
    started = time.monotonic()
    consortium = Consortium(directory, {code.lower(): airport_csv(events, code) for code in AIRPORTS}, options)
    with ExitStack() as stack:
        with console.status("Starting a kingdom, three duchies with a mill each, and three data providers"):
            stack.enter_context(consortium)
        ready = time.monotonic() - started
        count = len(consortium.processes.children)
        console.print(f"{count} processes run after {ready:.1f} s. Their logs: {consortium.processes.logs}")
        consumer = stack.enter_context(consortium.consumer())
        inspections = [stack.enter_context(consortium.inspection(duchy)) for duchy in DUCHIES]
        name = consumer.create(
            MeasurementRequest(
                data_providers=tuple(party.resource for party in consortium.keys.data_providers),
                reach=PRIVACY,
                frequency=PRIVACY,
                maximum_frequency=MAXIMUM_FREQUENCY,
            )
        )

        def ended() -> bool:
            consortium.check()
            return consumer.get(name).state in _ENDED

        try:
            follow(inspections, console, ended, timeout)
            result = consumer.wait(name, timeout_seconds=10)
        except GristmillError:
            consortium.check()  # a process that ended is the reason for what others say
            raise
        stages, received = _past(inspections)
        blobs = [consortium.wiring.blobs(duchy) / "requisitions" for duchy in DUCHIES]
        sketches = sum(path.stat().st_size for folder in blobs for path in folder.rglob("*") if path.is_file())
        return Finished(result, stages, Traffic(sketches, received), timedelta(seconds=time.monotonic() - started))


def follow(inspections: Sequence[Inspection], console: Console, ended: Callable[[], bool], timeout: timedelta) -> None:
    """Draw a lane for each duchy until `ended()`; lines instead where the console is no terminal."""
    from rich.live import Live

    started = time.monotonic()
    seen = {inspection.duchy: Lane(inspection.duchy) for inspection in inspections}
    with ExitStack() as stack:
        live = None
        if console.is_terminal:
            live = stack.enter_context(Live(console=console, refresh_per_second=8, transient=True))
        over, last = False, 0.0
        while not over:
            over = ended()
            now = time.monotonic() - started
            fresh = {inspection.duchy: _look(inspection, seen[inspection.duchy], now) for inspection in inspections}
            if live:
                live.update(lanes.table(fresh, now, bars=console.width >= 100))
            else:
                for line in lanes.lines(seen, fresh, elapsed_before=last, elapsed=now):
                    console.print(line, highlight=False, soft_wrap=True)
            seen, last = fresh, now
            if now > timeout.total_seconds():
                states = "; ".join(f"{lane.duchy}: {lane.stage}, {lane.state()}" for lane in seen.values())
                raise Unavailable(
                    f"the measurement did not end within {timeout}. {states}",
                    cure="Read the log of the duchy that the others wait for.",
                )
            time.sleep(0 if over else _LOOK_SECONDS)


def _look(inspection: Inspection, lane: Lane, now: float) -> Lane:
    computations = inspection.computations()
    return lane.follow(computations[0], now) if computations else lane


def _past(inspections: Sequence[Inspection]) -> tuple[list[StageTime], int]:
    """All stages' times, and the bytes that the duchies sent each other."""
    stages: list[StageTime] = []
    received = 0
    for inspection in inspections:
        for computation in inspection.computations():
            events = inspection.events(computation.global_computation_id)
            stages += history.stage_times(inspection.duchy, events)
            received += history.bytes_received(events)
    return stages, received
