"""What data providers are asked: reading and writing rows. What may happen when is in `transitions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, or_, select, update

from gristmill.errors import NotFound
from gristmill.store.kingdom.database import Transaction
from gristmill.store.kingdom.records import RequisitionRecord
from gristmill.store.kingdom.tables import measurements, requisitions
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition as SystemRequisition


async def of(transaction: Transaction, measurement: int) -> tuple[RequisitionRecord, ...]:
    """All requisitions of a measurement, by ID."""
    query = select(requisitions).where(requisitions.c.measurement == measurement).order_by(requisitions.c.id)
    return tuple(_record(row) for row in await transaction.connection.execute(query))


async def get(transaction: Transaction, identifier: int) -> RequisitionRecord:
    """The requisition of that ID; raises NotFound."""
    query = select(requisitions).where(requisitions.c.id == identifier)
    row = (await transaction.connection.execute(query)).first()
    if row is None:
        raise NotFound("no such requisition", cure="Check its name.")
    return _record(row)


async def page(
    transaction: Transaction,
    data_provider: str,
    *,
    states: Sequence[Requisition.State.ValueType],
    after: tuple[int, int],
    size: int,
) -> list[RequisitionRecord]:
    """Up to `size` requisitions of a data provider in the order of (update, ID), from the one after `after`.

    Requisitions whose duchies have not all published their keys are left out: nobody could fulfil them yet.
    """
    updated, identifier = after
    query = (
        select(requisitions)
        .join(measurements, measurements.c.id == requisitions.c.measurement)
        .where(
            requisitions.c.data_provider == data_provider,
            measurements.c.state != Computation.PENDING_REQUISITION_PARAMS,
            or_(
                requisitions.c.updated > updated,
                and_(requisitions.c.updated == updated, requisitions.c.id > identifier),
            ),
        )
        .order_by(requisitions.c.updated, requisitions.c.id)
        .limit(size)
    )
    if states:
        query = query.where(requisitions.c.state.in_(list(states)))
    return [_record(row) for row in await transaction.connection.execute(query)]


async def change(transaction: Transaction, identifier: int, **values: Any) -> None:
    """Write columns of one requisition, and with them a new update time (and so a new etag)."""
    await transaction.connection.execute(
        update(requisitions).where(requisitions.c.id == identifier).values(updated=await transaction.tick(), **values)
    )


async def publish(transaction: Transaction, measurement: int) -> None:
    """Give the requisitions a new update time: from now on data providers see them, with the duchies' keys."""
    await transaction.connection.execute(
        update(requisitions).where(requisitions.c.measurement == measurement).values(updated=await transaction.tick())
    )


async def withdraw(transaction: Transaction, measurement: int) -> None:
    """Withdraw the requisitions of a measurement that nobody has answered yet."""
    await transaction.connection.execute(
        update(requisitions)
        .where(requisitions.c.measurement == measurement, requisitions.c.state == Requisition.UNFULFILLED)
        .values(updated=await transaction.tick(), state=Requisition.WITHDRAWN)
    )


def _record(row: Row[Any]) -> RequisitionRecord:
    return RequisitionRecord(
        id=row.id,
        measurement=row.measurement,
        data_provider=row.data_provider,
        entry=Measurement.DataProviderEntry.Value.FromString(row.entry),
        state=row.state,
        updated=row.updated,
        nonce=None if row.nonce is None else int.from_bytes(row.nonce, "big"),
        fulfilling_duchy=row.fulfilling_duchy,
        refusal=None if row.refusal is None else Requisition.Refusal.FromString(row.refusal),
        fulfillment_context=None
        if row.fulfillment_context is None
        else SystemRequisition.FulfillmentContext.FromString(row.fulfillment_context),
    )
