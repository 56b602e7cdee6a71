"""The store's records on the wire: the system API's view for duchies, the public API's for everybody else."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gristmill.kingdom import names
from gristmill.store.kingdom.records import CertificateRecord, MeasurementRecord, ParticipantRecord, RequisitionRecord
from gristmill.trust.consent import requisition_spec_hash
from gristmill.trust.signatures import TYPE_URL_PREFIX, signed_bytes
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.crypto_pb2 import ElGamalPublicKey, EncryptionPublicKey, SignedMessage
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition as SystemRequisition

API_VERSION = "v2alpha"
SHARE_SHUFFLE: Final = "honest_majority_share_shuffle"
"""What the protocol is called in every message that has a place for each."""


_MEASUREMENT_STATES: dict[Computation.State.ValueType, Measurement.State.ValueType] = {
    Computation.PENDING_REQUISITION_PARAMS: Measurement.AWAITING_REQUISITION_FULFILLMENT,
    Computation.PENDING_REQUISITION_FULFILLMENT: Measurement.AWAITING_REQUISITION_FULFILLMENT,
    Computation.PENDING_PARTICIPANT_CONFIRMATION: Measurement.COMPUTING,
    Computation.PENDING_COMPUTATION: Measurement.COMPUTING,
    Computation.SUCCEEDED: Measurement.SUCCEEDED,
    Computation.FAILED: Measurement.FAILED,
    Computation.CANCELLED: Measurement.CANCELLED,
}
ENDED_STATES = (Measurement.SUCCEEDED, Measurement.FAILED, Measurement.CANCELLED)


def timestamp(microseconds: int) -> Timestamp:
    return Timestamp(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


def microseconds(time: Timestamp) -> int:
    return time.seconds * 1_000_000 + time.nanos // 1000


# System API.


def computation(record: MeasurementRecord) -> Computation:
    """The computation as its duchies see it."""
    return Computation(
        name=names.computation(record.id),
        public_api_version=API_VERSION,
        measurement_spec=signed_bytes(record.request.measurement_spec),
        state=record.state,
        aggregator_certificate="" if record.result is None else record.result.aggregator_certificate,
        encrypted_result=b"" if record.result is None else record.result.ciphertext,
        computation_participants=[_shown(one, record) for one in record.participants],
        requisitions=[system_requisition(one) for one in record.requisitions],
        mpc_protocol_config=record.system_config,
    )


def _shown(one: ParticipantRecord, of: MeasurementRecord) -> ComputationParticipant:
    """A participant as all duchies see it. Nobody sees a key before all are published: whoever chose its own key last
    could choose one that cancels the others' out."""
    message = participant(one)
    if of.state == Computation.PENDING_REQUISITION_PARAMS:
        message.ClearField("requisition_params")
    return message


def participant(record: ParticipantRecord) -> ComputationParticipant:
    """A duchy's part; the kingdom adds the certificate itself beside its name."""
    message = ComputationParticipant(
        name=names.participant(record.measurement, record.duchy),
        state=record.state,
        update_time=timestamp(record.updated),
        failure=record.failure,
        etag=names.etag(record.updated),
    )
    if record.requisition_params is not None:
        message.requisition_params.CopyFrom(record.requisition_params)
        message.requisition_params.duchy_certificate_der = record.certificate_der or b""
    return message


def system_requisition(record: RequisitionRecord) -> SystemRequisition:
    """A requisition as duchies see it: hashes of what the consumer sent, and the nonce once it is fulfilled."""
    return SystemRequisition(
        name=names.system_requisition(record.measurement, record.id),
        requisition_spec_hash=requisition_spec_hash(record.entry.encrypted_requisition_spec.ciphertext),
        nonce_hash=record.entry.nonce_hash,
        state=SystemRequisition.State.Value(Requisition.State.Name(record.state)),
        fulfilling_computation_participant=""
        if record.fulfilling_duchy is None
        else names.participant(record.measurement, record.fulfilling_duchy),
        nonce=record.nonce or 0,
        fulfillment_context=record.fulfillment_context,
    )


# Public API.


def measurement(record: MeasurementRecord) -> Measurement:
    """The measurement as its consumer sees it."""
    message = Measurement()
    message.CopyFrom(record.request)
    message.name = names.measurement(record.consumer, record.id)
    message.protocol_config.CopyFrom(record.public_config)
    message.state = measurement_state(record)
    message.create_time.CopyFrom(timestamp(record.created))
    message.update_time.CopyFrom(timestamp(record.updated))
    if record.state == Computation.FAILED:
        message.failure.reason = record.failure_reason
        message.failure.message = record.failure_message
    if record.result is not None:
        result = message.results.add(certificate=record.result.aggregator_certificate)
        result.encrypted_result.ciphertext = record.result.ciphertext
        result.encrypted_result.type_url = TYPE_URL_PREFIX + SignedMessage.DESCRIPTOR.full_name
    return message


def measurement_state(record: MeasurementRecord) -> Measurement.State.ValueType:
    return _MEASUREMENT_STATES[record.state]


def requisition(record: RequisitionRecord, of: MeasurementRecord) -> Requisition:
    """The requisition as its data provider sees it: the consumer's signed specification, every duchy's signed key."""
    message = Requisition(
        name=names.requisition(record.data_provider, record.id),
        measurement=names.measurement(of.consumer, of.id),
        measurement_consumer_certificate=of.request.measurement_consumer_certificate,
        measurement_spec=of.request.measurement_spec,
        protocol_config=of.public_config,
        data_provider_certificate=record.entry.data_provider_certificate,
        data_provider_public_key=record.entry.data_provider_public_key,
        encrypted_requisition_spec=record.entry.encrypted_requisition_spec,
        encrypted_requisition_spec_ciphertext=record.entry.encrypted_requisition_spec.ciphertext,
        duchies=_duchy_entries(record, of),
        state=record.state,
        nonce=record.nonce or 0,
        refusal=record.refusal,
        measurement_state=measurement_state(of),
        update_time=timestamp(record.updated),
        etag=names.etag(record.updated),
    )
    if record.fulfillment_context is not None:
        message.fulfillment_context.build_label = record.fulfillment_context.build_label
        message.fulfillment_context.warnings.extend(record.fulfillment_context.warnings)
    return message


def _duchy_entries(record: RequisitionRecord, of: MeasurementRecord) -> list[Requisition.DuchyEntry]:
    """Every duchy's signed key. For share shuffle only the two workers have entries, and of those only the one that
    does *not* store the requisition shows its key: the data provider encrypts the seed to it."""
    entries = []
    for one in of.participants:
        params = one.requisition_params
        if params is None or is_without_key(params):
            continue
        entry = Requisition.DuchyEntry(key=f"duchies/{one.duchy}")
        entry.value.duchy_certificate = params.duchy_certificate
        member = params.WhichOneof("protocol")
        if member == SHARE_SHUFFLE:
            shuffle = entry.value.honest_majority_share_shuffle
            shuffle.SetInParent()
            if one.duchy != record.fulfilling_duchy:
                shuffle.public_key.CopyFrom(_encryption_key(params.honest_majority_share_shuffle))
        elif member is not None:
            getattr(entry.value, member).el_gamal_public_key.CopyFrom(_el_gamal_key(getattr(params, member)))
        entries.append(entry)
    return entries


def is_without_key(params: ComputationParticipant.RequisitionParams) -> bool:
    """Whether a duchy said that it takes part in share shuffle as the aggregator, to which nobody encrypts."""
    return params.HasField(SHARE_SHUFFLE) and not params.honest_majority_share_shuffle.tink_public_key


def _el_gamal_key(key: ComputationParticipant.RequisitionParams.LiquidLegionsV2) -> SignedMessage:
    return _signed(
        ElGamalPublicKey,
        key.el_gamal_public_key,
        key.el_gamal_public_key_signature,
        key.el_gamal_public_key_signature_algorithm_oid,
    )


def _encryption_key(key: ComputationParticipant.RequisitionParams.HonestMajorityShareShuffle) -> SignedMessage:
    return _signed(
        EncryptionPublicKey,
        key.tink_public_key,
        key.tink_public_key_signature,
        key.tink_public_key_signature_algorithm_oid,
    )


def _signed(kind: type[Message], data: bytes, signature: bytes, algorithm_oid: str) -> SignedMessage:
    """A duchy's signed message as it must be shown, byte for byte."""
    signed = SignedMessage(data=data, signature=signature, signature_algorithm_oid=algorithm_oid)
    signed.message.type_url = TYPE_URL_PREFIX + kind.DESCRIPTOR.full_name
    signed.message.value = data
    return signed


def certificate(record: CertificateRecord) -> Certificate:
    return Certificate(
        name=record.name,
        x509_der=record.x509_der,
        revocation_state=record.revocation_state,
        subject_key_identifier=record.subject_key_identifier,
    )
