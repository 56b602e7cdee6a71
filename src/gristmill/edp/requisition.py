"""Whether to answer a requisition, and with what: signatures, nonce, keys and parameters (public API, section 6.6).

The kingdom is not believed: a data provider takes the consumer's word by the consumer's root, and each duchy's key by
that duchy's root. `examine` is pure; it raises `Declined` with the justification that belongs to what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from gristmill.edp import duchies, liquid_legions, share_shuffle
from gristmill.edp.keys import DataProviderKeys
from gristmill.edp.liquid_legions import SketchTask
from gristmill.edp.refusal import Declined, Refusal, valid
from gristmill.edp.share_shuffle import ShareTask
from gristmill.errors import BadInput, ParticipationInvalid
from gristmill.trust.certificates import parse_der
from gristmill.trust.consent import nonce_hash, requisition_fingerprint, requisition_spec_hash
from gristmill.trust.signatures import signed_bytes, verify_message
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey, SignedMessage
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.api.v2alpha.requisition_spec_pb2 import RequisitionSpec


@dataclass(frozen=True, slots=True)
class Accepted:
    """A requisition that may be fulfilled, and by what. Only events in [start, end) count, in microseconds."""

    requisition: Requisition
    nonce: int
    fingerprint: bytes
    task: SketchTask | ShareTask
    start: int | None
    end: int | None

    def __repr__(self) -> str:  # the nonce is nobody's business
        return f"Accepted({self.requisition.name})"


def certificates_needed(requisition: Requisition) -> list[str]:
    """The names of the certificates that `examine` wants to see."""
    return [
        requisition.measurement_consumer_certificate,
        *(entry.value.duchy_certificate for entry in requisition.duchies),
    ]


def examine(
    requisition: Requisition,
    certificates: Mapping[str, Certificate],
    keys: DataProviderKeys,
    *,
    without_noise: bool = False,
) -> Accepted:
    """What to fulfil, once everything has been verified; raises Declined.

    `without_noise`: also where a protocol of shares has no noise, so that others learn exact counts.
    """
    try:
        specification, request = _consumer_word(requisition, certificates, keys)
        task = _task(requisition, specification, certificates, keys, without_noise)
    except (ParticipationInvalid, BadInput) as error:
        raise Declined(Refusal.CONSENT_SIGNAL_INVALID, error.message) from None
    except DecodeError:
        raise Declined(Refusal.CONSENT_SIGNAL_INVALID, "data_provider_public_key does not parse") from None
    start, end = _interval(request)
    ciphertext = requisition.encrypted_requisition_spec.ciphertext
    return Accepted(
        requisition=requisition,
        nonce=request.nonce,
        fingerprint=requisition_fingerprint(
            signed_bytes(requisition.measurement_spec), requisition_spec_hash(ciphertext)
        ),
        task=task,
        start=start,
        end=end,
    )


def _task(
    requisition: Requisition,
    specification: MeasurementSpec,
    certificates: Mapping[str, Certificate],
    keys: DataProviderKeys,
    without_noise: bool,
) -> SketchTask | ShareTask:
    """By the only protocol that the kingdom's configuration names."""
    if len(requisition.protocol_config.protocols) != 1:
        raise Declined(Refusal.UNFULFILLABLE, "this data provider expects exactly one protocol to choose from")
    (config,) = requisition.protocol_config.protocols
    entries = duchies.entries(requisition, certificates, keys)
    interval = specification.vid_sampling_interval
    if not (0 <= interval.start < 1 and 0 < interval.width <= 1):
        raise Declined(Refusal.SPEC_INVALID, "vid_sampling_interval is out of range")
    maximum_frequency = _maximum_frequency(specification)
    match config.WhichOneof("protocol"):
        case "liquid_legions_v2":
            return liquid_legions.task(config.liquid_legions_v2, specification, maximum_frequency, entries)
        case "reach_only_liquid_legions_v2":
            return liquid_legions.reach_only_task(config.reach_only_liquid_legions_v2, specification, entries)
        case "honest_majority_share_shuffle":
            shares = config.honest_majority_share_shuffle
            return share_shuffle.task(shares, specification, maximum_frequency, entries, without_noise=without_noise)
        case other:
            raise Declined(Refusal.UNFULFILLABLE, f"this data provider does not know the protocol {other}")


def _consumer_word(
    requisition: Requisition, certificates: Mapping[str, Certificate], keys: DataProviderKeys
) -> tuple[MeasurementSpec, RequisitionSpec]:
    consumer = requisition.measurement.partition("/measurements/")[0]
    root = keys.consumer_roots.get(consumer)
    if root is None:
        raise ParticipationInvalid(f"{consumer} is no measurement consumer that this data provider knows")
    if requisition.measurement_consumer_certificate.partition("/certificates/")[0] != consumer:
        raise ParticipationInvalid("measurement_consumer_certificate belongs to somebody else")
    certificate = parse_der(
        valid(certificates, requisition.measurement_consumer_certificate), what="measurement_consumer_certificate"
    )
    specification = verify_message(
        requisition.measurement_spec, MeasurementSpec, certificate, root, what="measurement_spec"
    )
    own_key = EncryptionPublicKey()
    if not requisition.data_provider_public_key.Unpack(own_key) or own_key != keys.keyset.public_key:
        raise ParticipationInvalid("the requisition is encrypted to a key that this data provider does not have")
    signed = keys.keyset.decrypt_message(
        requisition.encrypted_requisition_spec, SignedMessage, what="encrypted_requisition_spec"
    )
    request = verify_message(signed, RequisitionSpec, certificate, root, what="the requisition specification")
    _check_agreement(specification, request)
    return specification, request


def _check_agreement(specification: MeasurementSpec, request: RequisitionSpec) -> None:
    """Both specifications must be parts of one measurement: same result key, and a nonce that the measurement names."""
    ours = _serialized_key(request)
    if not ours or ours != _serialized_key(specification):
        raise ParticipationInvalid("the two specifications do not have the same measurement public key")
    if request.nonce == 0 or nonce_hash(request.nonce) not in set(specification.nonce_hashes):
        raise ParticipationInvalid("the nonce is not named by the measurement specification")


def _serialized_key(specification: MeasurementSpec | RequisitionSpec) -> bytes:
    if specification.HasField("measurement_public_key"):
        return specification.measurement_public_key.value
    return specification.serialized_measurement_public_key


def _maximum_frequency(specification: MeasurementSpec) -> int:
    kind = specification.WhichOneof("measurement_type")
    if kind == "reach":
        return 1
    if kind != "reach_and_frequency":
        raise Declined(Refusal.UNFULFILLABLE, f"this data provider does not measure {kind}")
    if specification.reach_and_frequency.maximum_frequency <= 1:
        raise Declined(Refusal.SPEC_INVALID, "maximum_frequency must be greater than 1")
    return specification.reach_and_frequency.maximum_frequency


def _interval(request: RequisitionSpec) -> tuple[int | None, int | None]:
    """The times that events must lie in, from the only event group; filters cannot be evaluated here."""
    groups = request.events.event_groups
    if len(groups) != 1:
        raise Declined(Refusal.UNFULFILLABLE, "this data provider has exactly one event group")
    value = groups[0].value
    if value.filter.expression:
        raise Declined(Refusal.UNFULFILLABLE, "this data provider cannot evaluate event filters")
    interval = value.collection_interval
    try:
        start = interval.start_time.ToMicroseconds() if interval.HasField("start_time") else None
        end = interval.end_time.ToMicroseconds() if interval.HasField("end_time") else None
    except ValueError:
        raise Declined(Refusal.SPEC_INVALID, "collection_interval is out of range") from None
    if start is not None and end is not None and end <= start:
        raise Declined(Refusal.SPEC_INVALID, "collection_interval is empty")
    return start, end
