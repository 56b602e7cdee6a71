"""What the kingdom's store hands out: frozen values, joined from the tables, with the wire's messages parsed."""

from __future__ import annotations

from dataclasses import dataclass

from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition as SystemRequisition

OPEN_STATES: tuple[Computation.State.ValueType, ...] = (
    Computation.PENDING_REQUISITION_PARAMS,
    Computation.PENDING_REQUISITION_FULFILLMENT,
    Computation.PENDING_PARTICIPANT_CONFIRMATION,
    Computation.PENDING_COMPUTATION,
)
"""The states of a computation that has not ended."""


@dataclass(frozen=True, slots=True)
class NewRequisition:
    """What a measurement asks of one data provider."""

    data_provider: str
    entry: Measurement.DataProviderEntry.Value


@dataclass(frozen=True, slots=True)
class NewMeasurement:
    """A measurement that has passed every check which needs no database.

    `storing_duchies` are those among which the requisitions are shared out by their IDs; with none each data provider
    chooses a duchy itself.
    """

    consumer: str
    request_id: str | None
    request: Measurement
    public_config: ProtocolConfig
    system_config: Computation.MpcProtocolConfig
    duchies: tuple[str, ...]
    requisitions: tuple[NewRequisition, ...]
    storing_duchies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate, by its resource name `{parent}/certificates/{id}`."""

    name: str
    parent: str
    x509_der: bytes
    subject_key_identifier: bytes
    revocation_state: Certificate.RevocationState.ValueType


@dataclass(frozen=True, slots=True)
class ParticipantRecord:
    """One duchy's part in a computation; `updated` in microseconds since the epoch."""

    measurement: int
    duchy: str
    state: ComputationParticipant.State.ValueType
    updated: int
    certificate_der: bytes | None
    requisition_params: ComputationParticipant.RequisitionParams | None
    failure: ComputationParticipant.Failure | None


@dataclass(frozen=True, slots=True)
class RequisitionRecord:
    """What one data provider was asked; `nonce` is None until it is fulfilled.

    `fulfilling_duchy` is known from the start where the kingdom assigns it, else once it is fulfilled.
    """

    id: int
    measurement: int
    data_provider: str
    entry: Measurement.DataProviderEntry.Value
    state: Requisition.State.ValueType
    updated: int
    nonce: int | None
    fulfilling_duchy: str | None
    refusal: Requisition.Refusal | None
    fulfillment_context: SystemRequisition.FulfillmentContext | None


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """The aggregator's result: the certificate whose key signed it, and the ciphertext for the consumer."""

    aggregator_certificate: str
    public_key: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class MeasurementRecord:
    """A measurement and its computation, which share one ID; times in microseconds since the epoch."""

    id: int
    consumer: str
    request: Measurement
    public_config: ProtocolConfig
    system_config: Computation.MpcProtocolConfig
    state: Computation.State.ValueType
    created: int
    updated: int
    failure_reason: Measurement.Failure.Reason.ValueType
    failure_message: str
    result: ResultRecord | None
    participants: tuple[ParticipantRecord, ...]
    requisitions: tuple[RequisitionRecord, ...]

    @property
    def is_confirmed(self) -> bool:
        """Whether the duchies confirm each other's keys and the data providers' participation before they compute."""
        return self.system_config.WhichOneof("protocol") in ("liquid_legions_v2", "reach_only_liquid_legions_v2")

    def participant(self, duchy: str) -> ParticipantRecord | None:
        return next((one for one in self.participants if one.duchy == duchy), None)
