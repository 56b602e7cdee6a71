"""What duchies and data providers may do to a computation, and what follows (system API, states and RPC semantics).

    participant:  CREATED -> REQUISITION_PARAMS_SET -> READY, from any of them -> FAILED
                  CREATED -> READY where the protocol has no confirmation
    requisition:  UNFULFILLED -> FULFILLED | REFUSED | WITHDRAWN

Each function is one step within the caller's transaction and raises before it changes anything. `etag_time` is the
update time that the caller has seen (None: not checked); no longer current, the step is refused with Conflict.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert

from gristmill.errors import Conflict, NotFound, PreconditionFailed
from gristmill.store.kingdom import certificates, measurements, participants, requisitions
from gristmill.store.kingdom.database import Transaction, random_identifier
from gristmill.store.kingdom.measurements import require_state
from gristmill.store.kingdom.records import OPEN_STATES, MeasurementRecord, ParticipantRecord, RequisitionRecord
from gristmill.store.kingdom.tables import log_entries
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_log_entry_pb2 import ComputationLogEntry
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition as SystemRequisition


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """A duchy's word that it holds a data provider's data."""

    duchy: str
    nonce: int
    context: SystemRequisition.FulfillmentContext | None


async def participant(transaction: Transaction, measurement: int, duchy: str) -> ParticipantRecord:
    """A duchy's part in a computation; raises NotFound."""
    return _participant(await measurements.get(transaction, measurement), duchy)


async def set_requisition_params(
    transaction: Transaction,
    measurement: int,
    duchy: str,
    params: ComputationParticipant.RequisitionParams,
    *,
    etag_time: int | None,
) -> None:
    """A duchy has published its key. After the last one data providers may fulfil."""
    record = await measurements.get(transaction, measurement)
    current = _current_participant(record, duchy, etag_time)
    require_state(record, Computation.PENDING_REQUISITION_PARAMS)
    _require_participant_state(current, ComputationParticipant.CREATED)
    await certificates.usable(transaction, params.duchy_certificate)
    published = ComputationParticipant.REQUISITION_PARAMS_SET if record.is_confirmed else ComputationParticipant.READY
    await participants.change(
        transaction,
        measurement,
        duchy,
        state=published,
        certificate=params.duchy_certificate,
        requisition_params=params.SerializeToString(),
    )
    if _all_others(record, duchy, published):
        await measurements.move(transaction, measurement, Computation.PENDING_REQUISITION_FULFILLMENT)
        await requisitions.publish(transaction, measurement)


async def confirm(transaction: Transaction, measurement: int, duchy: str, *, etag_time: int | None) -> None:
    """A duchy has verified keys and participation. After the last one the computation starts."""
    record = await measurements.get(transaction, measurement)
    current = _current_participant(record, duchy, etag_time)
    require_state(record, Computation.PENDING_PARTICIPANT_CONFIRMATION)
    _require_participant_state(current, ComputationParticipant.REQUISITION_PARAMS_SET)
    await participants.change(transaction, measurement, duchy, state=ComputationParticipant.READY)
    if _all_others(record, duchy, ComputationParticipant.READY):
        await measurements.move(transaction, measurement, Computation.PENDING_COMPUTATION)


async def fail_participant(
    transaction: Transaction,
    measurement: int,
    duchy: str,
    failure: ComputationParticipant.Failure,
    *,
    etag_time: int | None,
) -> None:
    """A duchy cannot go on: the whole measurement fails."""
    record = await measurements.get(transaction, measurement)
    _current_participant(record, duchy, etag_time)
    require_state(record, *OPEN_STATES)
    await participants.change(
        transaction,
        measurement,
        duchy,
        state=ComputationParticipant.FAILED,
        failure=failure.SerializeToString(),
    )
    await measurements.fail(
        transaction,
        measurement,
        Measurement.Failure.COMPUTATION_PARTICIPANT_FAILED,
        f"duchy {duchy} failed: {failure.error_message}" if failure.error_message else f"duchy {duchy} failed",
    )
    if failure.HasField("stage_attempt"):
        entry = ComputationLogEntry(
            participant_child_reference_id=failure.participant_child_reference_id,
            log_message=failure.error_message,
            stage_attempt=failure.stage_attempt,
        )
        entry.error_details.type = ComputationLogEntry.ErrorDetails.PERMANENT
        entry.error_details.error_time.CopyFrom(failure.error_time)
        await log(transaction, measurement, duchy, entry)


async def fulfil(
    transaction: Transaction, measurement: int, requisition: int, fulfillment: Fulfillment, *, etag_time: int | None
) -> RequisitionRecord:
    """A duchy has stored a data provider's data. After the last requisition the duchies confirm, or compute."""
    record = await measurements.get(transaction, measurement)
    current = _current_requisition(record, requisition, etag_time)
    require_state(record, Computation.PENDING_REQUISITION_FULFILLMENT)
    _require_unfulfilled(current)
    if current.fulfilling_duchy not in (None, fulfillment.duchy):
        raise PreconditionFailed(f"the requisition is to be fulfilled at duchy {current.fulfilling_duchy}")
    await requisitions.change(
        transaction,
        requisition,
        state=Requisition.FULFILLED,
        nonce=fulfillment.nonce.to_bytes(8, "big"),
        fulfilling_duchy=fulfillment.duchy,
        fulfillment_context=None if fulfillment.context is None else fulfillment.context.SerializeToString(),
    )
    if all(other.state == Requisition.FULFILLED for other in record.requisitions if other.id != requisition):
        confirmation, computation = Computation.PENDING_PARTICIPANT_CONFIRMATION, Computation.PENDING_COMPUTATION
        await measurements.move(transaction, measurement, confirmation if record.is_confirmed else computation)
    return await requisitions.get(transaction, requisition)


async def refuse(
    transaction: Transaction, requisition: RequisitionRecord, refusal: Requisition.Refusal, *, etag_time: int | None
) -> RequisitionRecord:
    """A data provider refuses, for good: the measurement fails."""
    record = await measurements.get(transaction, requisition.measurement)
    current = _current_requisition(record, requisition.id, etag_time)
    require_state(record, Computation.PENDING_REQUISITION_FULFILLMENT)
    _require_unfulfilled(current)
    await requisitions.change(
        transaction, requisition.id, state=Requisition.REFUSED, refusal=refusal.SerializeToString()
    )
    justification = Requisition.Refusal.Justification.Name(refusal.justification)
    await measurements.fail(
        transaction,
        record.id,
        Measurement.Failure.REQUISITION_REFUSED,
        f"{requisition.data_provider} refused: {justification}" + (f": {refusal.message}" if refusal.message else ""),
    )
    return await requisitions.get(transaction, requisition.id)


async def log(transaction: Transaction, measurement: int, duchy: str, entry: ComputationLogEntry) -> int:
    """Keep a log entry of a participant and return its ID; raises NotFound."""
    await participant(transaction, measurement, duchy)
    identifier = random_identifier()
    await transaction.connection.execute(
        insert(log_entries).values(
            id=identifier,
            measurement=measurement,
            duchy=duchy,
            created=await transaction.tick(),
            entry=entry.SerializeToString(),
        )
    )
    return identifier


def _participant(record: MeasurementRecord, duchy: str) -> ParticipantRecord:
    found = record.participant(duchy)
    if found is None:
        raise NotFound(f"duchy {duchy} does not take part in this computation")
    return found


def _current_participant(record: MeasurementRecord, duchy: str, etag_time: int | None) -> ParticipantRecord:
    found = _participant(record, duchy)
    if etag_time is not None and found.updated != etag_time:
        raise Conflict("the participant was changed since its etag was read", cure="Read the participant again.")
    return found


def _current_requisition(record: MeasurementRecord, identifier: int, etag_time: int | None) -> RequisitionRecord:
    found = next((one for one in record.requisitions if one.id == identifier), None)
    if found is None:
        raise NotFound("no such requisition of this computation")
    if etag_time is not None and found.updated != etag_time:
        raise Conflict("the requisition was changed since its etag was read", cure="Read the requisition again.")
    return found


def _require_participant_state(record: ParticipantRecord, state: ComputationParticipant.State.ValueType) -> None:
    if record.state != state:
        is_now, expected = (ComputationParticipant.State.Name(one) for one in (record.state, state))
        raise PreconditionFailed(f"participant {record.duchy} is {is_now}, not {expected}")


def _require_unfulfilled(record: RequisitionRecord) -> None:
    if record.state != Requisition.UNFULFILLED:
        raise PreconditionFailed(f"the requisition is {Requisition.State.Name(record.state)}, not UNFULFILLED")


def _all_others(record: MeasurementRecord, duchy: str, state: ComputationParticipant.State.ValueType) -> bool:
    return all(other.state == state for other in record.participants if other.duchy != duchy)
