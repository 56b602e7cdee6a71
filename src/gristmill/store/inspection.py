"""What an operator may see: never a secret, none is opened here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, tuple_

from gristmill.errors import InvalidRequest
from gristmill.proto.duchy.inspection_pb2 import ComputationSummary, Event, ListComputationsResponse, ListEventsResponse
from gristmill.proto.duchy.leases_pb2 import Progress
from gristmill.protocols import registry
from gristmill.protocols.derive import Slot, missing, row_of, takes_requisitions
from gristmill.protocols.table import Fact, Work
from gristmill.store import tables
from gristmill.store.claims import counts
from gristmill.store.rows import Computation, find, read, requisition_rows, stage_row
from gristmill.store.transaction import Transaction, timestamp
from gristmill.store.walk import facts, filled
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage

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
    return await _summary(transaction, await find(transaction, global_id))


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
    known, there = await facts(transaction, computation), await filled(transaction, computation, seat)
    for lack in missing(seat, stage, known, there):
        told.waiting_for.append(_words(lack))
        if isinstance(lack, Slot):
            told.waiting_for_duchies.append(lack.sender.duchy)
    if stage in takes_requisitions(seat.protocol, seat.me.role):
        rows = await requisition_rows(transaction, computation)
        told.missing_requisitions.extend(row["external_id"] for row in rows if not row["path"])


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
