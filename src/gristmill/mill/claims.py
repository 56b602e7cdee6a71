"""A stage that this mill has claimed, and the writes that it may make while the claim lasts.

Two kinds of internal API are served. One has the Leases service: the claim has a fence, is renewed while the stage
makes progress, and every write carries fence and owner as metadata. The other, the existing one, has neither: the
claim lasts as long as it was asked for, counted by this process's monotonic clock from the moment the request was sent,
and writes carry the token's version. In both, nothing is written once the claim has run out by our own clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from gristmill.blobs import Digest
from gristmill.errors import LeaseLost
from gristmill.mill.activity import Activity
from gristmill.proto.duchy import leases_pb2
from gristmill.protocols import registry
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import OUTPUT
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computations_service_pb2 import AdvanceComputationStageRequest

if TYPE_CHECKING:
    from gristmill.mill.internal_api import InternalApi
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

LONGEST_DELAY = 1200


class Left(Exception):
    """The computation has left the stage: our own write had been carried out, or somebody ended the computation."""


class Interrupted(Exception):
    """The work was asked to stop, and the stage goes back to the queue."""

    def __init__(self, reason: PutBackReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PutBackReason(Enum):
    """Why a stage goes back to the queue. Values are those of PutBackRequest.Reason."""

    FAILURE = 1
    PEER_BEHIND = 2
    OUT_OF_MEMORY = 3
    SHUTDOWN = 4
    STALLED = 5


@dataclass(frozen=True, slots=True)
class Output:
    """What a stage made: path (without prefix), digest if known, and what it found out beside it."""

    path: str
    digest: Digest | None = None
    reach: int | None = None
    commitment: bytes = b""
    """To the seed of the setup phase's randomness."""


class Claim:
    """One claimed stage. `token` is replaced by what every write returns."""

    def __init__(
        self,
        api: InternalApi,
        token: ComputationToken,
        *,
        lease: leases_pb2.Lease | None,
        expires: float,
        length: timedelta,
        activity: Activity,
    ) -> None:
        self.api, self.token, self.lease, self.activity = api, token, lease, activity
        self.expires = expires
        """By the monotonic clock; moved on by each renewal."""
        self.length = length
        self.made: Output | None = None
        """What this attempt has made and committed: a retry records it, and makes nothing anew."""
        self._stage = token.computation_stage
        self._margin = min(0.5, length.total_seconds() / 20)

    @property
    def computation(self) -> str:
        return self.token.global_computation_id

    @property
    def fence(self) -> int | None:
        return None if self.lease is None else self.lease.fence

    @property
    def put_back_at(self) -> float:
        """When a claim that cannot be renewed has to be given up, in good time before it runs out."""
        seconds = self.length.total_seconds()
        return self.expires - min(max(2.0, seconds / 10), seconds / 3, 30.0)

    def check(self) -> None:
        """Raise unless work may go on and write. Called before everything that others can see."""
        self.activity.check()
        self._check_time()

    def _check_time(self) -> None:
        if time.monotonic() >= self.expires - self._margin:
            raise LeaseLost(f"the claim of {self.computation} has run out; nothing more is written")

    def time_left(self) -> float:
        """Seconds until the claim runs out. LeaseLost when it has."""
        self._check_time()
        return self.expires - time.monotonic()

    # Reading

    def refresh(self) -> None:
        """Read the token anew. Left when the stage is over; LeaseLost when somebody else works on it."""
        token = self.api.token(self.computation)
        if token.computation_stage != self._stage:
            raise Left
        if token.lock_owner != self.api.owner or token.attempt != self.token.attempt:
            raise LeaseLost(f"{self.computation} is claimed by {token.lock_owner or 'nobody'} now")
        self.token = token

    def kept(self) -> Output | None:
        """What this stage has made before, so that it is delivered again and not made anew."""
        outputs = self.lease.outputs if self.lease is not None else ()
        recorded = next((output for output in outputs if output.digest.path), None)
        reach = registry.reach(self.token.computation_details)
        if recorded is not None:
            return recorded_output(recorded, reach)
        path = next((blob.path for blob in self.token.blobs if blob.dependency_type == OUTPUT and blob.path), None)
        return None if path is None else Output(path, None, reach)

    # Writing: each checks the claim first, and replaces the token.

    def update_details(self, details: ComputationDetails) -> None:
        """Write the computation's details."""
        self.check()
        self.token = self.api.update_details(self, details)

    def record_output(self, blob_id: int, made: Output) -> Output:
        """Record what the stage made, with its reach. What was recorded first is kept, and returned."""
        self.check()
        if self.lease is not None and made.digest is not None:
            figures = leases_pb2.Figures(reach=made.reach, randomness_commitment=made.commitment)
            recorded = self.api.record_output(self, blob_id, made.path, made.digest, figures)
            self.lease.outputs.append(recorded)
            return recorded_output(recorded, made.reach)
        # The figure before the path: a recorded path then means that the figure is there.
        if made.reach is not None:
            self.update_details(registry.with_reach(self.token.computation_details, made.reach))
        self.check()
        self.token = self.api.record_output_path(self, blob_id, made.path)
        return made

    def advance(self, request: AdvanceComputationStageRequest) -> None:
        """Enter the next stage, and lose the claim by that."""
        self.check()
        self.api.advance(self, request)

    def finish(self, reason: ComputationDetails.CompletedReason.ValueType, why: str = "") -> None:
        """End the computation here, and lose the claim by that. `why` is for people, and without secrets."""
        self.check()
        self.api.finish(self, reason, why)

    def put_back(self, reason: PutBackReason, delay: float, message: str) -> None:
        """Give the stage back to the queue. Possible after the work was stopped, never after the claim ran out."""
        self._check_time()
        self.api.put_back(self, reason, max(1, min(LONGEST_DELAY, round(delay))), message)


def recorded_output(recorded: leases_pb2.RecordedOutput, reach: int | None) -> Output:
    """A recorded output in our words; `reach` where the record has none."""
    digest = Digest(recorded.digest.length, recorded.digest.sha256) if recorded.digest.sha256 else None
    if recorded.figures.HasField("reach"):
        reach = recorded.figures.reach
    return Output(recorded.digest.path, digest, reach)
