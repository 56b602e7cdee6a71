"""The transitions that mills and the wire's callers ask for: update, advance, finish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import RowMapping, insert, update

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.protocols import registry
from gristmill.protocols.derive import Blob, Dependency, blobs, row_of, transitions
from gristmill.protocols.table import Fact, Stage, Wait, Work
from gristmill.store import tables
from gristmill.store.conditions import holds, lock_if, refusal, require_running
from gristmill.store.guards import Fence, Guard
from gristmill.store.journal import actor_of, note
from gristmill.store.outputs import require_stage
from gristmill.store.requisitions import overwrite_details
from gristmill.store.rows import (
    Computation,
    add_stage,
    blobs_of,
    change,
    change_stage,
    find,
    stage_row,
    store_details,
    token,
)
from gristmill.store.transaction import Transaction, microseconds
from gristmill.store.walk import content, enter, leave, remember, settle
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import OUTPUT
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails, ComputationStageAttemptDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2 import AdvanceComputationStageRequest
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionEntry

AfterTransition = AdvanceComputationStageRequest.AfterTransition
LOCK_EXTENSION = timedelta(minutes=5)
ENDED_AS = {
    ComputationDetails.SUCCEEDED: ComputationStageAttemptDetails.SUCCEEDED,
    ComputationDetails.FAILED: ComputationStageAttemptDetails.ERROR,
    ComputationDetails.CANCELED: ComputationStageAttemptDetails.CANCELLED,
}


async def update_details(
    transaction: Transaction,
    told: ComputationToken,
    details: ComputationDetails,
    entries: Sequence[RequisitionEntry],
    guard: Guard,
) -> ComputationToken:
    computation = await lock_if(transaction, told.local_computation_id, guard)
    require_running(computation)
    if registry.of(details) is not computation.protocol or registry.role(details) is not computation.role:
        raise InvalidRequest("the details are another protocol's, or change the role or the length of its path")
    kept = registry.keep_participants(computation.details, details)
    registry.seat(kept, transaction.duchy)
    await store_details(transaction, computation, kept)
    await overwrite_details(transaction, computation, entries)
    await note(transaction, computation, "details updated", actor=actor_of(guard))
    await change(transaction, computation, version=computation.version + 1)
    return await token(transaction, computation)


async def advance(transaction: Transaction, request: AdvanceComputationStageRequest, guard: Guard) -> ComputationToken:
    told = request.token
    computation = await find(transaction, told.local_computation_id, lock=True)
    asked = registry.stage_of(request.next_computation_stage)
    if await _was_left(transaction, computation, told, asked[1], guard):
        return await token(transaction, computation)
    if not holds(computation, guard):
        raise refusal(computation, guard)
    require_stage(computation, told)
    following = await _following(transaction, computation, asked)
    after = await _check_request(transaction, computation, following, request, guard)
    leaving = row_of(computation.seat(transaction.duchy), computation.table_stage)
    if isinstance(leaving, Wait) and isinstance(leaving.until, Fact):
        await remember(transaction, computation, leaving.until, actor_of(guard))
    owner, fence = computation.owner, computation.fence
    await leave(transaction, computation, at_version=computation.version, by_fence=fence if owner else None)
    await enter(transaction, computation, following, actor_of(guard))
    if after == AfterTransition.RETAIN_AND_EXTEND_LOCK:
        await _retain(transaction, computation, owner, request)
    await settle(transaction, computation, actor_of(guard))
    await change(transaction, computation, version=computation.version + 1)
    return await token(transaction, computation)


async def _was_left(
    transaction: Transaction, computation: Computation, told: ComputationToken, to: int, guard: Guard
) -> bool:
    """Whether this is the repeat of a transition whose reply was lost."""
    row = await stage_row(transaction, computation, registry.stage_of(told.computation_stage)[1])
    if row is None or row["departed_to"] != to:
        return False
    if isinstance(guard, Fence):
        return bool(row["departed_by_fence"] == guard.number)
    return bool(row["departed_at_version"] == guard.number)


async def _following(transaction: Transaction, computation: Computation, asked: tuple[int, int]) -> Stage:
    require_running(computation)
    stage = computation.table_stage
    following = transitions(computation.protocol)[stage, computation.role]
    allowed = "FinishComputation" if following is computation.protocol.complete else following.name
    if asked != (computation.type, following.value) or following is computation.protocol.complete:
        raise PreconditionFailed(
            f"{stage.name} is not followed by {registry.stage_name(*asked)} for {computation.role.name}: "
            f"after it comes {allowed}"
        )
    row = await stage_row(transaction, computation, stage.value)
    if row is None or row["next_attempt"] < 2:
        raise PreconditionFailed(f"{stage.name} was never claimed", cure="Claim it, then work on it.")
    unwritten = [blob["id"] for blob in await blobs_of(transaction, computation) if _unwritten(blob)]
    if unwritten:
        raise PreconditionFailed(f"output {unwritten[0]} of {stage.name} is not recorded", cure="Record it first.")
    return following


def _unwritten(blob: RowMapping) -> bool:
    return blob["dependency"] == OUTPUT and not blob["path"]


async def _check_request(
    transaction: Transaction,
    computation: Computation,
    following: Stage,
    request: AdvanceComputationStageRequest,
    guard: Guard,
) -> int:
    """What to do with the lease. The table lays out the blobs; a caller that says otherwise is refused."""
    seat = computation.seat(transaction.duchy)
    queued = isinstance(row_of(seat, following), Work)
    default = AfterTransition.ADD_UNCLAIMED_TO_QUEUE if queued else AfterTransition.DO_NOT_ADD_TO_QUEUE
    allowed = {default, AfterTransition.RETAIN_AND_EXTEND_LOCK} if queued else {default}
    silent = not (request.input_blobs or request.pass_through_blobs or request.outputBlobs)
    if not isinstance(guard, Fence) or request.after_transition:
        if request.after_transition not in allowed:
            raise InvalidRequest(f"after_transition on entering {following.name} must be one of {_names(allowed)}")
        default = request.after_transition
    if not isinstance(guard, Fence) or not silent:
        layout = blobs(seat, following)
        inputs = [await _path(transaction, computation, blob) for blob in layout if blob.dependency is Dependency.INPUT]
        if (
            request.pass_through_blobs
            or [*request.input_blobs] != inputs
            or (request.outputBlobs != len(layout) - len(inputs))
        ):
            raise InvalidRequest(
                f"{following.name} is given {len(inputs)} inputs, as recorded, and has "
                f"{len(layout) - len(inputs)} outputs; the request lists {len(request.input_blobs)} inputs, "
                f"{len(request.pass_through_blobs)} passed through and {request.outputBlobs} outputs, or other paths"
            )
    return default


async def _path(transaction: Transaction, computation: Computation, blob: Blob) -> str:
    found = await content(transaction, computation, blob.content)
    return str(found["path"]) if found else ""


def _names(allowed: set[AfterTransition.ValueType]) -> str:
    return ", ".join(sorted(AfterTransition.Name(each) for each in allowed))


async def _retain(
    transaction: Transaction, computation: Computation, owner: str | None, request: AdvanceComputationStageRequest
) -> None:
    """The wire lets a mill keep its lock into the next stage: the same claim, so the same fence."""
    if not owner:
        raise PreconditionFailed("nobody holds the lock that is to be retained")
    extension = request.lock_extension.ToTimedelta() if request.HasField("lock_extension") else LOCK_EXTENSION
    await change(transaction, computation, owner=owner, lease_expires=transaction.now + microseconds(extension))
    await change_stage(transaction, computation, computation.stage, next_attempt=2)
    await transaction.run(
        insert(tables.attempts).values(
            computation=computation.id,
            stage=computation.stage,
            attempt=1,
            fence=computation.fence,
            owner=owner,
            began=transaction.now,
        )
    )


async def finish(
    transaction: Transaction,
    told: ComputationToken,
    ending_stage: ComputationStage,
    reason: ComputationDetails.CompletedReason.ValueType,
    guard: Guard,
    why: str,
) -> ComputationToken:
    computation = await find(transaction, told.local_computation_id, lock=True)
    complete = registry.complete(computation.type)
    if registry.stage_of(ending_stage) != (computation.type, complete):
        raise InvalidRequest(f"{computation.protocol.name} does not end in {registry.stage_of(ending_stage)}")
    if reason not in ENDED_AS:
        raise InvalidRequest("reason is not set")
    if computation.ended:
        return await _ended_before(transaction, computation, told, reason, guard)
    if not holds(computation, guard):
        raise refusal(computation, guard)
    seat, stage = computation.seat(transaction.duchy), computation.table_stage
    if reason == ComputationDetails.SUCCEEDED and stage is not seat.path[-1].stage:
        raise PreconditionFailed(f"a computation cannot succeed in {stage.name}, before the end of its path")
    fence = computation.fence if computation.owner else None
    await end(transaction, computation, reason, actor_of(guard), by_fence=fence, why=why)
    return await token(transaction, computation)


async def end(
    transaction: Transaction,
    computation: Computation,
    reason: ComputationDetails.CompletedReason.ValueType,
    actor: str,
    *,
    by_fence: int | None,
    why: str,
) -> None:
    """From any stage. Its key is destroyed, and with it all that was sealed under it."""
    complete = registry.complete(computation.type)
    await leave(transaction, computation, at_version=computation.version, by_fence=by_fence, ended_as=ENDED_AS[reason])
    await change_stage(transaction, computation, computation.stage, departed_to=complete)
    ended = ComputationDetails()
    ended.CopyFrom(computation.details)
    ended.ending_state = reason
    await change(
        transaction,
        computation,
        stage=complete,
        owner=None,
        lease_expires=None,
        progress=None,
        details=ended.SerializeToString(),
        sealed_details=None,
        sealed_private_keyset=None,
        wrapped_key=None,
        version=computation.version + 1,
    )
    mine = tables.requisitions.c.computation == computation.id
    await transaction.run(update(tables.requisitions).where(mine).values(sealed_details=None))
    await add_stage(transaction, computation, next_attempt=1)
    name = ComputationDetails.CompletedReason.Name(reason)
    await note(transaction, computation, "ended", f"{name}: {why}" if why else name, actor=actor)


async def _ended_before(
    transaction: Transaction,
    computation: Computation,
    told: ComputationToken,
    reason: ComputationDetails.CompletedReason.ValueType,
    guard: Guard,
) -> ComputationToken:
    """The first end stands. The same end again is a repeat, if its caller saw the end or made it."""
    if not holds(computation, guard) and not await _was_left(transaction, computation, told, computation.stage, guard):
        raise refusal(computation, guard)
    if computation.details.ending_state != reason:
        ended = ComputationDetails.CompletedReason.Name(computation.details.ending_state)
        raise PreconditionFailed(f"computation {computation.global_id} has ended before: {ended}")
    return await token(transaction, computation)
