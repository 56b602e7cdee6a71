"""The herald: follows the kingdom's stream of computations and brings this duchy to where each of them is.

Synchronous gRPC and threads. Up to five computations are handled at once, what is said of one computation in the order
it was said. The stored position follows the leading run of what is done, so that a restart repeats and never skips.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc

from gristmill.duchy.continuation import LeadingRun
from gristmill.duchy.hearing import DEADLINE, DOWN, Hearing, Stopped, back_off
from gristmill.errors import ServiceRefusesUs
from gristmill.observe import metrics
from gristmill.observe.logs import logger
from wfa.measurement.internal.duchy import continuation_tokens_service_pb2 as tokens
from wfa.measurement.system.v1alpha.computations_service_pb2 import StreamActiveComputationsRequest

if TYPE_CHECKING:
    from wfa.measurement.internal.duchy.continuation_tokens_service_pb2_grpc import ContinuationTokensStub
    from wfa.measurement.system.v1alpha.computation_pb2 import Computation
    from wfa.measurement.system.v1alpha.computations_service_pb2_grpc import ComputationsStub as KingdomComputationsStub

log = logger("herald")

AT_ONCE: Final = 5
READY_DEADLINE: Final = 5.0
"""Seconds to wait for the internal API before saying so and waiting again."""
BREATH: Final = 0.05
"""Seconds before a stream that ended is followed again."""
STREAM_DEADLINE: Final = 11 * 60.0
"""Seconds; the kingdom ends its streams after about ten minutes."""

_HARD: Final[Mapping[grpc.StatusCode, str]] = {
    grpc.StatusCode.UNAUTHENTICATED: "The kingdom does not know this duchy's certificate: check --tls-cert-file.",
    grpc.StatusCode.PERMISSION_DENIED: "Check --duchy-name and --tls-cert-file against what the kingdom has.",
    grpc.StatusCode.UNIMPLEMENTED: "Check that --kingdom-system-api-target is the kingdom's system API.",
    grpc.StatusCode.INVALID_ARGUMENT: "The kingdom refuses the stored continuation token: is it of another kingdom?",
}
"""What no waiting mends."""


@dataclass(frozen=True, slots=True)
class Said:
    """One response of the stream: what the kingdom says, and the ticket of its place in the stream."""

    computation: Computation
    ticket: int


class Herald:
    """`run` blocks until `stop` is called from another thread."""

    def __init__(
        self,
        kingdom: KingdomComputationsStub,
        positions: ContinuationTokensStub,
        hearing: Hearing,
        stopping: threading.Event,
    ) -> None:
        self._kingdom, self._positions, self._hearing, self._stopping = kingdom, positions, hearing, stopping
        self._run = LeadingRun()
        self._lock = threading.RLock()  # `stop` may interrupt the very thread that holds it: a signal
        self._waiting: dict[str, deque[Said]] = {}
        self._stream: grpc.Future[Any] | None = None

    def stop(self) -> None:
        """End `run`: the stream is closed, what is being handled is finished or left for the next start."""
        self._stopping.set()
        with self._lock:
            if self._stream is not None:
                self._stream.cancel()

    def run(self) -> None:
        """Follow the kingdom for ever. ConfigurationError when it refuses this duchy, which no waiting mends."""
        try:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="herald") as workers:
                try:
                    self._follow(workers)
                finally:
                    self._stopping.set()
        except Stopped:
            pass
        log.info("the herald has stopped")

    def _follow(self, workers: ThreadPoolExecutor) -> None:
        position = self._stored_position()
        failures = 0
        while not self._stopping.is_set():
            try:
                log.debug("following the kingdom")
                call = self._kingdom.StreamActiveComputations(
                    StreamActiveComputationsRequest(continuation_token=position),
                    timeout=STREAM_DEADLINE,
                )
                with self._lock:
                    self._stream = call  # type: ignore[assignment]
                if self._stopping.is_set():
                    call.cancel()
                heard = False
                for response in call:
                    heard, failures = True, 0
                    position = response.continuation_token
                    metrics.kingdom_heard()
                    said = Said(response.computation, self._run.received(position))
                    self._enqueue(workers, said)
                # The kingdom ends its streams now and then: follow it again at once, unless it said nothing at all.
                self._pause(BREATH if heard else back_off(failures))
                failures = 0 if heard else failures + 1
            except grpc.RpcError as error:
                if self._stopping.is_set():
                    return
                code = error.code()
                if code in _HARD:
                    raise ServiceRefusesUs(
                        f"the kingdom refuses the herald with {code.name}: {error.details()}", cure=_HARD[code]
                    ) from None
                # A stream that its deadline ended is no failure: the kingdom had nothing more to say.
                if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                    failures = 0
                else:
                    log.warning("the kingdom's stream broke", status=code.name, reason=error.details())
                self._pause(back_off(failures))
                failures += 1

    def _enqueue(self, workers: ThreadPoolExecutor, said: Said) -> None:
        """In order for each computation: a computation that a worker has already gets the word at its end."""
        name = said.computation.name
        with self._lock:
            queue = self._waiting.get(name)
            if queue is not None:
                queue.append(said)
                return
            self._waiting[name] = deque([said])
        workers.submit(self._work, name)

    def _work(self, name: str) -> None:
        while True:
            with self._lock:
                queue = self._waiting[name]
                if not queue or self._stopping.is_set():
                    del self._waiting[name]
                    return
                said = queue.popleft()
            try:
                self._hearing.handle(said.computation)
            except Stopped:
                continue  # its place stays undone, so that the next start hears it again
            self._move_to(self._run.done(said.ticket))

    def _move_to(self, position: str | None) -> None:
        """Store the new position. An older herald that still runs may have stored a later one, which is fine."""
        if position is None:
            return
        try:
            self._positions.setContinuationToken(tokens.SetContinuationTokenRequest(token=position), timeout=DEADLINE)
        except grpc.RpcError as error:
            # The next one that is stored covers this one; nothing is lost but some repetition after a restart.
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                log.warning("the position was not stored", status=error.code().name, reason=error.details())

    def _stored_position(self) -> str:
        attempt = 0
        while True:
            try:
                request = tokens.GetContinuationTokenRequest()
                return self._positions.getContinuationToken(request, timeout=READY_DEADLINE, wait_for_ready=True).token
            except grpc.RpcError as error:
                if error.code() not in DOWN:
                    raise ServiceRefusesUs(
                        f"the internal API refuses the herald with {error.code().name}: {error.details()}",
                        cure="Check --computations-service-target and --tls-cert-file.",
                    ) from None
                log.warning("waiting for the internal API", status=error.code().name, reason=error.details())
            self._pause(back_off(attempt))
            attempt += 1

    def _pause(self, seconds: float) -> None:
        pause(self._stopping, seconds)


def pause(stopping: threading.Event, seconds: float) -> None:
    """Sleep; Stopped when the herald is to end."""
    if stopping.wait(seconds):
        raise Stopped
