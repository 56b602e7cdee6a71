"""The duchy's computations: one method, one transaction.

Every method either commits all that it says or changes nothing. Repeating a write after a lost reply returns the
committed outcome. Errors are those of `gristmill.errors`; those with a reason for programs are in `refusals`.

Versions and fences: `version` rises by one whenever what a token says changes, except by a renewal; `fence` rises by
one at each claim and is never reused. A method that takes a `Guard` goes through if the version is still that one
(`Version`, for callers of the wire-compatible service) or if that claim is still the latest (`Fence`, for our mills).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from gristmill.proto.duchy.inspection_pb2 import ComputationSummary, ListComputationsResponse, ListEventsResponse
from gristmill.proto.duchy.leases_pb2 import BlobDigest, Figures, Lease, Progress, RecordOutputResponse
from gristmill.proto.duchy.orchestration_pb2 import FillSlotResponse, JudgeMessageResponse, SlotMessage
from gristmill.protocols.table import Fact
from gristmill.secret import Secret
from gristmill.store import (
    claims,
    continuation,
    creation,
    inspection,
    interventions,
    messages,
    outputs,
    private_keys,
    removal,
    requisitions,
    rows,
    stages,
    stats,
)
from gristmill.store.database import Database
from gristmill.store.guards import Fence, Guard
from gristmill.store.interventions import Canceled, Operator
from gristmill.store.removal import BlobKeys, Purged
from gristmill.store.sealing import SealsColumns
from gristmill.store.transaction import Transaction
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.computation_stats_service_pb2 import CreateComputationStatRequest
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2 import (
    AdvanceComputationStageRequest,
    CreateComputationRequest,
)
from wfa.measurement.internal.duchy.requisition_details_pb2 import (
    ExternalRequisitionKey,
    RequisitionDetails,
    RequisitionEntry,
)


@asynccontextmanager
async def open_store(url: str, sealer: SealsColumns, duchy: str) -> AsyncIterator[Store]:
    """Open the database of `duchy`, bring its tables up to date, and close it at the end.

    url: `sqlite:////absolute/path.db`, or `postgresql://user:password@host:port/database`.
    """
    from gristmill.store.migrate import upgrade

    database = Database(url)
    try:
        await upgrade(database)
        yield Store(database, sealer, duchy)
    finally:
        await database.close()


class Store:
    """What the internal API serves. Obtain one by `open_store`."""

    def __init__(self, database: Database, sealer: SealsColumns, duchy: str) -> None:
        self._database = database
        self._sealer = sealer
        self.duchy = duchy

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[Transaction]:
        async with self._database.write() as (connection, now):
            yield Transaction(connection, now, self._database, self._sealer, self.duchy)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[Transaction]:
        async with self._database.read() as (connection, now):
            yield Transaction(connection, now, self._database, self._sealer, self.duchy)

    # Computations: the wire-compatible methods

    async def create(self, request: CreateComputationRequest, private_keyset: Secret | None = None) -> ComputationToken:
        """A new computation in its first stage, claimable at once; token.attempt is 0.

        private_keyset: of the key pair in the details, where data providers encrypt to this duchy.

        AlreadyExists (COMPUTATION_ALREADY_EXISTS); InvalidRequest: no global ID, no or another protocol's details, no
        role, another than the initial stage, a requisition of another computation; PreconditionFailed: the details name
        participants that are no ring around this duchy.
        """
        async with self._write() as transaction:
            return await creation.create(transaction, request, private_keyset)

    async def token(self, key: str | ExternalRequisitionKey) -> ComputationToken:
        """By global ID or by one of its requisitions. NotFound (COMPUTATION_NOT_FOUND)."""
        async with self._read() as transaction:
            return await rows.token(transaction, await rows.find(transaction, key))

    async def claim(
        self, computation_type: int, owner: str, duration: timedelta, prioritized: Sequence[ComputationStage] = ()
    ) -> ComputationToken | None:
        """The next stage to work on, now leased to `owner`; none if there is nothing to do.

        Computations in a prioritized stage come first, then the oldest. A stage whose lease has expired counts as
        free: its attempt is closed as LOCK_OVERWRITTEN and counted as a worker lost. InvalidRequest: no owner, no
        positive duration.
        """
        async with self._write() as transaction:
            return await claims.claim(transaction, computation_type, owner, duration, prioritized)

    async def update_details(
        self,
        token: ComputationToken,
        details: ComputationDetails,
        requisition_entries: Sequence[RequisitionEntry],
        guard: Guard,
    ) -> ComputationToken:
        """Overwrite the details, and the whole details of the given requisitions.

        Participants, once known, and a secret key, once stored, are kept where `details` lack them. NotFound; Conflict
        (COMPUTATION_TOKEN_VERSION_MISMATCH); LeaseLost (COMPUTATION_LOCK_OWNER_MISMATCH); InvalidRequest: another
        protocol, or an unknown requisition; PreconditionFailed: the computation has ended.
        """
        async with self._write() as transaction:
            return await stages.update_details(transaction, token, details, requisition_entries, guard)

    async def advance(self, request: AdvanceComputationStageRequest, guard: Guard) -> ComputationToken:
        """Leave token.computation_stage for the next stage of the path.

        The blobs of the new stage are laid out by the protocol's table; what the request says of them must agree, and
        under a Fence it may say nothing (no blobs, after_transition unset). A waiting stage that lacks nothing is left
        at once, so the returned token may be one stage further. A repeat returns the present token. NotFound; Conflict;
        LeaseLost; InvalidRequest: stage or after_transition unset, blobs that differ; PreconditionFailed: transition
        not allowed, an output not recorded, participants not known, stage never claimed.
        """
        async with self._write() as transaction:
            return await stages.advance(transaction, request, guard)

    async def finish(
        self,
        token: ComputationToken,
        ending_stage: ComputationStage,
        reason: ComputationDetails.CompletedReason.ValueType,
        guard: Guard,
        why: str = "",
    ) -> ComputationToken:
        """End the computation, from any stage; SUCCEEDED only from the end of its path. Its key is destroyed.

        A repeat with the same reason returns the token; with another one PreconditionFailed: the first end stands.
        why: for people, among the events; no secrets. NotFound; Conflict; LeaseLost; InvalidRequest: not the terminal
        stage, reason unset.
        """
        async with self._write() as transaction:
            ended = await stages.finish(transaction, token, ending_stage, reason, guard, why)
        await self._database.scrub()
        return ended

    async def enqueue(self, token: ComputationToken, delay: timedelta, expected_owner: str, guard: Guard) -> None:
        """Give the stage back to the queue, claimable after `delay`; counted as a failure.

        NotFound; Conflict; LeaseLost: another than `expected_owner` holds it; InvalidRequest: negative delay;
        PreconditionFailed: not a stage that mills work on.
        """
        async with self._write() as transaction:
            await claims.enqueue(transaction, token, delay, expected_owner, guard)

    async def record_output_path(
        self, token: ComputationToken, blob_id: int, path: str, guard: Guard
    ) -> ComputationToken:
        """Record where an output blob of token.computation_stage is; without hash. The first path is kept.

        NotFound; Conflict; LeaseLost; InvalidRequest: blank path; PreconditionFailed: no such output, another path is
        recorded.
        """
        async with self._write() as transaction:
            return await outputs.record_path(transaction, token, blob_id, path, guard)

    async def record_requisition(
        self,
        local_computation_id: int,
        key: ExternalRequisitionKey,
        path: str,
        public_api_version: str,
        protocol_details: RequisitionDetails.RequisitionProtocol | None = None,
        digest: BlobDigest | None = None,
    ) -> ComputationToken:
        """A data provider fulfilled a requisition. Lease-free; the first path is kept, a repeat changes nothing.

        digest: length and hash of the blob, where known. NotFound: computation or requisition; InvalidRequest: blank
        path or API version; PreconditionFailed: past the stages that take requisitions.
        """
        async with self._write() as transaction:
            return await requisitions.record(
                transaction, local_computation_id, key, path, public_api_version, protocol_details, digest
            )

    async def computation_ids(self, wire_stages: Sequence[ComputationStage]) -> list[str]:
        """Global IDs of the computations in any of these stages. InvalidRequest: none, or of several protocols."""
        async with self._read() as transaction:
            return await inspection.computation_ids(transaction, wire_stages)

    async def delete(self, local_computation_id: int) -> BlobKeys:
        """Forget a computation; nothing if it is unknown. Returns the blobs that the caller deletes next."""
        async with self._write() as transaction:
            return await removal.delete(transaction, local_computation_id)

    async def purge(self, updated_before: datetime, wire_stages: Sequence[ComputationStage], force: bool) -> Purged:
        """Forget the ended computations that nobody has touched since `updated_before`; without `force`, only list.

        wire_stages: terminal stages, of any protocols. InvalidRequest: none, or a stage that is not terminal.
        """
        async with self._write() as transaction:
            return await removal.purge(transaction, updated_before, wire_stages, force)

    async def create_stat(self, request: CreateComputationStatRequest) -> None:
        """Keep one figure of an attempt; the first is kept. NotFound; InvalidRequest: no computation, no name."""
        async with self._write() as transaction:
            await stats.create(transaction, request)

    async def continuation_token(self) -> str:
        """The last that was set; empty if none."""
        async with self._read() as transaction:
            return await continuation.get(transaction)

    async def set_continuation_token(self, token: str) -> None:
        """InvalidRequest (CONTINUATION_TOKEN_MALFORMED); PreconditionFailed (..._INVALID): older than the stored."""
        async with self._write() as transaction:
            await continuation.set_token(transaction, token)

    # Leases: our extension for mills

    async def lease(self, global_id: str, owner: str) -> Lease:
        """The lease that `owner` holds, with what is already recorded for the stage. NotFound; LeaseLost."""
        async with self._read() as transaction:
            return await claims.lease(transaction, global_id, owner)

    async def renew(self, global_id: str, fence: Fence, duration: timedelta, progress: Progress | None = None) -> Lease:
        """Extend the lease to `duration` from now and keep the progress. Changes neither version nor fence.

        NotFound; LeaseLost; InvalidRequest: no positive duration.
        """
        async with self._write() as transaction:
            return await claims.renew(transaction, global_id, fence, duration, progress)

    async def record_output(
        self, global_id: str, fence: Fence, blob_id: int, digest: BlobDigest, figures: Figures | None = None
    ) -> RecordOutputResponse:
        """Record an output blob of the present stage with its length and hash, and the figures that belong to it.

        The first output is kept: a repeat, also by a later lease, returns what was recorded first (whoever wrote
        another blob deletes it). NotFound; LeaseLost; InvalidRequest: blank path, hash not of 32 bytes;
        PreconditionFailed: no such output.
        """
        async with self._write() as transaction:
            return await outputs.record(transaction, global_id, fence, blob_id, digest, figures or Figures())

    async def put_back(self, global_id: str, fence: Fence, delay: timedelta, reason: int, message: str = "") -> None:
        """Give the stage back to the queue, saying why (PutBackRequest.Reason); reasons are counted apart.

        NotFound; LeaseLost; InvalidRequest: negative delay, reason unset.
        """
        async with self._write() as transaction:
            await claims.put_back(transaction, global_id, fence, delay, reason, message)

    async def private_keyset(self, global_id: str, fence: Fence) -> Secret:
        """What was given to `create`, for the mill that holds the lease. NotFound: none was given; LeaseLost."""
        async with self._read() as transaction:
            return await private_keys.private_keyset(transaction, global_id, fence)

    # Facts and slots: lease-free, remembered whatever the stage

    async def record_fact(
        self,
        global_id: str,
        fact: Fact,
        details: ComputationDetails | None = None,
        requisition_entries: Collection[RequisitionEntry] = (),
    ) -> ComputationToken:
        """The kingdom said something. A fact that concerns other roles only is ignored; a repeat changes nothing.

        With KEYS_SET: `details` hold the participants in ring order (nothing else is taken from them), and the
        requisitions their nonces and fulfilling duchies (the details of those given are overwritten). NotFound;
        InvalidRequest: KEYS_SET without participants, unknown requisition; PreconditionFailed: the protocol has no such
        fact, the participants are no ring around this duchy, the computation has ended.
        """
        async with self._write() as transaction:
            return await messages.record_fact(transaction, global_id, fact, details, requisition_entries)

    async def judge(self, message: SlotMessage) -> JudgeMessageResponse:
        """May this message come now? FILL with the path to write the body to, unique to this delivery, or REPEAT.

        NotFound; InvalidRequest: another protocol, unknown message; Conflict: too early, come back;
        PermissionDenied: another duchy sends this; PreconditionFailed: never awaited here, or ended.
        """
        async with self._read() as transaction:
            return await messages.judge(transaction, message)

    async def fill_slot(self, message: SlotMessage, digest: BlobDigest) -> FillSlotResponse:
        """The message's body is stored at `digest.path`: fill the slot, and move on if nothing is missing.

        FILL also when this very path fills the slot already; REPEAT if another delivery was first (the caller deletes
        its blob). Errors as for `judge`; InvalidRequest: blank path, hash not of 32 bytes.
        """
        async with self._write() as transaction:
            return await messages.fill(transaction, message, digest)

    # For operators: never a secret

    async def retry(self, global_id: str, stage: str, attempt: int, operator: Operator) -> ComputationSummary:
        """Make the present stage claimable now, and forget how its earlier attempts ended.

        `stage` and `attempt` are those that the operator saw. A mill that holds the lease loses it. NotFound; Conflict:
        another attempt is the latest; PreconditionFailed: a wait, which nobody works on, or ended.
        """
        async with self._write() as transaction:
            await interventions.retry(transaction, global_id, stage, attempt, operator)
            return await inspection.summary(transaction, global_id)

    async def cancel(self, global_id: str, operator: Operator) -> Canceled:
        """End the computation as CANCELED, from any stage. Its key is destroyed; the mill that holds it is refused.

        A repeat, also by another operator, returns what was canceled first. NotFound; PreconditionFailed: it has ended
        otherwise.
        """
        async with self._write() as transaction:
            canceled = await interventions.cancel(transaction, global_id, operator)
        await self._database.scrub()
        return canceled

    async def note_told(self, global_id: str, what: str, answer: str, actor: str) -> None:
        """Add to a computation's events what another party was told, and its answer. NotFound."""
        async with self._write() as transaction:
            await interventions.note_told(transaction, global_id, what, answer, actor)

    async def summaries(self, page_size: int = 0, page_token: str = "") -> ListComputationsResponse:
        """The newest first. page_size: 50 if 0, at most 1000. InvalidRequest: a page token that is none."""
        async with self._read() as transaction:
            return await inspection.summaries(transaction, page_size, page_token)

    async def summary(self, global_id: str) -> ComputationSummary:
        """NotFound."""
        async with self._read() as transaction:
            return await inspection.summary(transaction, global_id)

    async def events(self, global_id: str) -> ListEventsResponse:
        """All that happened to a computation, the oldest first. NotFound."""
        async with self._read() as transaction:
            return await inspection.events(transaction, global_id)
