"""What the kingdom says and what peers send: remembered whatever the stage, judged by the table."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import RowMapping, insert, select, update

from gristmill.errors import Conflict, InvalidRequest, PermissionDenied, PreconditionFailed
from gristmill.proto.duchy import orchestration_pb2 as orchestration
from gristmill.proto.duchy.leases_pb2 import BlobDigest
from gristmill.proto.duchy.orchestration_pb2 import FillSlotResponse, JudgeMessageResponse, SlotMessage
from gristmill.protocols import derive, registry
from gristmill.protocols.derive import Blob, Dependency, Hearing, Slot, Verdict
from gristmill.protocols.table import Fact, Participant, Role, Seat, Stage
from gristmill.store import tables
from gristmill.store.conditions import require_running
from gristmill.store.journal import note
from gristmill.store.outputs import check_digest
from gristmill.store.requisitions import overwrite_details
from gristmill.store.rows import Computation, change, find, store_details, token
from gristmill.store.transaction import Transaction
from gristmill.store.walk import facts, filled, remember, settle
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionEntry


async def record_fact(
    transaction: Transaction,
    global_id: str,
    fact: Fact,
    details: ComputationDetails | None,
    entries: Collection[RequisitionEntry],
) -> ComputationToken:
    computation = await find(transaction, global_id, lock=True)
    hearing = derive.hear(computation.protocol, computation.role, fact)
    if hearing is Hearing.REFUSE:
        raise PreconditionFailed(
            f"{computation.protocol.name} knows no {fact.value}: the kingdom takes this computation for another's"
        )
    learned = False
    if hearing is Hearing.RECORD and fact not in await facts(transaction, computation):
        require_running(computation)
        if fact is Fact.KEYS_SET:
            await _learn(transaction, computation, details, entries)
            learned = True
        await remember(transaction, computation, fact, "herald")
    if await settle(transaction, computation, "herald") or learned:
        await change(transaction, computation, version=computation.version + 1)
    return await token(transaction, computation)


async def _learn(
    transaction: Transaction,
    computation: Computation,
    details: ComputationDetails | None,
    entries: Collection[RequisitionEntry],
) -> None:
    learned = registry.learn_participants(computation.details, details or ComputationDetails())
    if registry.seat(learned, transaction.duchy) is None:
        raise InvalidRequest("KEYS_SET comes with the participants in ring order, but details name none")
    await store_details(transaction, computation, learned)
    await overwrite_details(transaction, computation, entries)


class _Judged(NamedTuple):
    verdict: Verdict
    slot: Slot
    wait: Stage
    blob_id: int


async def judge(transaction: Transaction, message: SlotMessage) -> JudgeMessageResponse:
    computation = await find(transaction, message.global_computation_id)
    judged = await _judge(transaction, computation, message)
    if judged.verdict is Verdict.REPEAT:
        return JudgeMessageResponse(verdict=orchestration.REPEAT)
    folder = f"{transaction.duchy}/{computation.global_id}/{judged.wait.name}"
    path = f"{folder}/{judged.blob_id}-{secrets.token_hex(8)}"
    return JudgeMessageResponse(verdict=orchestration.FILL, blob_path=path)


async def fill(transaction: Transaction, message: SlotMessage, digest: BlobDigest) -> FillSlotResponse:
    check_digest(digest)
    computation = await find(transaction, message.global_computation_id, lock=True)
    judged = await _judge(transaction, computation, message)
    if judged.verdict is Verdict.REPEAT:
        there = await _slot(transaction, computation, judged.slot)
        same = there is not None and there["path"] == digest.path
        return FillSlotResponse(verdict=orchestration.FILL if same else orchestration.REPEAT)
    body = {"path": digest.path, "length": digest.length, "sha256": digest.sha256}
    await transaction.run(
        insert(tables.slots).values(
            computation=computation.id,
            message=judged.slot.message.value,
            sender=judged.slot.sender.duchy,
            filled=transaction.now,
            **body,
        )
    )
    name = judged.slot.message.name
    detail = f"{name}: {digest.length} bytes, SHA-256 {digest.sha256.hex()}"
    await note(transaction, computation, "slot filled", detail, actor=judged.slot.sender.duchy)
    if computation.stage == judged.wait.value:
        columns = tables.blobs.c
        waiting = (columns.computation == computation.id) & (columns.stage == computation.stage)
        await transaction.run(update(tables.blobs).where(waiting, columns.id == judged.blob_id).values(**body))
        await settle(transaction, computation, judged.slot.sender.duchy)
        await change(transaction, computation, version=computation.version + 1)
    return FillSlotResponse(verdict=orchestration.FILL)


async def _judge(transaction: Transaction, computation: Computation, message: SlotMessage) -> _Judged:
    """The table's verdict; the refusals among them as errors."""
    seat = computation.seat(transaction.duchy)
    slot = _named(seat, message)
    known = registry.seat(computation.details, transaction.duchy) is not None
    verdict = derive.judge(seat, computation.table_stage, await filled(transaction, computation, seat), slot)
    if computation.ended and not known:
        verdict = Verdict.OVER
    about = f"{slot.message.name} of {message.sender} for computation {computation.global_id}"
    match verdict:
        case Verdict.EARLY:
            raise Conflict(f"{about} comes too early: this duchy is in {computation.stage_name()}", cure="Come back.")
        case Verdict.OVER:
            raise PreconditionFailed(f"{about}: the computation has ended here")
        case Verdict.NOT_AWAITED:
            raise PreconditionFailed(f"{about}: this duchy never gets this message")
        case Verdict.NOT_YOURS:
            raise PermissionDenied(f"{about}: another duchy sends this message to this duchy")
    wait = seat.path[seat.protocol.waits(seat.me.role)[slot.message]].stage
    return _Judged(verdict, slot, wait, derive.blobs(seat, wait).index(Blob(Dependency.OUTPUT, slot)))


def _named(seat: Seat, message: SlotMessage) -> Slot:
    if message.computation_type != seat.protocol.number:
        raise InvalidRequest(f"computation type {message.computation_type} in a computation of {seat.protocol.name}")
    try:
        kind = seat.protocol.messages(message.message)
    except ValueError:
        raise InvalidRequest(f"{seat.protocol.name} has no message {message.message}") from None
    strangers = Participant(message.sender, Role.NON_AGGREGATOR)
    sender = next((each for each in seat.ring if each.duchy == message.sender), strangers)
    return Slot(kind, sender)


async def _slot(transaction: Transaction, computation: Computation, slot: Slot) -> RowMapping | None:
    columns = tables.slots.c
    where = (columns.message == slot.message.value) & (columns.sender == slot.sender.duchy)
    return await transaction.first(select(tables.slots).where(columns.computation == computation.id, where))
