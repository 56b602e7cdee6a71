"""Whether to answer a requisition, and with what: signatures, nonce, keys and parameters (public API, section 6.6).

The kingdom is not believed: a data provider takes the consumer's word by the consumer's root, and each duchy's key by
that duchy's root. `examine` is pure; it raises `Declined` with the justification that belongs to what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from gristmill.edp.keys import DataProviderKeys
from gristmill.errors import BadInput, ParticipationInvalid
from gristmill.trust.certificates import parse_der
from gristmill.trust.consent import (
    P256_CURVE_ID,
    nonce_hash,
    requisition_fingerprint,
    requisition_spec_hash,
    verify_el_gamal_key,
)
from gristmill.trust.signatures import Signature, signed_bytes, verify_message
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey, SignedMessage
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.api.v2alpha.requisition_spec_pb2 import RequisitionSpec

LEAST_DUCHIES = 3
"""Fewer could decrypt a sketch among themselves too easily: with two, each is the other's only check."""
_LARGEST_SKETCH = 100_000_000

Refusal = Requisition.Refusal


class Declined(Exception):  # it is an answer, not an error
    """The requisition must be refused, for good."""

    def __init__(self, justification: Requisition.Refusal.Justification.ValueType, message: str) -> None:
        super().__init__(message)
        self.refusal = Requisition.Refusal(justification=justification, message=message)


@dataclass(frozen=True, slots=True)
class SketchParameters:
    """The sketch that the kingdom's protocol configuration asks for, and the consumer's sample of people."""

    decay_rate: float
    size: int
    sampling_indicator_size: int
    sampling_start: float
    sampling_width: float
    maximum_frequency: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A requisition that may be fulfilled. `duchy_keys` are verified public elements; times in microseconds."""

    requisition: Requisition
    nonce: int
    fingerprint: bytes
    sketch: SketchParameters
    duchy_keys: tuple[bytes, ...]
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


def examine(requisition: Requisition, certificates: Mapping[str, Certificate], keys: DataProviderKeys) -> Accepted:
    """What to fulfil, once everything has been verified; raises Declined."""
    try:
        specification, request = _consumer_word(requisition, certificates, keys)
        duchy_keys = _duchy_keys(requisition, certificates, keys)
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
        sketch=_sketch(specification, requisition.protocol_config),
        duchy_keys=duchy_keys,
        start=start,
        end=end,
    )


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
        _valid(certificates, requisition.measurement_consumer_certificate), what="measurement_consumer_certificate"
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


def _duchy_keys(
    requisition: Requisition, certificates: Mapping[str, Certificate], keys: DataProviderKeys
) -> tuple[bytes, ...]:
    """The verified public element of each duchy, in the order of their IDs."""
    elements: dict[str, bytes] = {}
    for entry in requisition.duchies:
        duchy = entry.key.removeprefix("duchies/")
        root = keys.duchy_roots.get(duchy)
        if root is None or duchy in elements:
            raise ParticipationInvalid(f"{entry.key} is no duchy that this data provider knows, or is named twice")
        name = entry.value.duchy_certificate
        if name.partition("/certificates/")[0] != f"duchies/{duchy}":
            raise ParticipationInvalid(f"the certificate of duchy {duchy} belongs to somebody else")
        signed = entry.value.liquid_legions_v2.el_gamal_public_key
        elements[duchy] = verify_el_gamal_key(
            signed_bytes(signed),
            Signature(signed.signature, signed.signature_algorithm_oid),
            _valid(certificates, name),
            root,
            duchy=duchy,
        )
    if len(elements) < LEAST_DUCHIES:
        raise ParticipationInvalid(f"only {len(elements)} duchies take part, and {LEAST_DUCHIES} are the least")
    return tuple(elements[duchy] for duchy in sorted(elements))


def _valid(certificates: Mapping[str, Certificate], name: str) -> bytes:
    certificate = certificates.get(name)
    if certificate is None or certificate.revocation_state != Certificate.REVOCATION_STATE_UNSPECIFIED:
        raise ParticipationInvalid(f"certificate {name} is unknown, revoked or on hold")
    return certificate.x509_der


def _sketch(specification: MeasurementSpec, config: ProtocolConfig) -> SketchParameters:
    protocol = next((one.liquid_legions_v2 for one in config.protocols if one.HasField("liquid_legions_v2")), None)
    if protocol is None:
        raise Declined(Refusal.UNFULFILLABLE, "this data provider knows only Liquid Legions V2")
    sketch = protocol.sketch_params
    if protocol.elliptic_curve_id != P256_CURVE_ID:
        raise Declined(Refusal.UNFULFILLABLE, "this data provider knows only the curve P-256")
    if not (math.isfinite(sketch.decay_rate) and sketch.decay_rate > 0 and 0 < sketch.max_size <= _LARGEST_SKETCH):
        raise Declined(Refusal.SPEC_INVALID, "the sketch parameters are out of range")
    if sketch.sampling_indicator_size <= 0:
        raise Declined(Refusal.SPEC_INVALID, "sampling_indicator_size is out of range")
    interval = specification.vid_sampling_interval
    if not (0 <= interval.start < 1 and 0 < interval.width <= 1):
        raise Declined(Refusal.SPEC_INVALID, "vid_sampling_interval is out of range")
    return SketchParameters(
        decay_rate=sketch.decay_rate,
        size=sketch.max_size,
        sampling_indicator_size=sketch.sampling_indicator_size,
        sampling_start=interval.start,
        sampling_width=interval.width,
        maximum_frequency=_maximum_frequency(specification),
    )


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
