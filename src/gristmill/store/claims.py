"""Claims, leases, and giving a stage back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, RowMapping, Update, case, insert, select, update

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.proto.duchy.leases_pb2 import AttemptCounts, BlobDigest, Lease, Progress, PutBackRequest
from gristmill.protocols import registry
from gristmill.protocols.derive import row_of
from gristmill.protocols.table import Work
from gristmill.store import tables
from gristmill.store.conditions import holds, refusal
from gristmill.store.guards import Fence, Guard, Version
from gristmill.store.journal import actor_of, note
from gristmill.store.outputs import recorded
from gristmill.store.refusals import LeaseTaken
from gristmill.store.rows import (
    KEPT,
    Computation,
    blobs_of,
    change,
    change_stage,
    find,
    read,
    requisition_rows,
    stage_row,
    token,
)
from gristmill.store.transaction import Transaction, microseconds, timestamp
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import INPUT, OUTPUT
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationStageAttemptDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

ERROR = ComputationStageAttemptDetails.ERROR
CANCELLED = ComputationStageAttemptDetails.CANCELLED
LOCK_OVERWRITTEN = ComputationStageAttemptDetails.LOCK_OVERWRITTEN
FAILURES = (PutBackRequest.FAILURE, PutBackRequest.STALLED)


async def claim(
    transaction: Transaction,
    computation_type: int,
    owner: str,
    duration: timedelta,
    prioritized: Sequence[ComputationStage],
) -> ComputationToken | None:
    if not owner:
        raise InvalidRequest("owner is not set")
    _require_positive(duration)
    first_stages = [registry.stage_of(stage)[1] for stage in prioritized]
    row = await transaction.first(_claim(transaction, computation_type, owner, microseconds(duration), first_stages))
    if row is None:
        return None
    computation = read(row)
    stage = await stage_row(transaction, computation, computation.stage)
    attempt = stage["next_attempt"] if stage else 1
    lost = await close_attempts(transaction, computation, LOCK_OVERWRITTEN)
    await change_stage(
        transaction,
        computation,
        computation.stage,
        next_attempt=attempt + 1,
        workers_lost=tables.stages.c.workers_lost + len(lost),
    )
    await transaction.run(
        insert(tables.attempts).values(
            computation=computation.id,
            stage=computation.stage,
            attempt=attempt,
            fence=computation.fence,
            owner=owner,
            began=transaction.now,
        )
    )
    for gone in lost:
        await note(
            transaction,
            computation,
            "worker lost",
            "its lease expired",
            actor=gone["owner"],
            attempt=gone["attempt"],
            fence=gone["fence"],
        )
    await note(transaction, computation, "claimed", attempt=attempt)
    return await token(transaction, computation)


def _claim(
    transaction: Transaction, computation_type: int, owner: str, duration: int, first_stages: list[int]
) -> Update:
    """One statement, so that two claimers cannot get the same stage; on Postgres they do not even wait."""
    columns, now = tables.computations.c, transaction.database.now()
    best = (
        select(columns.id)
        .where(columns.type == computation_type, columns.lease_expires <= now)
        .order_by(
            case((columns.stage.in_(first_stages), 0), else_=1),
            columns.created,
            columns.lease_expires,
            columns.updated,
            columns.id,
        )
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    return (
        update(tables.computations)
        .where(columns.id == best)
        .values(
            owner=owner,
            fence=columns.fence + 1,
            version=columns.version + 1,
            lease_expires=now + duration,
            lease_renewed=None,
            progress=None,
            updated=now,
        )
        .returning(*columns)
    )


async def lease(transaction: Transaction, global_id: str, owner: str) -> Lease:
    computation = await find(transaction, global_id)
    if not owner or computation.owner != owner:
        raise LeaseTaken(computation.id, expected_owner=owner, actual_owner=computation.owner)
    return await _lease(transaction, computation)


async def renew(
    transaction: Transaction, global_id: str, fence: Fence, duration: timedelta, progress: Progress | None
) -> Lease:
    _require_positive(duration)
    columns = tables.computations.c
    renewed = (
        update(tables.computations)
        .where(columns.global_id == global_id, columns.fence == fence.number, columns.owner == fence.owner)
        .values(
            lease_expires=transaction.database.now() + microseconds(duration),
            lease_renewed=transaction.database.now(),
            **({} if progress is None else {"progress": progress.SerializeToString()}),
        )
        .returning(*columns)
    )
    row = await transaction.first(renewed)
    if row is None:
        raise refusal(await find(transaction, global_id), fence)
    return await _lease(transaction, read(row))


async def put_back(
    transaction: Transaction, global_id: str, fence: Fence, delay: timedelta, reason: int, message: str
) -> None:
    if reason not in PutBackRequest.Reason.values() or not reason:
        raise InvalidRequest("reason is not set")
    computation = await find(transaction, global_id, lock=True)
    await _give_back(transaction, computation, fence, delay, reason, message)


async def enqueue(
    transaction: Transaction, told: ComputationToken, delay: timedelta, expected_owner: str, guard: Guard
) -> None:
    computation = await find(transaction, told.local_computation_id, lock=True)
    if isinstance(guard, Version) and holds(computation, guard) and computation.owner not in (None, expected_owner):
        raise LeaseTaken(computation.id, expected_owner=expected_owner, actual_owner=computation.owner)
    await _give_back(transaction, computation, guard, delay, PutBackRequest.FAILURE, "put back by the wire's caller")


async def _give_back(
    transaction: Transaction, computation: Computation, guard: Guard, delay: timedelta, reason: int, message: str
) -> None:
    if delay < timedelta(0):
        raise InvalidRequest("the delay is negative")
    if not holds(computation, guard):
        if await _was_put_back(transaction, computation, guard):
            return
        raise refusal(computation, guard)
    seat, stage = computation.seat(transaction.duchy), computation.table_stage
    if not isinstance(row_of(seat, stage), Work):
        raise PreconditionFailed(f"no mill works on {stage.name}: it cannot be put in the queue")
    await _count(transaction, computation, reason)
    ended_as = ERROR if reason in (*FAILURES, PutBackRequest.OUT_OF_MEMORY) else CANCELLED
    closed = await close_attempts(transaction, computation, ended_as, put_back_at_version=computation.version)
    detail = PutBackRequest.Reason.Name(reason)  # type: ignore[arg-type]
    await note(
        transaction,
        computation,
        "put back",
        f"{detail}: {message}" if message else detail,
        actor=computation.owner or actor_of(guard),
        attempt=max((attempt["attempt"] for attempt in closed), default=0),
    )
    await change(
        transaction,
        computation,
        owner=None,
        lease_expires=transaction.now + microseconds(delay),
        progress=None,
        version=computation.version + 1,
    )


async def _count(transaction: Transaction, computation: Computation, reason: int) -> None:
    stage = await stage_row(transaction, computation, computation.stage)
    if stage is None or reason == PutBackRequest.SHUTDOWN:
        return
    await change_stage(
        transaction,
        computation,
        computation.stage,
        failures=stage["failures"] + (reason in FAILURES),
        out_of_memory=stage["out_of_memory"] + (reason == PutBackRequest.OUT_OF_MEMORY),
        waiting_for_peer_since=(stage["waiting_for_peer_since"] or transaction.now)
        if reason == PutBackRequest.PEER_BEHIND
        else None,
    )


async def _was_put_back(transaction: Transaction, computation: Computation, guard: Guard) -> bool:
    """Whether this is the repeat of a put-back whose reply was lost."""
    columns = tables.attempts.c
    if isinstance(guard, Fence):
        same: ColumnElement[bool] = (columns.fence == guard.number) & (columns.owner == guard.owner)
    else:
        same = columns.put_back_at_version == guard.number
    put_back_so = select(columns.attempt).where(
        columns.computation == computation.id, columns.put_back_at_version.is_not(None), same
    )
    return await transaction.first(put_back_so) is not None


async def close_attempts(
    transaction: Transaction, computation: Computation, reason: int, put_back_at_version: int | None = None
) -> list[RowMapping]:
    """End the open attempts of the present stage."""
    columns = tables.attempts.c
    closing = (
        update(tables.attempts)
        .where(columns.computation == computation.id, columns.stage == computation.stage, columns.ended.is_(None))
        .values(ended=transaction.now, reason=reason, put_back_at_version=put_back_at_version)
        .returning(*columns)
    )
    return await transaction.all(closing)


async def _lease(transaction: Transaction, computation: Computation) -> Lease:
    stage = await stage_row(transaction, computation, computation.stage)
    if stage is None:
        raise PreconditionFailed(f"computation {computation.global_id} has no row for {computation.stage_name()}")
    held = Lease(
        global_computation_id=computation.global_id,
        stage=registry.wire_stage_of(computation.type, computation.stage),
        attempt=stage["next_attempt"] - 1,
        fence=computation.fence,
        owner=computation.owner or "",
        expire_time=timestamp(computation.lease_expires),
        counts=counts(stage),
    )
    blobs = await blobs_of(transaction, computation)
    held.outputs.extend(recorded(blob) for blob in blobs if blob["dependency"] in (OUTPUT, KEPT) and blob["path"])
    given = [blob for blob in blobs if blob["dependency"] == INPUT]
    for row in [*given, *await requisition_rows(transaction, computation)]:
        if row["path"] and row["sha256"] is not None:
            held.digests.append(BlobDigest(path=row["path"], length=row["length"], sha256=row["sha256"]))
    return held


def counts(stage: RowMapping) -> AttemptCounts:
    return AttemptCounts(
        failures=stage["failures"],
        workers_lost=stage["workers_lost"],
        out_of_memory=stage["out_of_memory"],
        waiting_for_peer_since=timestamp(stage["waiting_for_peer_since"]),
    )


def _require_positive(duration: timedelta) -> None:
    if duration <= timedelta(0):
        raise InvalidRequest("the duration of a lease must be positive")
