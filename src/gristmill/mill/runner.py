"""What happens to a claimed stage when something goes wrong: retried, put back, failed, or left alone.

transient            retried in place for the retry window, lease held; then put back, and counted
peer behind          retried in place for a minute, then put back without being counted; for a day
peer unreachable     the same, for the retry window
permanent            the computation is failed at the kingdom, then here
claim lost           nothing is written and nothing reported
stalled, shut down   put back
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

from gristmill.errors import (
    AttemptsExhausted,
    ConfigurationError,
    GristmillError,
    LeaseLost,
    PeerBehind,
    PeerUnreachable,
    Stalled,
    Transient,
)
from gristmill.mill.claims import Interrupted, Left, PutBackReason
from gristmill.mill.keeper import Keeper
from gristmill.mill.stage import Effort, work
from gristmill.observe import metrics
from gristmill.observe.logs import logger
from gristmill.protocols import registry
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails

if TYPE_CHECKING:
    from gristmill.mill.claims import Claim
    from gristmill.mill.internal_api import InternalApi
    from gristmill.mill.job import Services

MAXIMUM_WORKERS_LOST = 30
MAXIMUM_OUT_OF_MEMORY = 3
PEER_PATIENCE = timedelta(hours=24)
BEHIND_WINDOW = timedelta(seconds=60)
UNRENEWED_WINDOW = timedelta(seconds=20)
"""For retries in place under a claim that cannot be renewed: its time is for computing."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
FIRST_PEER_PAUSE, LONGEST_PEER_PAUSE = 0.2, 5.0
LONGEST_BACKOFF = 600

log = logger("mill")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a mill bears with errors, and with a stage that makes no progress."""

    retry_window: timedelta = timedelta(minutes=10)
    stall_timeout: timedelta = timedelta(minutes=10)
    maximum_attempts: int = 10


class Runner:
    """Works on claimed stages, one at a time. `renewals` is the internal API on a channel of the keeper's own."""

    def __init__(
        self,
        services: Services,
        renewals: InternalApi,
        patience: Patience,
        on_hang: Callable[[], None] | None = None,
    ) -> None:
        self._services, self._renewals, self._patience, self._on_hang = services, renewals, patience, on_hang

    def run(self, claim: Claim) -> str:
        """Work on the claim to whatever end, and say to which: it never raises for what happens to a stage."""
        from structlog.contextvars import bound_contextvars

        computation_type, number = registry.stage_of(claim.token.computation_stage)
        stage, started = registry.stage_name(computation_type, number), time.monotonic()
        with bound_contextvars(
            computation=claim.computation, stage=stage, attempt=claim.token.attempt, mill=claim.api.owner
        ):
            log.info("stage claimed", leased=claim.lease is not None)
            with Keeper(claim, self._renewals, stall_timeout=self._patience.stall_timeout, on_hang=self._on_hang):
                outcome, reason = self._settled(claim)
            seconds = time.monotonic() - started
            log.info("stage ended", outcome=outcome, reason=reason, seconds=round(seconds, 3))
        metrics.stage_finished(
            registry.type_name(computation_type), stage, outcome=outcome, reason=reason, seconds=seconds
        )
        return outcome

    def _settled(self, claim: Claim) -> tuple[str, str]:
        """Outcome and reason code of the work, after the reaction to what it raised."""
        try:
            _check_unended(claim)
            self._check_counts(claim)
            self._persist(claim)
        except Exception as error:
            return self._react(claim, error)
        return "succeeded", ""

    def _check_counts(self, claim: Claim) -> None:
        """PermanentFailure when the stage was tried often enough."""
        most = self._patience.maximum_attempts
        if claim.lease is None:
            if claim.token.attempt > most:
                raise AttemptsExhausted(f"the stage was tried {most} times without success")
            return
        counts = claim.lease.counts
        for count, limit, what in (
            (counts.failures, most, "failed"),
            (counts.workers_lost, MAXIMUM_WORKERS_LOST, "lost its worker"),
            (counts.out_of_memory, MAXIMUM_OUT_OF_MEMORY, "ran out of memory"),
        ):
            if count >= limit:
                raise AttemptsExhausted(f"the stage {what} {count} times")

    def _persist(self, claim: Claim) -> None:
        """Work, again and again while errors are transient and the window is open."""
        effort = Effort()
        first_error = last_error = -1e9
        pause, failed = 0.0, False
        while True:
            try:
                if failed:
                    claim.refresh()
                work(claim, self._services, effort)
                return
            except (Transient, PeerBehind) as error:
                now = time.monotonic()
                if now - last_error > 2 * LONGEST_PAUSE:
                    first_error, pause = now, 0.0
                failed, last_error = True, now
                peers_turn = isinstance(error, PeerBehind) and not isinstance(error, PeerUnreachable)
                first, longest = (FIRST_PEER_PAUSE, LONGEST_PEER_PAUSE) if peers_turn else (FIRST_PAUSE, LONGEST_PAUSE)
                pause = min(longest, max(first, 2 * pause))
                if now + pause - first_error > self._window(claim, peers_turn).total_seconds():
                    raise
                log.warning("trying again", error=str(error), pause=pause)
                computation_type, number = registry.stage_of(claim.token.computation_stage)
                metrics.stage_retried(
                    registry.type_name(computation_type),
                    registry.stage_name(computation_type, number),
                    reason=error.code,
                )
                claim.activity.sleep(pause)

    def _window(self, claim: Claim, peers_turn: bool) -> timedelta:
        window = min(self._patience.retry_window, BEHIND_WINDOW) if peers_turn else self._patience.retry_window
        return window if claim.lease is not None else min(window, UNRENEWED_WINDOW)

    # Reactions

    def _react(self, claim: Claim, error: Exception) -> tuple[str, str]:
        """Do what the error asks for. What goes wrong in that is reacted to once more, then the claim runs out."""
        for _ in range(3):
            try:
                return self._reaction(claim, error)
            except Exception as another:  # a reaction that fails must not end the mill
                error = another
        log.error("giving up, the claim will run out", error=str(error))
        return "lost", getattr(error, "code", "")

    def _reaction(self, claim: Claim, error: Exception) -> tuple[str, str]:
        code = error.code if isinstance(error, GristmillError) else type(error).__name__
        match error:
            case Left():
                log.info("the computation has left the stage")
                return "succeeded", ""
            case LeaseLost():
                log.warning("claim lost, nothing more is written", error=str(error))
                return "lost", code
            case Interrupted():
                self._put_back(claim, error.reason, str(error))
                if error.reason is PutBackReason.FAILURE:
                    self._note(claim, error)
                return "put_back", error.reason.name
            case Stalled():
                self._put_back(claim, PutBackReason.STALLED, str(error))
                return "put_back", code
            case PeerBehind() if not _waited_too_long(claim):
                self._put_back(claim, PutBackReason.PEER_BEHIND, str(error))
                self._note(claim, error)
                return "put_back", code
            case Transient() | ConfigurationError():
                self._put_back(claim, PutBackReason.FAILURE, str(error))
                self._note(claim, error)
                return "put_back", code
            case MemoryError():
                self._put_back(claim, PutBackReason.OUT_OF_MEMORY, "out of memory")
                return "put_back", code
            case GristmillError():
                self._fail(claim, error)
                return "failed", code
        # A defect of ours. Its text may quote data; type and place are enough.
        log.error("defect", error=type(error).__name__, where=_where(error))
        self._put_back(claim, PutBackReason.FAILURE, f"{type(error).__name__} in the mill")
        return "put_back", code

    def _note(self, claim: Claim, error: Exception) -> None:
        """Tell operators here and at the kingdom. After putting back: a slow kingdom must not outlast the claim."""
        log.warning("stage put back", error=str(error))
        self._services.kingdom.log_transient(claim.token, str(error))

    def _put_back(self, claim: Claim, reason: PutBackReason, message: str) -> None:
        """Give the stage back, with a token read anew when the first try meets a changed one."""
        delay = _delay(claim, reason)
        try:
            claim.put_back(reason, delay, message)
        except Transient:
            claim.refresh()
            claim.put_back(reason, delay, message)

    def _fail(self, claim: Claim, error: GristmillError) -> None:
        """Tell the kingdom, then end the computation here. Nothing is told about a stage that is not ours any more."""
        claim.check()
        claim.refresh()
        log.error("failing the computation", error=str(error))
        self._services.kingdom.fail(claim.token, str(error), claim.activity)
        try:
            claim.finish(ComputationDetails.FAILED, str(error))
        except Transient:
            claim.refresh()
            claim.finish(ComputationDetails.FAILED, str(error))


def _check_unended(claim: Claim) -> None:
    """Left when the computation had ended before it was claimed: the existing internal API may queue such a one."""
    computation_type, number = registry.stage_of(claim.token.computation_stage)
    if number == registry.complete(computation_type):
        raise Left


def _waited_too_long(claim: Claim) -> bool:
    """Whether the stage has waited for a peer for a day: then the computation fails with that reason."""
    if claim.lease is None or not claim.lease.counts.HasField("waiting_for_peer_since"):
        return False
    since = claim.lease.counts.waiting_for_peer_since.ToDatetime(UTC)
    return datetime.now(UTC) - since > PEER_PATIENCE


def _delay(claim: Claim, reason: PutBackReason) -> float:
    """Seconds until the stage may be claimed again: doubling with each failure, with as much again at random."""
    if reason in (PutBackReason.SHUTDOWN, PutBackReason.STALLED):
        return 1.0
    if claim.lease is None:
        base: int = min(LONGEST_BACKOFF, 2 ** min(max(1, claim.token.attempt), 10))
    elif reason is PutBackReason.PEER_BEHIND:
        base = 30
    else:
        base = min(LONGEST_BACKOFF, 2 ** min(claim.lease.counts.failures + 1, 10))
    return base + random.uniform(0.0, float(base))  # noqa: S311


def _where(error: Exception) -> list[str]:
    """The innermost calls of a traceback, without the error's text."""
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)[-6:]
    ]
