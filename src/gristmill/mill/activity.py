"""What the thread that works on a stage shares with the thread that keeps its lease.

The working thread says what it does and how far it is; the other one reads that, and can stop the work.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import grpc


class Counter(Protocol):
    """The progress of a native stage function."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    def cancel(self) -> None: ...


AnyCounter = TypeVar("AnyCounter", bound=Counter)
Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far an activity is. `moves` grows with everything that happens, also where nothing can be counted."""

    activity: str = "starting"
    done: int = 0
    total: int = 0
    unit: str = ""
    moves: int = 0


class Activity:
    """One attempt's progress, and the request to stop it. The first reason to stop is the one that counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._reason: Exception | None = None
        self._cancel: Callable[[], object] | None = None
        self.until = math.inf
        """By the monotonic clock: when calls to others have to be over."""
        self._counter: Counter | None = None
        self._now = Snapshot()

    # The working thread.

    def begin(self, activity: str, *, total: int = 0, unit: str = "") -> None:
        """Say what comes next. Raises the reason if the work is to stop."""
        self.check()
        with self._lock:
            self._now = Snapshot(activity, 0, total, unit, self._now.moves + 1)

    def move(self, amount: int = 0) -> None:
        """Something happened: `amount` more items are done."""
        with self._lock:
            now = self._now
            self._now = Snapshot(now.activity, now.done + amount, now.total, now.unit, now.moves + 1)

    def check(self) -> None:
        """Raise the reason if the work is to stop."""
        if self._reason is not None:
            raise self._reason

    def sleep(self, seconds: float) -> None:
        """Wait, unless the work is to stop."""
        self.move()
        self._stopped.wait(seconds)
        self.check()

    @contextmanager
    def cancellable(self, cancel: Callable[[], object]) -> Iterator[None]:
        """While this lasts, a stop also calls `cancel` (which may be called after the end, too)."""
        self.check()
        with self._lock:
            self._cancel = cancel
        try:
            if self._stopped.is_set():
                cancel()
            yield
        finally:
            with self._lock:
                self._cancel = None

    @contextmanager
    def computing(self, counter: AnyCounter, activity: str, unit: str) -> Iterator[AnyCounter]:
        """A native function runs and counts in `counter`."""
        self.begin(activity, unit=unit)
        with self._lock:
            self._counter = counter
        try:
            with self.cancellable(counter.cancel):
                yield counter
        finally:
            with self._lock:
                self._counter = None
            self.move()

    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        timeout: float,
        metadata: Sequence[tuple[str, str | bytes]] = (),
    ) -> Response:
        """Make a unary call that ends when the work is to stop, with its reason. RpcError as usual."""
        import grpc

        self.check()
        timeout = max(0.05, min(timeout, self.until - time.monotonic()))
        future = method.future(request, timeout=timeout, metadata=tuple(metadata))
        try:
            with self.cancellable(future.cancel):
                response = future.result()
        except grpc.FutureCancelledError:
            self.check()
            raise
        self.move()
        return response

    # The watching thread.

    def snapshot(self) -> Snapshot:
        with self._lock:
            now, counter = self._now, self._counter
            if counter is None:
                return now
            return Snapshot(now.activity, counter.done, counter.total, now.unit, now.moves + counter.done)

    def stop(self, reason: Exception) -> None:
        """Ask the work to end with `reason`, and cancel what it waits for."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
            self._stopped.set()
            cancel = self._cancel
        if cancel is not None:
            cancel()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()
