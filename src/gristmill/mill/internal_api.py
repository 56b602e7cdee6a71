"""This duchy's internal API as a mill uses it: one method a call, errors translated, with and without leases."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import grpc

from gristmill.errors import LeaseLost, NotFound, Unavailable
from gristmill.mill.activity import Activity, Snapshot
from gristmill.mill.calls import calling, code_of
from gristmill.mill.claims import Claim, PutBackReason
from gristmill.observe.logs import logger
from gristmill.proto.duchy import leases_pb2, private_keys_pb2
from gristmill.proto.duchy.leases_pb2_grpc import LeasesStub
from gristmill.proto.duchy.private_keys_pb2_grpc import PrivateKeysStub
from gristmill.protocols import registry
from gristmill.secret import Secret
from wfa.measurement.internal.duchy import computations_service_pb2 as pb
from wfa.measurement.internal.duchy.computation_stats_service_pb2 import CreateComputationStatRequest
from wfa.measurement.internal.duchy.computation_stats_service_pb2_grpc import ComputationStatsStub
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gristmill.blobs import Digest
    from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

CALLEE = "the internal API"
LEASE_LENGTH = timedelta(seconds=60)
"""Longest lease that is asked for where it can be renewed."""
STAT_DEADLINE = 2.0
HOLD_PATIENCE = 10.0
HOLD_PAUSE = 0.5
"""Seconds. A claim whose lease cannot be read is nobody's until it runs out, so it is worth some patience."""
PUT_BACK_DEADLINE = 10.0
"""Shorter than others: a process that is told to end gives its stage back first."""

Request = TypeVar("Request")
Response = TypeVar("Response")

log = logger("mill")


class InternalApi:
    """Calls on a channel to this duchy's internal API, as the lock owner `owner` (the mill's ID)."""

    def __init__(self, channel: grpc.Channel, owner: str, deadline: timedelta) -> None:
        self.owner = owner
        self._deadline = deadline.total_seconds()
        self._computations = ComputationsStub(channel)
        self._stats = ComputationStatsStub(channel)
        self._leases = LeasesStub(channel)
        self._private_keys = PrivateKeysStub(channel)
        self._has_leases: bool | None = None

    # Reading and claiming

    def has_leases(self) -> bool:
        """Whether leases can be renewed here. Asked once. Unavailable when there is no answer."""
        if self._has_leases is None:
            try:
                self._leases.GetLease(
                    leases_pb2.GetLeaseRequest(global_computation_id="-", owner=self.owner), timeout=self._deadline
                )
                self._has_leases = True
            except grpc.RpcError as error:
                if code_of(error) in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    with calling(CALLEE, "GetLease"):
                        raise
                self._has_leases = code_of(error) is not grpc.StatusCode.UNIMPLEMENTED
            log.info("internal API found", leases=self._has_leases)
        return self._has_leases

    def token(self, computation: str) -> ComputationToken:
        """The computation's token. NotFound, Unavailable."""
        request = pb.GetComputationTokenRequest(global_computation_id=computation)
        with calling(CALLEE, "GetComputationToken"):
            return self._computations.GetComputationToken(request, timeout=self._deadline).token

    def claim(self, computation_type: int, lock_duration: timedelta) -> Claim | None:
        """Claim the next stage of this type; None when there is nothing to do."""
        length = min(lock_duration, LEASE_LENGTH) if self.has_leases() else lock_duration
        request = pb.ClaimWorkRequest(
            computation_type=computation_type,  # type: ignore[arg-type]
            owner=self.owner,
            prioritized_stages=[registry.wire_stage_of(computation_type, 1)],
        )
        request.lock_duration.FromTimedelta(length)
        sent = time.monotonic()
        with calling(CALLEE, "ClaimWork"):
            response = self._computations.ClaimWork(request, timeout=self._deadline)
        if not response.HasField("token"):
            return None
        return self._hold(response.token, sent + length.total_seconds(), length)

    def take_over(self, token: ComputationToken, lock_duration: timedelta) -> Claim:
        """The claim that was made on this mill's behalf. LeaseLost when it has run out."""
        read = time.monotonic()  # first: this process may be stopped at any point of what follows
        left = _seconds_until(token) if token.HasField("lock_expiration_time") else lock_duration.total_seconds()
        if left <= 0:
            raise LeaseLost(f"the lock of {token.global_computation_id} has run out")
        length = min(lock_duration, LEASE_LENGTH) if self.has_leases() else timedelta(seconds=left)
        claim = self._hold(token, read + left, length)
        if claim.lease is not None:
            self.renew(claim, Snapshot())
        return claim

    def _hold(self, token: ComputationToken, expires: float, length: timedelta) -> Claim:
        """The claim of a token. Its own expiry time shortens ours if it is earlier, unless the clocks contradict."""
        lease = self._lease(token, until=expires) if self.has_leases() else None
        if lease is None and (left := _seconds_until(token)) > 0:
            expires = min(expires, time.monotonic() + left)
        return Claim(self, token, lease=lease, expires=expires, length=length, activity=Activity())

    def _lease(self, token: ComputationToken, until: float) -> leases_pb2.Lease:
        """The lease of a claim that runs out at `until`; asked for again while the internal API does not answer."""
        request = leases_pb2.GetLeaseRequest(global_computation_id=token.global_computation_id, owner=self.owner)
        until = min(until, time.monotonic() + HOLD_PATIENCE)
        while True:
            try:
                with calling(CALLEE, "GetLease"):
                    return self._leases.GetLease(request, timeout=self._deadline)
            except NotFound as error:
                raise LeaseLost(error.message) from error
            except Unavailable:
                if time.monotonic() + HOLD_PAUSE >= until:
                    raise
            time.sleep(HOLD_PAUSE)

    def private_keyset(self, claim: Claim) -> Secret | None:
        """The private keyset of the claimed computation; None where the internal API does not keep it. LeaseLost."""
        if claim.fence is None:
            return None
        request = private_keys_pb2.GetPrivateKeysetRequest(
            global_computation_id=claim.computation, fence=claim.fence, owner=self.owner
        )
        try:
            response = claim.activity.call(self._private_keys.GetPrivateKeyset, request, timeout=self._timeout(claim))
        except grpc.RpcError as error:
            if code_of(error) in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND):
                return None
            with calling(CALLEE, "GetPrivateKeyset"):
                raise
        return Secret(response.private_keyset)

    def renew(self, claim: Claim, snapshot: Snapshot) -> None:
        """Extend a lease from now on. LeaseLost; Unavailable."""
        request = leases_pb2.RenewLeaseRequest(
            global_computation_id=claim.computation,
            fence=claim.fence or 0,
            owner=self.owner,
            progress=leases_pb2.Progress(
                activity=snapshot.activity, done=snapshot.done, total=snapshot.total, unit=snapshot.unit
            ),
        )
        request.duration.FromTimedelta(claim.length)
        sent = time.monotonic()
        try:
            self._leases.RenewLease(request, timeout=max(0.1, min(self._deadline, claim.expires - sent)))
        except grpc.RpcError as error:
            # Here ABORTED has one meaning: the lease is somebody else's.
            if code_of(error) in (grpc.StatusCode.ABORTED, grpc.StatusCode.NOT_FOUND):
                raise LeaseLost(f"the lease of {claim.computation} is lost") from error
            with calling(CALLEE, "RenewLease"):
                raise
        claim.expires = sent + claim.length.total_seconds()

    # Writing: `claim` gives token, fence and time limit.

    def update_details(self, claim: Claim, details: ComputationDetails) -> ComputationToken:
        request = pb.UpdateComputationDetailsRequest(token=claim.token, details=details)
        with calling(CALLEE, "UpdateComputationDetails"):
            return self._write(claim, self._computations.UpdateComputationDetails, request).token

    def record_output_path(self, claim: Claim, blob_id: int, path: str) -> ComputationToken:
        request = pb.RecordOutputBlobPathRequest(token=claim.token, output_blob_id=blob_id, blob_path=path)
        with calling(CALLEE, "RecordOutputBlobPath"):
            return self._write(claim, self._computations.RecordOutputBlobPath, request).token

    def record_output(
        self, claim: Claim, blob_id: int, path: str, digest: Digest, figures: leases_pb2.Figures
    ) -> leases_pb2.RecordedOutput:
        """What is recorded now: this output or, if there was one before, that."""
        request = leases_pb2.RecordOutputRequest(
            global_computation_id=claim.computation,
            fence=claim.fence or 0,
            owner=self.owner,
            blob_id=blob_id,
            digest=leases_pb2.BlobDigest(path=path, length=digest.length, sha256=digest.sha256),
            figures=figures,
        )
        with calling(CALLEE, "RecordOutput"):
            response = self._write(claim, self._leases.RecordOutput, request)
        claim.token = response.token
        return response.recorded

    def advance(self, claim: Claim, request: pb.AdvanceComputationStageRequest) -> None:
        request.token.CopyFrom(claim.token)
        with calling(CALLEE, "AdvanceComputationStage"):
            self._write(claim, self._computations.AdvanceComputationStage, request)

    def finish(self, claim: Claim, reason: ComputationDetails.CompletedReason.ValueType, why: str) -> None:
        computation_type, _ = registry.stage_of(claim.token.computation_stage)
        request = pb.FinishComputationRequest(
            token=claim.token,
            ending_computation_stage=registry.wire_stage_of(computation_type, registry.complete(computation_type)),
            reason=reason,
        )
        with calling(CALLEE, "FinishComputation"):
            self._write(claim, self._computations.FinishComputation, request, why)

    def put_back(self, claim: Claim, reason: PutBackReason, delay: int, message: str) -> None:
        if claim.fence is None:
            request = pb.EnqueueComputationRequest(token=claim.token, delay_second=delay, expected_owner=self.owner)
            with calling(CALLEE, "EnqueueComputation"):
                self._computations.EnqueueComputation(request, timeout=min(PUT_BACK_DEADLINE, self._timeout(claim)))
            return
        giving_back = leases_pb2.PutBackRequest(
            global_computation_id=claim.computation,
            fence=claim.fence,
            owner=self.owner,
            reason=reason.value,  # type: ignore[arg-type]
            message=message[:1000],
        )
        giving_back.delay.FromSeconds(delay)
        with calling(CALLEE, "PutBack"):
            self._leases.PutBack(giving_back, timeout=min(PUT_BACK_DEADLINE, self._timeout(claim)))

    def create_stats(self, token: ComputationToken, stats: Mapping[str, int]) -> None:
        """Record figures of an attempt; best effort."""
        for name, value in stats.items():
            request = CreateComputationStatRequest(
                local_computation_id=token.local_computation_id,
                computation_stage=token.computation_stage,
                attempt=token.attempt,
                metric_name=name,
                metric_value=value,
            )
            try:
                self._stats.CreateComputationStat(request, timeout=STAT_DEADLINE)
            except grpc.RpcError as error:
                log.debug("a statistic was not recorded", metric=name, status=code_of(error).name)
                return

    def _timeout(self, claim: Claim) -> float:
        """No write outlives its claim."""
        return min(self._deadline, claim.time_left())

    def _write(
        self, claim: Claim, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request, why: str = ""
    ) -> Response:
        """A write under the claim's guard. It ends, with the reason, when the work is to stop. `why` is for people."""
        metadata: tuple[tuple[str, str | bytes], ...] = ()
        if claim.fence is not None:
            metadata = (("gristmill-fence", str(claim.fence)), ("gristmill-owner", self.owner))
        if why:
            metadata = (*metadata, ("gristmill-message-bin", why[:1000].encode()))
        return claim.activity.call(method, request, timeout=self._timeout(claim), metadata=metadata)


def _seconds_until(token: ComputationToken) -> float:
    """Until the token's lock expires, by this host's clock; negative when it has."""
    return (token.lock_expiration_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()
