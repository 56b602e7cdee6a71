"""Keeps a claim while its stage is being worked on: a thread of its own, with a channel of its own.

A lease is renewed every third of its length, as long as the stage makes progress. A claim that cannot be renewed is
given up in good time before it runs out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from gristmill.errors import GristmillError, LeaseLost, Stalled
from gristmill.mill.claims import Interrupted, PutBackReason
from gristmill.observe import metrics
from gristmill.observe.logs import logger
from gristmill.protocols import registry

if TYPE_CHECKING:
    from gristmill.mill.activity import Snapshot
    from gristmill.mill.claims import Claim
    from gristmill.mill.internal_api import InternalApi

HANG_GRACE = 20.0
"""Seconds that a stage has to end after it was cancelled for want of progress."""

log = logger("mill")


class Keeper:
    """A context around the work on one claim. `on_hang` is called when a cancelled stage does not end."""

    def __init__(
        self,
        claim: Claim,
        api: InternalApi,
        *,
        stall_timeout: timedelta,
        on_hang: Callable[[], None] | None = None,
    ) -> None:
        self._claim, self._api, self._on_hang = claim, api, on_hang
        self._stall_timeout = stall_timeout.total_seconds()
        self._names = registry.stage_of(claim.token.computation_stage)
        self._done = threading.Event()
        # In a copy of the context, so that its log lines name the stage, too.
        self._thread = threading.Thread(target=copy_context().run, args=(self._keep,), name="lease", daemon=True)

    def __enter__(self) -> Self:
        if self._claim.lease is None:
            self._claim.activity.until = self._claim.put_back_at
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        try:
            if self._claim.lease is None:
                self._give_up_in_time()
            else:
                self._renew()
        except Exception as error:  # the working thread must not go on without a keeper
            self._claim.activity.stop(error)

    def _give_up_in_time(self) -> None:
        if not self._done.wait(max(0.0, self._claim.put_back_at - time.monotonic())):
            self._claim.activity.stop(Interrupted(PutBackReason.FAILURE, "the lock runs out before the stage is done"))

    def _renew(self) -> None:
        """Until the work is done or must stop. A renewal that fails is tried again until the lease has run out."""
        third = self._claim.length.total_seconds() / 3
        seen, moved_at, wait = self._claim.activity.snapshot(), time.monotonic(), third
        while not self._done.wait(wait):
            now = self._claim.activity.snapshot()
            if now != seen:
                seen, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > self._stall_timeout:
                self._stall(now)
                return
            if time.monotonic() >= self._claim.expires:
                # This process stood still. The work ends at its next look at the clock: a renewal now, if nobody has
                # claimed the stage yet, would keep all others from it for the length of a lease.
                self._lose(LeaseLost(f"the lease of {self._claim.computation} ran out before it was renewed"))
                return
            wait = min(third, max(1.0, self._stall_timeout / 3))
            try:
                self._api.renew(self._claim, now)
                metrics.lease_renewed(*self._metric_names())
            except LeaseLost as error:
                self._lose(error)
                return
            except GristmillError as error:
                if time.monotonic() >= self._claim.expires:
                    self._lose(LeaseLost(f"the lease of {self._claim.computation} ran out: {error.message}"))
                    return
                log.warning("lease not renewed, trying again", error=str(error))
                wait = min(1.0, third)

    def _lose(self, error: LeaseLost) -> None:
        metrics.lease_lost(*self._metric_names())
        self._claim.activity.stop(error)

    def _stall(self, snapshot: Snapshot) -> None:
        """Stop a stage that makes no progress. If it does not even stop, the lease runs out by itself."""
        where = f"{snapshot.activity}, {snapshot.done} of {snapshot.total} {snapshot.unit}".strip()
        stalled = Stalled(
            f"no progress for {self._stall_timeout:g} s while {where}",
            cure="Look at this host's load and disk; another mill will take the stage over.",
        )
        log.error("stalled", error=str(stalled))
        self._claim.activity.stop(stalled)
        if not self._done.wait(HANG_GRACE) and self._on_hang is not None:
            self._on_hang()

    def _metric_names(self) -> tuple[str, str]:
        computation_type, number = self._names
        return registry.type_name(computation_type), registry.stage_name(computation_type, number)
