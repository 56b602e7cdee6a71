"""Entering and leaving stages, as the protocol's table says; nothing else changes a computation's stage."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from gristmill.errors import PreconditionFailed
from gristmill.protocols import registry
from gristmill.protocols.derive import Slot, blobs, kept_beside, missing, row_of, stage_details, transitions
from gristmill.protocols.table import Fact, Seat, Stage, Wait
from gristmill.store import tables
from gristmill.store.journal import note
from gristmill.store.rows import Computation, add_stage, change, change_stage
from gristmill.store.transaction import Transaction
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import OUTPUT
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationStageAttemptDetails

SUCCEEDED = ComputationStageAttemptDetails.SUCCEEDED


async def settle(transaction: Transaction, computation: Computation, cause: str) -> bool:
    """Leave a wait that lacks nothing: asked whenever it is entered and after every fact and slot.

    True if the stage was left; the caller counts the version.
    """
    if computation.ended:
        return False
    seat, stage = computation.seat(transaction.duchy), computation.table_stage
    if not isinstance(row_of(seat, stage), Wait):
        return False
    if missing(seat, stage, await facts(transaction, computation), await filled(transaction, computation, seat)):
        return False
    await leave(transaction, computation, at_version=None, by_fence=None)
    await enter(transaction, computation, transitions(seat.protocol)[stage, seat.me.role], cause)
    return True


async def leave(
    transaction: Transaction,
    computation: Computation,
    *,
    at_version: int | None,
    by_fence: int | None,
    ended_as: int = SUCCEEDED,
) -> None:
    """Close the present stage and its attempt; where it was left to is noted on entering the next."""
    columns = tables.attempts.c
    open_here = (columns.computation == computation.id) & (columns.stage == computation.stage) & columns.ended.is_(None)
    await transaction.run(update(tables.attempts).where(open_here).values(ended=transaction.now, reason=ended_as))
    await change_stage(
        transaction,
        computation,
        computation.stage,
        departed=transaction.now,
        departed_at_version=at_version,
        departed_by_fence=by_fence,
    )


async def enter(transaction: Transaction, computation: Computation, stage: Stage, actor: str) -> None:
    """The new stage, its blobs laid out; in the queue if mills work on it, and nobody's."""
    protocol, role = computation.protocol, computation.role
    if registry.needs_ring(protocol, role, stage) and registry.seat(computation.details, transaction.duchy) is None:
        raise PreconditionFailed(
            f"computation {computation.global_id} cannot enter {stage.name} before its participants are known",
            cure="Record KEYS_SET with the participants first.",
        )
    seat = computation.seat(transaction.duchy)
    waits = isinstance(row_of(seat, stage), Wait)
    await change_stage(transaction, computation, computation.stage, departed_to=stage.value)
    await change(
        transaction,
        computation,
        stage=stage.value,
        owner=None,
        lease_expires=None if waits else transaction.now,
        progress=None,
    )
    details = registry.wire_stage_details(protocol, stage_details(seat, stage)).SerializeToString()
    # The wire shows a wait as attempted once, though nobody works on it.
    await add_stage(transaction, computation, details, next_attempt=2 if waits else 1)
    for blob_id, blob in enumerate((*blobs(seat, stage), *kept_beside(seat, stage))):
        found = await content(transaction, computation, blob.content)
        values = {"dependency": blob.dependency.value, **(found or {})}
        await transaction.run(
            insert(tables.blobs).values(computation=computation.id, stage=stage.value, id=blob_id, **values)
        )
    await note(transaction, computation, "stage entered", actor=actor)


async def content(transaction: Transaction, computation: Computation, of: Slot | Stage) -> dict[str, object] | None:
    """Path, length and hash of what a peer sent or a stage made; none if it is not there yet."""
    if isinstance(of, Slot):
        slot = tables.slots.c
        where = (slot.message == of.message.value) & (slot.sender == of.sender.duchy)
        statement = select(slot.path, slot.length, slot.sha256).where(slot.computation == computation.id, where)
    else:
        blob = tables.blobs.c
        where = (blob.stage == of.value) & (blob.dependency == OUTPUT) & (blob.path != "")
        statement = select(blob.path, blob.length, blob.sha256).where(blob.computation == computation.id, where)
    row = await transaction.first(statement)
    return dict(row) if row else None


async def facts(transaction: Transaction, computation: Computation) -> set[Fact]:
    columns = tables.facts.c
    names = await transaction.column(select(columns.fact).where(columns.computation == computation.id))
    return {Fact[name] for name in names}


async def remember(transaction: Transaction, computation: Computation, fact: Fact, actor: str) -> bool:
    """False if it was known."""
    if fact in await facts(transaction, computation):
        return False
    values = {"computation": computation.id, "fact": fact.name, "recorded": transaction.now}
    await transaction.run(insert(tables.facts).values(values))
    await note(transaction, computation, "fact recorded", fact.name, actor=actor)
    return True


async def filled(transaction: Transaction, computation: Computation, seat: Seat) -> set[Slot]:
    columns = tables.slots.c
    statement = select(columns.message, columns.sender).where(columns.computation == computation.id)
    senders = {participant.duchy: participant for participant in seat.ring}
    return {
        Slot(seat.protocol.messages(row["message"]), senders[row["sender"]])
        for row in await transaction.all(statement)
        if row["sender"] in senders
    }
