"""Measurements without end, several at once, each compared with the answer that it must have."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from e2e.expected import WITHOUT_NOISE, expected
from faults.proxied import ProxiedConsortium
from gristmill.consumer.client import Consumer
from gristmill.consumer.keys import ConsumerKeys
from gristmill.consumer.request import MeasurementRequest, build
from gristmill.consumer.result import MeasurementResult
from gristmill.errors import MeasurementFailed, Unavailable, Unfinished

RIGHT = "right"
LONGEST_SECONDS = 420.0
"""A measurement that takes longer hangs: it is a minute's work under load, and one minute may pass with a peer away."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement, how long it took and how it ended: "right", or what was wrong."""

    name: str
    maximum_frequency: int
    seconds: float
    outcome: str

    @property
    def computation(self) -> str:
        return self.name.rpartition("/")[2]


@dataclass(slots=True)
class Load:
    """`at_once` threads that ask one measurement after the other until `finish`. Each asks other data providers."""

    consortium: ProxiedConsortium
    events: Mapping[str, str]
    at_once: int
    seed: int
    measured: list[Measured] = field(default_factory=list)
    _finishing: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for number in range(self.at_once):
            work = threading.Thread(target=self._ask, args=(random.Random(f"{self.seed}/{number}"),), daemon=True)
            work.start()
            self._threads.append(work)

    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def finish(self, tend: Callable[[], None]) -> None:
        """Ask nothing more, and return when all that was asked has ended; `tend` is called all the while."""
        self._finishing.set()
        while self.running():
            tend()

    def _ask(self, choice: random.Random) -> None:
        with self.consortium.consumer() as consumer:
            while not self._finishing.is_set():
                chosen = choice.sample(sorted(self.events), choice.randint(2, len(self.events)))
                frequency = choice.choice((1, 2, 5, 10))
                began = time.monotonic()
                name, outcome = self._measure(consumer, {each: self.events[each] for each in chosen}, frequency)
                self.measured.append(Measured(name, frequency, time.monotonic() - began, outcome))

    def _measure(self, consumer: Consumer, events: Mapping[str, str], maximum_frequency: int) -> tuple[str, str]:
        name = ""
        try:
            name = self._submitted(consumer, events, maximum_frequency)
            return name, wrong(consumer.wait(name, timeout_seconds=LONGEST_SECONDS), events, maximum_frequency) or RIGHT
        except MeasurementFailed as failure:
            return name, f"failed: {failure.message}"
        except Unfinished:
            return name, "hung"
        except Exception as error:  # a thread that ends silently would leave no trace
            return name, f"{type(error).__name__}: {error}"

    def _submitted(self, consumer: Consumer, events: Mapping[str, str], maximum_frequency: int) -> str:
        """Asked again, as the same request, until the kingdom has answered."""
        keys = self.consortium.keys
        request = MeasurementRequest(
            data_providers=tuple(keys.data_provider(name).resource for name in events),
            reach=WITHOUT_NOISE,
            frequency=WITHOUT_NOISE if maximum_frequency > 1 else None,
            maximum_frequency=maximum_frequency,
        )
        measurement, identifier = build(request, ConsumerKeys.of(keys)), f"request-{random.getrandbits(64):x}"
        until = time.monotonic() + LONGEST_SECONDS
        while True:
            with suppress(Unavailable):
                return consumer.submit(measurement, request_id=identifier).name
            if time.monotonic() > until:
                raise Unfinished("the measurement could not be asked")
            time.sleep(0.5)


def wrong(result: MeasurementResult, events: Mapping[str, str], maximum_frequency: int) -> str:
    """What differs from the exact answer; empty if nothing."""
    reach, frequency = expected(events, maximum_frequency)
    if result.reach != reach:
        return f"wrong: the reach is {result.reach} instead of {reach}"
    if maximum_frequency > 1 and dict(result.frequency) != pytest.approx(frequency):
        return f"wrong: the frequencies are {result.frequency} instead of {frequency}"
    return ""
