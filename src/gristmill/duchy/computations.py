"""The wire-compatible services of the internal API: Computations, ComputationStats, ContinuationTokens.

Statuses: where the wire's table says UNKNOWN for a failed precondition or a malformed request, this answers
FAILED_PRECONDITION or INVALID_ARGUMENT. An existing mill treats all three as permanent; a person sees what is wrong.

A caller of ours sends the metadata `gristmill-fence` and `gristmill-owner`; its writes then go through while it holds
the lease, whoever else has written. Without them the token's version is compared, as the wire says.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from google.protobuf.empty_pb2 import Empty

from gristmill.blobs import computation_key, private_key_key, requisition_key
from gristmill.duchy import bodies
from gristmill.duchy.status import Context, message_of, metadata
from gristmill.errors import GristmillError, InvalidRequest, PreconditionFailed
from gristmill.observe.logs import logger
from gristmill.proto.duchy.leases_pb2 import BlobDigest
from gristmill.protocols import registry
from gristmill.store import BlobKeys, Fence, Guard, Store, Version
from wfa.measurement.internal.duchy import computation_stats_service_pb2 as stats
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy import continuation_tokens_service_pb2 as tokens
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_stats_service_pb2_grpc import ComputationStatsServicer
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsServicer
from wfa.measurement.internal.duchy.continuation_tokens_service_pb2_grpc import ContinuationTokensServicer

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.duchy.kingdom_log import KingdomLog
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

log = logger("internal-api")

DEFAULT_LOCK: Final = timedelta(minutes=5)
LARGEST_VALUE: Final = 2**31 - 1


class Computations(ComputationsServicer):
    """`blobs` is where the objects of deleted computations are removed; None leaves them."""

    def __init__(self, store: Store, kingdom_log: KingdomLog | None, blobs: BlobStore | None) -> None:
        self._store, self._kingdom_log, self._blobs = store, kingdom_log, blobs

    async def CreateComputation(  # noqa: N802
        self, request: wire.CreateComputationRequest, context: Context
    ) -> wire.CreateComputationResponse:
        token = await self._store.create(request)
        self._tell(token, "created")
        return wire.CreateComputationResponse(token=token)

    async def DeleteComputation(self, request: wire.DeleteComputationRequest, context: Context) -> Empty:  # noqa: N802
        await self._delete(await self._store.delete(request.local_computation_id))
        return Empty()

    async def PurgeComputations(  # noqa: N802
        self, request: wire.PurgeComputationsRequest, context: Context
    ) -> wire.PurgeComputationsResponse:
        before = request.updated_before.ToDatetime(tzinfo=UTC)
        purged = await self._store.purge(before, request.stages, request.force)
        await self._delete(purged.blobs)
        return wire.PurgeComputationsResponse(
            purge_count=min(purged.count, LARGEST_VALUE), purge_sample=() if request.force else purged.global_ids
        )

    async def GetComputationToken(  # noqa: N802
        self, request: wire.GetComputationTokenRequest, context: Context
    ) -> wire.GetComputationTokenResponse:
        match request.WhichOneof("key"):
            case "global_computation_id":
                token = await self._store.token(request.global_computation_id)
            case "requisition_key":
                token = await self._store.token(request.requisition_key)
            case _:
                raise InvalidRequest("key is not set")
        return wire.GetComputationTokenResponse(token=token)

    async def UpdateComputationDetails(  # noqa: N802
        self, request: wire.UpdateComputationDetailsRequest, context: Context
    ) -> wire.UpdateComputationDetailsResponse:
        guard = guard_of(context, request.token)
        token = await self._store.update_details(request.token, request.details, request.requisitions, guard)
        return wire.UpdateComputationDetailsResponse(token=token)

    async def AdvanceComputationStage(  # noqa: N802
        self, request: wire.AdvanceComputationStageRequest, context: Context
    ) -> wire.AdvanceComputationStageResponse:
        guard = guard_of(context, request.token)
        token = await self._store.advance(request, guard)
        # The existing system leaves out who acted; the fence names the mill, or else the lock that was held.
        self._tell(token, "advanced", guard.owner if isinstance(guard, Fence) else request.token.lock_owner)
        return wire.AdvanceComputationStageResponse(token=token)

    async def FinishComputation(  # noqa: N802
        self, request: wire.FinishComputationRequest, context: Context
    ) -> wire.FinishComputationResponse:
        guard = guard_of(context, request.token)
        stage, why = request.ending_computation_stage, message_of(context)
        token = await self._store.finish(request.token, stage, request.reason, guard, why)
        reason = ComputationDetails.CompletedReason.Name(token.computation_details.ending_state)
        self._tell(
            token, f"finished as {reason}", guard.owner if isinstance(guard, Fence) else request.token.lock_owner
        )
        return wire.FinishComputationResponse(token=token)

    async def ClaimWork(self, request: wire.ClaimWorkRequest, context: Context) -> wire.ClaimWorkResponse:  # noqa: N802
        duration = DEFAULT_LOCK
        if request.HasField("lock_duration"):
            duration = request.lock_duration.ToTimedelta()
        token = await self._store.claim(request.computation_type, request.owner, duration, request.prioritized_stages)
        if token is None:
            return wire.ClaimWorkResponse()
        self._tell(token, f"claimed, attempt {token.attempt}", request.owner)
        return wire.ClaimWorkResponse(token=token)

    async def GetComputationIds(  # noqa: N802
        self, request: wire.GetComputationIdsRequest, context: Context
    ) -> wire.GetComputationIdsResponse:
        return wire.GetComputationIdsResponse(global_ids=await self._store.computation_ids(request.stages))

    async def RecordOutputBlobPath(  # noqa: N802
        self, request: wire.RecordOutputBlobPathRequest, context: Context
    ) -> wire.RecordOutputBlobPathResponse:
        guard = guard_of(context, request.token)
        token = await self._store.record_output_path(request.token, request.output_blob_id, request.blob_path, guard)
        return wire.RecordOutputBlobPathResponse(token=token)

    async def EnqueueComputation(  # noqa: N802
        self, request: wire.EnqueueComputationRequest, context: Context
    ) -> wire.EnqueueComputationResponse:
        delay = timedelta(seconds=request.delay_second)
        await self._store.enqueue(request.token, delay, request.expected_owner, guard_of(context, request.token))
        return wire.EnqueueComputationResponse()

    async def RecordRequisitionFulfillment(  # noqa: N802
        self, request: wire.RecordRequisitionFulfillmentRequest, context: Context
    ) -> wire.RecordRequisitionFulfillmentResponse:
        promise = bodies.read_promise(metadata(context))
        digest = None
        if promise.length is not None and promise.sha256 is not None:
            digest = BlobDigest(path=request.blob_path, length=promise.length, sha256=promise.sha256)
        token = await self._store.record_requisition(
            request.token.local_computation_id,
            request.key,
            request.blob_path,
            request.public_api_version,
            request.protocol_details if request.HasField("protocol_details") else None,
            digest,
        )
        return wire.RecordRequisitionFulfillmentResponse(token=token)

    def _tell(self, token: ComputationToken, what: str, actor: str = "") -> None:
        computation_type, number = registry.stage_of(token.computation_stage)
        stage = registry.stage_name(computation_type, number)
        log.info(what, computation=token.global_computation_id, stage=stage, mill=actor)
        if self._kingdom_log:
            self._kingdom_log.write(token, f"{token.global_computation_id}: {what}, now in {stage}", actor=actor)

    async def _delete(self, keys: BlobKeys) -> None:
        """Remove objects that no row refers to any more. What cannot be removed is logged: the rows are gone."""
        if self._blobs is None:
            return
        named = (
            (computation_key, keys.computations),
            (requisition_key, keys.requisitions),
            (private_key_key, keys.private_keys),
        )
        for key_of, path in ((key_of, path) for key_of, paths in named for path in paths):
            try:
                await asyncio.to_thread(self._blobs.delete, key_of(path))
            except GristmillError as error:
                log.warning("a blob stays behind", blob=path, reason=error.message)


class ComputationStats(ComputationStatsServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def CreateComputationStat(  # noqa: N802
        self, request: stats.CreateComputationStatRequest, context: Context
    ) -> stats.CreateComputationStatResponse:
        await self._store.create_stat(request)
        return stats.CreateComputationStatResponse()


class ContinuationTokens(ContinuationTokensServicer):
    """Its methods begin with a lower-case letter on the wire."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def getContinuationToken(  # noqa: N802
        self, request: tokens.GetContinuationTokenRequest, context: Context
    ) -> tokens.GetContinuationTokenResponse:
        return tokens.GetContinuationTokenResponse(token=await self._store.continuation_token())

    async def setContinuationToken(  # noqa: N802
        self, request: tokens.SetContinuationTokenRequest, context: Context
    ) -> tokens.SetContinuationTokenResponse:
        await self._store.set_continuation_token(request.token)
        return tokens.SetContinuationTokenResponse()


def guard_of(context: Context, token: ComputationToken) -> Guard:
    """What a write is held against: the lease in the metadata, or the token's version."""
    values = metadata(context)
    fence, owner = values.get("gristmill-fence"), values.get("gristmill-owner")
    if fence is None and owner is None:
        return Version(token.version)
    if fence is None or not fence.isascii() or not fence.isdigit() or not owner:
        raise InvalidRequest("metadata gristmill-fence and gristmill-owner must be given together, the fence a number")
    if len(fence) > 18:
        raise PreconditionFailed("metadata gristmill-fence is larger than any fence")
    return Fence(int(fence), owner)
