"""The duchies' parts in a computation: reading and writing rows. What may happen when is in `transitions`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from gristmill.store.kingdom.database import Transaction
from gristmill.store.kingdom.records import ParticipantRecord
from gristmill.store.kingdom.tables import certificates, participants
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant


async def of(transaction: Transaction, measurement: int) -> tuple[ParticipantRecord, ...]:
    """All participants of a computation, by duchy ID."""
    query = (
        select(participants, certificates.c.x509_der)
        .outerjoin(certificates, certificates.c.name == participants.c.certificate)
        .where(participants.c.measurement == measurement)
        .order_by(participants.c.duchy)
    )
    return tuple(
        ParticipantRecord(
            measurement=row.measurement,
            duchy=row.duchy,
            state=row.state,
            updated=row.updated,
            certificate_der=row.x509_der,
            requisition_params=None
            if row.requisition_params is None
            else ComputationParticipant.RequisitionParams.FromString(row.requisition_params),
            failure=None if row.failure is None else ComputationParticipant.Failure.FromString(row.failure),
        )
        for row in await transaction.connection.execute(query)
    )


async def change(transaction: Transaction, measurement: int, duchy: str, **values: Any) -> None:
    """Write columns of one participant, and with them a new update time (and so a new etag)."""
    await transaction.connection.execute(
        update(participants)
        .where(participants.c.measurement == measurement, participants.c.duchy == duchy)
        .values(updated=await transaction.tick(), **values)
    )
