"""Measurements and the computations that carry them out: creation, reading, and every change of state.

PENDING_REQUISITION_PARAMS -> PENDING_REQUISITION_FULFILLMENT -> PENDING_PARTICIPANT_CONFIRMATION
-> PENDING_COMPUTATION -> SUCCEEDED; from any of the first four -> FAILED | CANCELLED

A protocol without confirmation goes from PENDING_REQUISITION_FULFILLMENT to PENDING_COMPUTATION.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, and_, insert, or_, select, update

from gristmill.errors import AlreadyExists, NotFound, PreconditionFailed
from gristmill.store.kingdom import participants, requisitions
from gristmill.store.kingdom.database import Transaction, random_identifier
from gristmill.store.kingdom.records import OPEN_STATES, MeasurementRecord, NewMeasurement, ResultRecord
from gristmill.store.kingdom.tables import measurements
from gristmill.store.kingdom.tables import participants as participants_table
from gristmill.store.kingdom.tables import requisitions as requisitions_table
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

DELIVERED_STATES = (
    Computation.PENDING_REQUISITION_PARAMS,
    Computation.PENDING_PARTICIPANT_CONFIRMATION,
    Computation.PENDING_COMPUTATION,
    Computation.FAILED,
    Computation.CANCELLED,
    Computation.SUCCEEDED,
)
"""The states in which a duchy is told of a computation: never PENDING_REQUISITION_FULFILLMENT."""


async def create(transaction: Transaction, new: NewMeasurement) -> MeasurementRecord:
    """Record a measurement, its participants and requisitions.

    With a `request_id` that this consumer has used before, the measurement made then is returned, unless the two
    requests differ: then AlreadyExists.
    """
    if new.request_id is not None:
        earlier = (
            await transaction.connection.execute(
                select(measurements.c.id, measurements.c.request).where(
                    measurements.c.consumer == new.consumer, measurements.c.request_id == new.request_id
                )
            )
        ).first()
        if earlier is not None:
            if Measurement.FromString(earlier.request) != new.request:
                raise AlreadyExists(
                    "another measurement was created with this request_id",
                    cure="Use a new request_id for a new measurement.",
                )
            return await get(transaction, earlier.id)
    now = await transaction.tick()
    identifier = random_identifier()
    await transaction.connection.execute(
        insert(measurements).values(
            id=identifier,
            consumer=new.consumer,
            request_id=new.request_id,
            consumer_certificate=new.request.measurement_consumer_certificate,
            request=new.request.SerializeToString(),
            public_config=new.public_config.SerializeToString(),
            system_config=new.system_config.SerializeToString(),
            state=Computation.PENDING_REQUISITION_PARAMS,
            created=now,
            updated=now,
        )
    )
    await transaction.connection.execute(
        insert(participants_table),
        [
            {"measurement": identifier, "duchy": duchy, "state": ComputationParticipant.CREATED, "updated": now}
            for duchy in new.duchies
        ],
    )
    await transaction.connection.execute(
        insert(requisitions_table),
        [
            {
                "id": (requisition_id := random_identifier()),
                "measurement": identifier,
                "data_provider": requisition.data_provider,
                "data_provider_certificate": requisition.entry.data_provider_certificate,
                "entry": requisition.entry.SerializeToString(),
                "state": Requisition.UNFULFILLED,
                "updated": now,
                "fulfilling_duchy": _assigned(requisition_id, new.storing_duchies),
            }
            for requisition in new.requisitions
        ],
    )
    return await get(transaction, identifier)


def _assigned(requisition_id: int, duchies: Sequence[str]) -> str | None:
    """The duchy that will store a requisition (share-shuffle specification, section 5.2)."""
    return duchies[requisition_id % len(duchies)] if duchies else None


async def get(transaction: Transaction, identifier: int, *, consumer: str | None = None) -> MeasurementRecord:
    """The measurement of that ID, of that consumer if one is given; raises NotFound."""
    row = (await transaction.connection.execute(select(measurements).where(measurements.c.id == identifier))).first()
    if row is None or consumer not in (None, row.consumer):
        raise NotFound("no such measurement or computation", cure="Check its name.")
    return await _record(transaction, row)


async def page(
    transaction: Transaction, consumer: str, *, after: tuple[int, int], size: int
) -> list[MeasurementRecord]:
    """Up to `size` measurements of a consumer in the order of (creation, ID), from the one after `after`."""
    created, identifier = after
    query = (
        select(measurements)
        .where(
            measurements.c.consumer == consumer,
            or_(
                measurements.c.created > created,
                and_(measurements.c.created == created, measurements.c.id > identifier),
            ),
        )
        .order_by(measurements.c.created, measurements.c.id)
        .limit(size)
    )
    return await _records(transaction, query)


async def active(transaction: Transaction, duchy: str, *, after: tuple[int, int], size: int) -> list[MeasurementRecord]:
    """Up to `size` computations that a duchy takes part in and is told of, by (update, ID) after `after`."""
    updated, identifier = after
    query = (
        select(measurements)
        .join(participants_table, participants_table.c.measurement == measurements.c.id)
        .where(
            participants_table.c.duchy == duchy,
            measurements.c.state.in_(DELIVERED_STATES),
            or_(
                measurements.c.updated > updated,
                and_(measurements.c.updated == updated, measurements.c.id > identifier),
            ),
        )
        .order_by(measurements.c.updated, measurements.c.id)
        .limit(size)
    )
    return await _records(transaction, query)


async def move(transaction: Transaction, identifier: int, state: Computation.State.ValueType) -> None:
    """Put an open computation into its next state."""
    await _change(transaction, identifier, {"state": state})


async def fail(
    transaction: Transaction, identifier: int, reason: Measurement.Failure.Reason.ValueType, message: str
) -> None:
    """End an open measurement as FAILED and withdraw what data providers have not answered yet."""
    await _change(
        transaction,
        identifier,
        {"state": Computation.FAILED, "failure_reason": reason, "failure_message": message},
    )
    await requisitions.withdraw(transaction, identifier)


async def cancel(transaction: Transaction, identifier: int) -> MeasurementRecord:
    """End an open measurement as CANCELLED; a repeat changes nothing. Raises PreconditionFailed if it has ended."""
    record = await get(transaction, identifier)
    if record.state == Computation.CANCELLED:
        return record
    require_state(record, *OPEN_STATES)
    await _change(transaction, identifier, {"state": Computation.CANCELLED})
    await requisitions.withdraw(transaction, identifier)
    return await get(transaction, identifier)


async def succeed(transaction: Transaction, identifier: int, result: ResultRecord) -> MeasurementRecord:
    """Record the result of a computation that is being computed, and end it as SUCCEEDED.

    The same result again is accepted and changes nothing, so that a mill may repeat a call whose answer it lost (the
    existing kingdom answers such a repeat with UNKNOWN). Raises PreconditionFailed in any other state, or if another
    result is there already.
    """
    record = await get(transaction, identifier)
    if record.state == Computation.SUCCEEDED:
        if record.result == result:
            return record
        raise PreconditionFailed("the computation already has another result")
    require_state(record, Computation.PENDING_COMPUTATION)
    await _change(
        transaction,
        identifier,
        {
            "state": Computation.SUCCEEDED,
            "aggregator_certificate": result.aggregator_certificate,
            "result_public_key": result.public_key,
            "encrypted_result": result.ciphertext,
        },
    )
    return await get(transaction, identifier)


def require_state(record: MeasurementRecord, *states: Computation.State.ValueType) -> None:
    """Raise PreconditionFailed unless the computation is in one of the states."""
    if record.state not in states:
        expected = " or ".join(Computation.State.Name(state) for state in states)
        raise PreconditionFailed(f"the computation is {Computation.State.Name(record.state)}, not {expected}")


async def _change(transaction: Transaction, identifier: int, values: dict[str, Any]) -> None:
    await transaction.connection.execute(
        update(measurements).where(measurements.c.id == identifier).values(updated=await transaction.tick(), **values)
    )


async def _records(transaction: Transaction, query: Select[Any]) -> list[MeasurementRecord]:
    rows: Sequence[Row[Any]] = (await transaction.connection.execute(query)).all()
    return [await _record(transaction, row) for row in rows]


async def _record(transaction: Transaction, row: Row[Any]) -> MeasurementRecord:
    return MeasurementRecord(
        id=row.id,
        consumer=row.consumer,
        request=Measurement.FromString(row.request),
        public_config=ProtocolConfig.FromString(row.public_config),
        system_config=Computation.MpcProtocolConfig.FromString(row.system_config),
        state=row.state,
        created=row.created,
        updated=row.updated,
        failure_reason=row.failure_reason,
        failure_message=row.failure_message,
        result=None
        if row.encrypted_result is None
        else ResultRecord(row.aggregator_certificate, row.result_public_key, row.encrypted_result),
        participants=await participants.of(transaction, row.id),
        requisitions=await requisitions.of(transaction, row.id),
    )
