"""A result, once it has been decrypted and its signer verified."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gristmill.consumer.keys import ConsumerKeys
from gristmill.errors import ParticipationInvalid, ResultInvalid
from gristmill.trust.certificates import parse_der
from gristmill.trust.signatures import Signature, signed_bytes, verify, verify_message
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig

_Config = (
    ProtocolConfig.LiquidLegionsV2 | ProtocolConfig.ReachOnlyLiquidLegionsV2 | ProtocolConfig.HonestMajorityShareShuffle
)
_TOLERANCE = 1e-6
"""How far a frequency distribution's sum may be from 1."""


@dataclass(frozen=True, slots=True)
class SketchSize:
    """People were counted by the registers of a Liquid Legions sketch."""

    decay_rate: float
    size: int


@dataclass(frozen=True, slots=True)
class VectorSize:
    """People were counted by the entries of a frequency vector, one for each person of the sample."""

    size: int


@dataclass(frozen=True, slots=True)
class MeasurementResult:
    """Reach in people, and the share of them that was reached f times for each f (empty for a reach measurement).

    The highest frequency stands for itself and everything above. The rest are the protocol and the parameters by which
    the result was made, as the signed specification and the kingdom's protocol configuration have them: an existing
    duchy that computes reach alone names another protocol in its result.
    """

    measurement: str
    protocol: str
    reach: int
    frequency: Mapping[int, float]
    signed_by: str
    counted_by: SketchSize | VectorSize
    noise_mechanism: str
    sampling_width: float
    maximum_frequency: int
    reach_privacy: tuple[float, float]
    frequency_privacy: tuple[float, float] | None


def open_result(measurement: Measurement, certificate: Certificate, keys: ConsumerKeys) -> MeasurementResult:
    """Decrypt the result of a measurement that has SUCCEEDED, and verify that the aggregator signed it.

    `certificate` is the one that the result names, as the kingdom keeps it; it must chain to the root that the consumer
    has for the aggregator. Raises ParticipationInvalid, BadInput (not decryptable) or ResultInvalid.
    """
    if len(measurement.results) != 1:
        raise ResultInvalid(f"{measurement.name} has {len(measurement.results)} results instead of one")
    output = measurement.results[0]
    owner = output.certificate.partition("/certificates/")[0]
    if owner != f"duchies/{keys.aggregator}" or certificate.name != output.certificate:
        raise ParticipationInvalid(f"the result is signed by {owner}, not by the aggregator {keys.aggregator}")
    if certificate.revocation_state != Certificate.REVOCATION_STATE_UNSPECIFIED:
        raise ParticipationInvalid(f"the certificate {certificate.name} that signed the result is revoked or on hold")
    signed = keys.keyset.decrypt_message(output.encrypted_result, SignedMessage, what="the result")
    result = verify_message(
        signed,
        Measurement.Result,
        parse_der(certificate.x509_der, what=certificate.name),
        keys.duchy_roots[keys.aggregator],
        what="the result",
    )
    return _checked(measurement, result, _own_specification(measurement, keys))


def _own_specification(measurement: Measurement, keys: ConsumerKeys) -> MeasurementSpec:
    """The specification that comes back with the measurement, once it is seen to be the one that we signed."""
    signed = measurement.measurement_spec
    signature = Signature(signed.signature, signed.signature_algorithm_oid)
    verify(signed_bytes(signed), signature, keys.signer.certificate, what="the measurement specification")
    return MeasurementSpec.FromString(signed_bytes(signed))


def _checked(measurement: Measurement, result: Measurement.Result, specification: MeasurementSpec) -> MeasurementResult:
    wants_frequency = specification.WhichOneof("measurement_type") == "reach_and_frequency"
    distribution = dict(sorted(result.frequency.relative_frequency_distribution.items()))
    if not result.HasField("reach") or result.reach.value < 0:
        raise ResultInvalid("the result has no reach, or a negative one")
    if result.HasField("frequency") != wants_frequency:
        raise ResultInvalid("the result's kind is not the one that was asked for")
    if wants_frequency:
        _check_distribution(distribution, specification.reach_and_frequency.maximum_frequency)
    protocol, config = _protocol(measurement.protocol_config)
    wanted = specification.reach_and_frequency
    reach = wanted.reach_privacy_params if wants_frequency else specification.reach.privacy_params
    frequency = wanted.frequency_privacy_params
    return MeasurementResult(
        measurement=measurement.name,
        protocol=protocol,
        reach=result.reach.value,
        frequency=MappingProxyType(distribution),
        signed_by=measurement.results[0].certificate,
        counted_by=_counted_by(config, result),
        noise_mechanism=ProtocolConfig.NoiseMechanism.Name(config.noise_mechanism),
        sampling_width=specification.vid_sampling_interval.width,
        maximum_frequency=wanted.maximum_frequency if wants_frequency else 1,
        reach_privacy=(reach.epsilon, reach.delta),
        frequency_privacy=(frequency.epsilon, frequency.delta) if wants_frequency else None,
    )


def _check_distribution(distribution: dict[int, float], maximum_frequency: int) -> None:
    if any(not 1 <= frequency <= maximum_frequency for frequency in distribution):
        raise ResultInvalid(f"the result has a frequency outside 1..{maximum_frequency}")
    if any(not 0 <= share <= 1 for share in distribution.values()):
        raise ResultInvalid("the result has a share outside [0, 1]")
    if abs(math.fsum(distribution.values()) - 1) > _TOLERANCE:
        raise ResultInvalid("the shares of the result's frequencies do not sum to 1")


def _protocol(config: ProtocolConfig) -> tuple[str, _Config]:
    """What the protocol is called in the wire's messages, and its configuration."""
    for protocol in config.protocols:
        name = protocol.WhichOneof("protocol")
        if name is not None and isinstance(found := getattr(protocol, name), _Config):
            return name, found
    raise ResultInvalid("the measurement was not computed by a protocol that this version knows")


def _counted_by(config: _Config, result: Measurement.Result) -> SketchSize | VectorSize:
    if not isinstance(config, ProtocolConfig.HonestMajorityShareShuffle):
        return SketchSize(config.sketch_params.decay_rate, config.sketch_params.max_size)
    sizes = {result.reach.honest_majority_share_shuffle.frequency_vector_size}
    if result.HasField("frequency"):
        sizes.add(result.frequency.honest_majority_share_shuffle.frequency_vector_size)
    size = sizes.pop()
    if sizes or size < 1:
        raise ResultInvalid("the result does not say which size the frequency vectors had")
    return VectorSize(size)
