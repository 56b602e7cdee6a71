"""A mill from its start to its end: the item that was claimed for it, then whatever else there is to claim."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from gristmill.errors import GristmillError, LeaseLost, NotFound, PermanentFailure, Transient, Unavailable
from gristmill.mill.claims import Interrupted, PutBackReason
from gristmill.observe.logs import logger

if TYPE_CHECKING:
    from gristmill.mill.claims import Claim
    from gristmill.mill.internal_api import InternalApi
    from gristmill.mill.kingdom import Kingdom
    from gristmill.mill.runner import Runner
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

LONGEST_IDLE_PAUSE = 30.0
ALL_TYPES_EVERY = 5
"""While a mill polls in vain, only so often for all its computation types, otherwise for that which had work last: the
next stage is most likely of the same computation, and each question costs processor time that stages lack."""
CLAIMED_ITEM_PATIENCE = 15.0
"""Seconds for an internal API that is just starting: an item that is skipped stays locked and costs an attempt."""
CLAIMED_ITEM_PAUSE = 0.5

log = logger("mill")


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """What the scheduler claimed on the mill's behalf, under the mill's ID."""

    computation: str
    version: int


class Mill:
    """Claims stages of these computation types. `stop` may be called from any thread."""

    def __init__(
        self,
        api: InternalApi,
        runner: Runner,
        kingdom: Kingdom,
        *,
        computation_types: Sequence[int],
        lock_duration: timedelta,
    ) -> None:
        self._api, self._runner, self._kingdom = api, runner, kingdom
        self._computation_types, self._lock_duration = deque(computation_types), lock_duration
        self._recent_type = computation_types[0]
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._claim: Claim | None = None

    def stop(self) -> None:
        """Claim nothing more, and put the stage that is being worked on back."""
        self._stopped.set()
        with self._lock:
            claim = self._claim
        if claim is not None:
            claim.activity.stop(Interrupted(PutBackReason.SHUTDOWN, "the mill is shut down"))

    def work_claimed(self, item: ClaimedItem) -> None:
        """Work on the item, unless it is somebody else's by now: that is no error."""
        token = self._claimed_token(item)
        if token is None:
            return
        try:
            stale = _staleness(token, item, self._api.owner)
            if stale:
                raise LeaseLost(stale)
            claim = self._api.take_over(token, self._lock_duration)
        except Transient as error:
            log.warning("the claimed item cannot be held, skipped", computation=item.computation, error=str(error))
            return
        except LeaseLost as error:
            log.warning("the claim is stale, skipped", computation=item.computation, reason=error.message)
            self._kingdom.log_transient(token, error.message)
            return
        self._work(claim)

    def _claimed_token(self, item: ClaimedItem) -> ComputationToken | None:
        """The item's token, once the internal API answers; None if it does not, or knows no such computation."""
        given_up = time.monotonic() + CLAIMED_ITEM_PATIENCE
        while True:
            try:
                return self._api.token(item.computation)
            except (Transient, NotFound) as error:
                late = isinstance(error, NotFound) or time.monotonic() > given_up
                if late or self._stopped.wait(CLAIMED_ITEM_PAUSE):
                    log.warning(
                        "the claimed item cannot be read, skipped", computation=item.computation, error=str(error)
                    )
                    return None

    def drain(self) -> None:
        """Claim and work until nothing is left, or nothing can be claimed."""
        first = True
        while not self._stopped.is_set():
            try:
                claim = self._next_claim()
            except Transient as error:
                level = log.info if first else log.warning
                level("the internal API does not answer, nothing more to do", error=str(error))
                return
            except LeaseLost as error:
                log.warning("lost a claim at once", error=str(error))
                continue
            except PermanentFailure as error:  # the server's own failure: the stages that are done are no less done
                log.error("nothing can be claimed", error=str(error))
                return
            if claim is None:
                return
            first = False
            self._work(claim)

    def poll(self, interval: timedelta) -> None:
        """Drain for ever, `interval` apart; errors are logged and outlived."""
        pause = shortest = interval.total_seconds()
        idle = 0
        while not self._stopped.is_set():
            try:
                claim = self._next_claim() if idle % ALL_TYPES_EVERY == 0 else self._claim_of(self._recent_type)
            except LeaseLost:
                continue
            except Unavailable as error:
                log.warning("the internal API does not answer", error=str(error))
                claim, pause = None, min(LONGEST_IDLE_PAUSE, 2 * pause)
            except GristmillError as error:
                log.error("nothing can be claimed", error=str(error))
                claim, pause = None, LONGEST_IDLE_PAUSE
            else:
                pause = shortest
            if claim is not None:
                idle = 0
                self._work(claim)
            else:
                idle += 1
                self._stopped.wait(pause)

    def _next_claim(self) -> Claim | None:
        """Of the type that was asked for least recently and has something to do, so that none waits for another."""
        for _ in range(len(self._computation_types)):
            computation_type = self._computation_types[0]
            self._computation_types.rotate(-1)
            claim = self._claim_of(computation_type)
            if claim is not None:
                self._recent_type = computation_type
                return claim
        return None

    def _claim_of(self, computation_type: int) -> Claim | None:
        return self._api.claim(computation_type, self._lock_duration)

    def _work(self, claim: Claim) -> None:
        with self._lock:
            self._claim = claim
        try:
            if self._stopped.is_set():
                self.stop()
            self._runner.run(claim)
        except GristmillError as error:
            log.error("a claim cannot be worked on, it will run out", error=str(error))
        finally:
            with self._lock:
                self._claim = None


def _staleness(token: ComputationToken, item: ClaimedItem, owner: str) -> str:
    """Why the claim that the scheduler made is not ours any more; empty when it is."""
    if token.version != item.version:
        return f"the claimed version was {item.version}, now it is {token.version}"
    if token.lock_owner != owner:
        return f"the lock's owner is {token.lock_owner or 'nobody'}, not {owner}"
    return ""
