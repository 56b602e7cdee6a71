"""One measurement: asked of parties that run already, or of a consortium that runs for it alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from gristmill.consortium.consortium import Consortium, Options
from gristmill.consortium.inspection import Inspection
from gristmill.consumer.client import Consumer
from gristmill.consumer.result import MeasurementResult
from gristmill.edp.events import EventFile
from gristmill.errors import GristmillError, Unavailable, Unfinished
from gristmill.measure import history, lanes
from gristmill.measure.lanes import Lane
from gristmill.measure.method import population
from gristmill.measure.question import Question
from gristmill.measure.report import StageTime, Traffic
from gristmill.trust.development import DevelopmentKeys
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement

if TYPE_CHECKING:
    from rich.console import Console

_LOOK_SECONDS = 0.2
_LONGEST_LOOK_SECONDS = 1.0
_AWAY_SECONDS: Final = 60.0
"""For so long a party may not answer: a standing consortium starts again what has ended."""
_ENDED = (Measurement.SUCCEEDED, Measurement.FAILED, Measurement.CANCELLED)
Answer = TypeVar("Answer")
TIMEOUT: Final = timedelta(hours=24)
SATURATED: Final = (
    "There are more people than the sketch can count. Measure with a --sketch-size ten times as large, or sample fewer "
    "people with --vid-sampling."
)


class Running(Protocol):
    """Parties that run, as a `Consortium` is between start and stop."""

    @property
    def keys(self) -> DevelopmentKeys: ...

    def consumer(self) -> Consumer: ...

    def inspection(self, duchy: str) -> Inspection: ...

    def check(self) -> None:
        """PartyFailed if a process has ended."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a measurement gives: the verified result, the time of each stage, what left each party, how long it took."""

    result: MeasurementResult
    stages: list[StageTime]
    traffic: Traffic
    duration: timedelta


def submit(
    running: Running,
    question: Question,
    console: Console,
    *,
    data_providers: Sequence[str] = (),
    timeout: timedelta = TIMEOUT,
    on_created: Callable[[str], None] | None = None,
) -> Finished:
    """Measure once, with live progress on the console, among these data providers (their short names; all if empty).

    PartyFailed, PermanentFailure or Unavailable say who failed and the cure. The bytes of the data providers' sketches
    are not known here and given as 0. `on_created` is told the measurement's resource name, for `resume`.
    """
    providers = [party for party in running.keys.data_providers if not data_providers or party.name in data_providers]
    with running.consumer() as consumer:
        name = consumer.create(question.request(party.resource for party in providers))
    if on_created is not None:
        on_created(name)
    return resume(running, name, console, timeout=timeout)


def resume(running: Running, name: str, console: Console, *, timeout: timedelta = TIMEOUT) -> Finished:
    """Follow a measurement that was created before to its end, by its resource name; otherwise as `submit`.

    A party that is being started again is waited for. The duration is that from the creation to the result.
    """
    with ExitStack() as stack:
        consumer = stack.enter_context(running.consumer())
        inspections = [stack.enter_context(running.inspection(duchy.name)) for duchy in running.keys.duchies]
        computation = name.rpartition("/")[2]

        def ended() -> bool:
            running.check()
            return _answer(lambda: consumer.get(name), running.check).state in _ENDED

        try:
            follow(inspections, computation, console, ended, timeout)
            result = consumer.wait(name, timeout_seconds=10)
        except GristmillError as error:
            running.check()  # a process that ended is the reason for what others say
            if "saturat" in error.message:  # the estimator's word, which came here as the duchy's reason
                error.cure = SATURATED
            raise
        stages, received = _answer(lambda: _past(inspections, computation), running.check)
        return Finished(result, stages, Traffic(0, received), _duration(consumer.get(name)))


def run(
    events: Mapping[str, EventFile | str],
    question: Question,
    directory: Path,
    console: Console,
    *,
    options: Options | None = None,
    timeout: timedelta = TIMEOUT,
) -> Finished:
    """Start a consortium in `directory`, measure once and stop it; the logs are in `directory/logs`.

    `events` are by data provider. Method and duchies are those of the question, the rest of the `options` is kept.
    """
    started = time.monotonic()
    options = options or Options()
    kingdom = (*question.method.flags(), *options.flags.get("kingdom", ()))
    options = replace(
        options,
        duchies=question.duchies,
        population=population(question.method),
        flags={**options.flags, "kingdom": kingdom},
    )
    consortium = Consortium(directory, events, options)
    with ExitStack() as stack:
        with console.status(
            f"Starting a kingdom, {len(question.duchies)} duchies with a mill each, and data providers"
        ):
            stack.enter_context(consortium)
        ready = time.monotonic() - started
        count = len(consortium.processes.children)
        console.print(
            f"{count} processes run after {ready:.1f} s. Their logs: {consortium.processes.logs}", soft_wrap=True
        )
        finished = submit(consortium, question, console, timeout=timeout)
        blobs = [consortium.wiring.blobs(duchy) / "requisitions" for duchy in question.duchies]
        sketches = sum(path.stat().st_size for folder in blobs for path in folder.rglob("*") if path.is_file())
    return replace(
        finished,
        traffic=replace(finished.traffic, sketches=sketches),
        duration=timedelta(seconds=time.monotonic() - started),
    )


def follow(
    inspections: Sequence[Inspection],
    computation: str,
    console: Console,
    ended: Callable[[], bool],
    timeout: timedelta,
) -> None:
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
            fresh = {each.duchy: _look(each, computation, seen[each.duchy], now) for each in inspections}
            if live:
                live.update(lanes.table(fresh, now, bars=console.width >= 100))
            else:
                for line in lanes.lines(seen, fresh, elapsed_before=last, elapsed=now):
                    console.print(line, highlight=False, soft_wrap=True)
            seen, last = fresh, now
            if not over and now > timeout.total_seconds():
                states = "; ".join(f"{lane.duchy}: {lane.stage}, {lane.state()}" for lane in seen.values())
                raise Unfinished(
                    f"the measurement did not end within {timeout}. {states}",
                    cure="Read the log of the duchy that the others wait for.",
                )
            time.sleep(0 if over else _pause(now))


def _pause(elapsed: float) -> float:
    """Seconds until the next look: a fiftieth of what has passed, for whoever looks takes time from the stages."""
    return min(max(elapsed / 50, _LOOK_SECONDS), _LONGEST_LOOK_SECONDS)


def _look(inspection: Inspection, computation: str, lane: Lane, now: float) -> Lane:
    try:
        for summary in inspection.computations():
            if summary.global_computation_id == computation:
                return lane.follow(summary, now)
    except Unavailable:
        pass  # it is shown as it was; `ended` says when somebody is away for good
    return lane


def _answer(ask: Callable[[], Answer], check: Callable[[], None]) -> Answer:
    """What `ask` gives, tried again while it raises Unavailable, for a time; `check` may know why, and raise that."""
    until = time.monotonic() + _AWAY_SECONDS
    while True:
        try:
            return ask()
        except Unavailable:
            check()
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_SECONDS)


def _duration(measurement: Measurement) -> timedelta:
    return measurement.update_time.ToDatetime() - measurement.create_time.ToDatetime()


def _past(inspections: Sequence[Inspection], computation: str) -> tuple[list[StageTime], int]:
    """All stages' times, and the bytes that the duchies sent each other."""
    stages: list[StageTime] = []
    received = 0
    for inspection in inspections:
        events = inspection.events(computation)
        stages += history.stage_times(inspection.duchy, events)
        received += history.bytes_received(events)
    return stages, received
