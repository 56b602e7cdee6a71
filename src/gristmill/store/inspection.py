"""What an operator may see: never a secret, none is opened here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, select, tuple_

from gristmill.errors import InvalidRequest
from gristmill.proto.duchy.inspection_pb2 import (
    ComputationSummary,
    Delivery,
    Event,
    ListComputationsResponse,
    ListEventsResponse,
)
from gristmill.proto.duchy.leases_pb2 import Progress
from gristmill.protocols import registry
from gristmill.protocols.derive import Slot, missing, row_of, takes_requisitions
from gristmill.protocols.table import Fact, Seat, Work, senders, sends
from gristmill.store import tables
from gristmill.store.claims import counts
from gristmill.store.rows import Computation, find, read, requisition_rows, stage_row
from gristmill.store.transaction import Transaction, timestamp
from gristmill.store.walk import facts, filled
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionDetails

PAGE_SIZE, LARGEST_PAGE = 50, 1000


async def computation_ids(transaction: Transaction, stages: Sequence[ComputationStage]) -> list[str]:
    wanted = [registry.stage_of(stage) for stage in stages]
    if len({computation_type for computation_type, _ in wanted}) != 1:
        raise InvalidRequest("stages must be of one protocol, and at least one")
    columns = tables.computations.c
    within = select(columns.global_id).where(tuple_(columns.type, columns.stage).in_(wanted))
    return await transaction.column(within.order_by(columns.created))


async def summaries(transaction: Transaction, page_size: int, page_token: str) -> ListComputationsResponse:
    size = min(page_size or PAGE_SIZE, LARGEST_PAGE)
    if size < 0:
        raise InvalidRequest("page_size is negative")
    columns = tables.computations.c
    page = select(tables.computations).order_by(columns.created.desc(), columns.id.desc()).limit(size + 1)
    if page_token:
        page = page.where(tuple_(columns.created, columns.id) < tuple_(*_position(page_token)))
    rows = await transaction.all(page)
    listed = ListComputationsResponse()
    for row in rows[:size]:
        listed.computations.append(await _summary(transaction, read(row)))
    if len(rows) > size:
        listed.next_page_token = f"{rows[size - 1]['created']}-{rows[size - 1]['id']}"
    return listed


def _position(page_token: str) -> tuple[int, int]:
    try:
        created, computation_id = map(int, page_token.split("-"))
        if max(created, computation_id) < 2**63:
            return created, computation_id
        raise ValueError
    except ValueError:
        raise InvalidRequest("page_token is none that this service gave out") from None


async def summary(transaction: Transaction, global_id: str) -> ComputationSummary:
    """With what only one computation at a time is asked for: the claim's age, the ring, the deliveries."""
    computation = await find(transaction, global_id)
    told = await _summary(transaction, computation)
    if computation.owner:
        columns = tables.attempts.c
        mine = (columns.computation == computation.id) & (columns.stage == computation.stage) & columns.ended.is_(None)
        began = await transaction.first(select(columns.began).where(mine, columns.fence == computation.fence))
        if began is not None:
            told.MergeFrom(ComputationSummary(claim_time=timestamp(began["began"])))
    if computation.ended:
        columns = tables.events.c
        ends = select(columns.detail).where(columns.computation == computation.id, columns.kind == "ended")
        told.ending = next(iter(await transaction.column(ends)), told.ending_state)
    await _add_deliveries(transaction, computation, told)
    return told


async def _summary(transaction: Transaction, computation: Computation) -> ComputationSummary:
    stage = await stage_row(transaction, computation, computation.stage)
    told = ComputationSummary(
        global_computation_id=computation.global_id,
        computation_type=registry.type_name(computation.type),
        role=computation.role.name,
        stage=computation.stage_name(),
        kind="complete",
        lease_owner=computation.owner or "",
        lease_expire_time=timestamp(computation.lease_expires if computation.owner else None),
        lease_renew_time=timestamp(computation.lease_renewed if computation.owner else None),
        claimable_time=timestamp(None if computation.owner else computation.lease_expires),
        duchy=transaction.duchy,
        stage_enter_time=timestamp(stage["entered"] if stage else None),
        create_time=timestamp(computation.created),
        update_time=timestamp(computation.updated),
    )
    if stage is not None:
        told.attempt = stage["next_attempt"] - 1
        told.counts.CopyFrom(counts(stage))
    if computation.progress is not None:
        told.progress.CopyFrom(Progress.FromString(computation.progress))
    if computation.ended:
        told.ending_state = ComputationDetails.CompletedReason.Name(computation.details.ending_state)
    else:
        await _add_expectations(transaction, computation, told)
    return told


async def _add_expectations(transaction: Transaction, computation: Computation, told: ComputationSummary) -> None:
    """Work or wait, and for what and whom."""
    seat, stage = computation.seat(transaction.duchy), computation.table_stage
    told.kind = "work" if isinstance(row_of(seat, stage), Work) else "wait"
    for lack in await _missing(transaction, computation, seat):
        told.waiting_for.append(_words(lack))
        if isinstance(lack, Slot):
            told.waiting_for_duchies.append(lack.sender.duchy)
    if stage in takes_requisitions(seat.protocol, seat.me.role):
        rows = await requisition_rows(transaction, computation)
        told.missing_requisitions.extend(row["external_id"] for row in rows if _awaited_here(row, transaction.duchy))


async def _missing(transaction: Transaction, computation: Computation, seat: Seat) -> tuple[Fact | Slot, ...]:
    known, there = await facts(transaction, computation), await filled(transaction, computation, seat)
    return missing(seat, computation.table_stage, known, there)


async def lacks(transaction: Transaction, computation: Computation) -> list[str]:
    """What the present stage waits for, in words."""
    return [_words(lack) for lack in await _missing(transaction, computation, computation.seat(transaction.duchy))]


def _awaited_here(row: RowMapping, duchy: str) -> bool:
    """Whether the data are yet to come, and to this duchy; which one gets them is known once the keys are set."""
    return not row["path"] and RequisitionDetails.FromString(row["details"]).external_fulfilling_duchy_id in ("", duchy)


async def _add_deliveries(transaction: Transaction, computation: Computation, told: ComputationSummary) -> None:
    """The ring, and what this duchy sends to whom: the peer has acknowledged what a stage sent when that is left."""
    seat = registry.seat(computation.details, transaction.duchy)
    if seat is None:
        return
    for each in seat.ring:
        told.participants.add(duchy=each.duchy, role=each.role.name)
    for row in seat.path:
        send = sends(row)
        if send is None:
            continue
        receiver = seat._replace(me=seat.recipient(send))
        at = seat.protocol.waits(receiver.me.role)[send.message]
        wait = receiver.path[at].stage
        told.deliveries.add(
            message=send.message.name,
            receiver=receiver.me.duchy,
            sent_in=row.stage.name,
            state=_delivery_state(computation, await stage_row(transaction, computation, row.stage.value)),
            awaited_in=wait.name,
            awaited_in_number=wait.value,
            senders=len(senders(receiver, send.message)),
            taken_from_number=receiver.path[at - 1].stage.value,
        )


def _delivery_state(computation: Computation, sent_in: RowMapping | None) -> Delivery.State.ValueType:
    succeeded = computation.details.ending_state == ComputationDetails.SUCCEEDED
    if sent_in is None:
        return Delivery.NEVER if computation.ended else Delivery.NOT_YET
    if sent_in["departed_to"] is None:
        return Delivery.UNDER_WAY
    cut_short = sent_in["departed_to"] == registry.complete(computation.type) and not succeeded
    return Delivery.NEVER if cut_short else Delivery.ACKNOWLEDGED


def _words(lack: Fact | Slot) -> str:
    if isinstance(lack, Fact):
        return f"the kingdom to say {lack.value}"
    return f"{lack.message.name.lower().replace('_', ' ')} from {lack.sender.duchy}"


async def events(transaction: Transaction, global_id: str) -> ListEventsResponse:
    computation = await find(transaction, global_id)
    columns = tables.events.c
    mine = select(tables.events).where(columns.computation == computation.id).order_by(columns.id)
    listed = ListEventsResponse()
    for row in await transaction.all(mine):
        listed.events.append(
            Event(
                time=timestamp(row["time"]),
                kind=row["kind"],
                stage=computation.stage_name(row["stage"]),
                attempt=row["attempt"],
                fence=row["fence"],
                actor=row["actor"],
                detail=row["detail"],
            )
        )
    return listed
