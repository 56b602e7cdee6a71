"""From what the kingdom says of a computation to the computation that this duchy creates: pure, and strict.

What the mills could not compute is refused here, before anything is encrypted for it (services' behaviour, "Create";
LLv2 specification, "Parameters" and addenda).
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from google.protobuf.message import DecodeError

from gristmill.duchy import names
from gristmill.errors import ComputationUnsupported, KingdomContradicts
from gristmill.trust.consent import requisition_fingerprint
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationTypeEnum
from wfa.measurement.internal.duchy.computations_service_pb2 import CreateComputationRequest
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig, RoleInComputation
from wfa.measurement.internal.duchy.crypto_pb2 import EncryptionPublicKey as InternalEncryptionPublicKey
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2,
)
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionEntry
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.differential_privacy_pb2 import DifferentialPrivacyParams as SystemPrivacyParams
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition

API_VERSION: Final = "v2alpha"
P256: Final = 415
"""OpenSSL's number of the curve, the only one that the cryptography here computes on."""
LEAST_EPSILON: Final = 1e-5

_Config = Computation.MpcProtocolConfig
_MECHANISMS: Final = {
    _Config.NOISE_MECHANISM_UNSPECIFIED: NoiseMechanism.GEOMETRIC,
    _Config.GEOMETRIC: NoiseMechanism.GEOMETRIC,
    _Config.DISCRETE_GAUSSIAN: NoiseMechanism.DISCRETE_GAUSSIAN,
}
"""What the mills can draw. Converted by name; unspecified is read as geometric, as the existing system does."""


def create_request(duchy: str, setup: ProtocolsSetupConfig, computation: Computation) -> CreateComputationRequest:
    """The request that creates `computation` at `duchy`.

    Raises PermanentFailure, which names the field, when the computation cannot be computed here.
    """
    computation_id = names.parse_computation(computation.name)
    _require(computation.public_api_version == API_VERSION, f"public_api_version is {computation.public_api_version!r}")
    spec = _measurement_spec(computation.measurement_spec)
    details = ComputationDetails(
        blobs_storage_prefix=f"computation-blob-storage/{duchy}/{computation_id}",
        kingdom_computation=ComputationDetails.KingdomComputationDetails(
            public_api_version=API_VERSION,
            measurement_spec=computation.measurement_spec,
            measurement_public_key=_consumer_key(spec),
            participant_count=len(computation.computation_participants),
        ),
    )
    protocol = computation.mpc_protocol_config.WhichOneof("protocol")
    if protocol != "liquid_legions_v2":
        raise ComputationUnsupported(
            f"mpc_protocol_config is {protocol}, which this version of the duchy cannot compute"
        )
    _require(setup.HasField("liquid_legions_v2"), "this duchy has no role in liquid_legions_v2")
    _fill_liquid_legions(details.liquid_legions_v2, setup, computation.mpc_protocol_config.liquid_legions_v2, spec)
    return CreateComputationRequest(
        computation_type=ComputationTypeEnum.LIQUID_LEGIONS_SKETCH_AGGREGATION_V2,
        global_computation_id=computation_id,
        computation_details=details,
        requisitions=[requisition_entry(computation, each) for each in computation.requisitions],
    )


def requisition_entry(computation: Computation, requisition: Requisition) -> RequisitionEntry:
    """A requisition as the kingdom knows it: its fingerprint, its nonce once fulfilled, and the duchy that has it."""
    _, requisition_id = names.parse_system_requisition(requisition.name)
    entry = RequisitionEntry()
    entry.key.external_requisition_id = requisition_id
    entry.key.requisition_fingerprint = requisition_fingerprint(
        computation.measurement_spec, requisition.requisition_spec_hash
    )
    entry.value.nonce_hash = requisition.nonce_hash
    entry.value.nonce = requisition.nonce
    if requisition.fulfilling_computation_participant:
        _, entry.value.external_fulfilling_duchy_id = names.parse_participant(
            requisition.fulfilling_computation_participant
        )
    return entry


def _fill_liquid_legions(
    details: LiquidLegionsSketchAggregationV2.ComputationDetails,
    setup: ProtocolsSetupConfig,
    config: Computation.MpcProtocolConfig.LiquidLegionsV2,
    spec: MeasurementSpec,
) -> None:
    details.role = setup.liquid_legions_v2.role
    allowed = (RoleInComputation.AGGREGATOR, RoleInComputation.NON_AGGREGATOR)
    _require(details.role in allowed, "the protocols setup gives this duchy no role in liquid_legions_v2")
    _require(config.elliptic_curve_id == P256, f"elliptic_curve_id is {config.elliptic_curve_id}, not {P256} (P-256)")
    _require(isfinite(config.sketch_params.decay_rate) and config.sketch_params.decay_rate > 0, "decay_rate is not > 0")
    _require(config.sketch_params.max_size > 0, "max_size is not > 0")
    _require(config.noise_mechanism in _MECHANISMS, f"noise_mechanism {config.noise_mechanism} cannot be drawn here")
    width = spec.vid_sampling_interval.width
    _require(0 < width <= 1, f"vid_sampling_interval.width is {width}, not in (0, 1]")

    parameters = details.parameters
    parameters.elliptic_curve_id = config.elliptic_curve_id
    parameters.sketch_parameters.decay_rate = config.sketch_params.decay_rate
    parameters.sketch_parameters.size = config.sketch_params.max_size
    noise = parameters.noise
    noise.noise_mechanism = _MECHANISMS[config.noise_mechanism]
    for kind in ("blinded_histogram_noise", "publisher_noise"):
        _require(config.mpc_noise.HasField(kind), f"mpc_noise.{kind} is not set")
        _check_privacy(getattr(config.mpc_noise, kind), f"mpc_noise.{kind}", least=0.0)
    reach_noise = noise.reach_noise_config
    _copy(config.mpc_noise.blinded_histogram_noise, reach_noise.blind_histogram_noise)
    _copy(config.mpc_noise.publisher_noise, reach_noise.noise_for_publisher_noise)
    match spec.WhichOneof("measurement_type"):
        case "reach":
            _check_privacy(spec.reach.privacy_params, "reach.privacy_params")
            _copy(spec.reach.privacy_params, reach_noise.global_reach_dp_noise)
        case "reach_and_frequency":
            asked = spec.reach_and_frequency
            parameters.maximum_frequency = asked.maximum_frequency or config.maximum_frequency
            _require(parameters.maximum_frequency > 1, f"maximum_frequency is {parameters.maximum_frequency}, not > 1")
            _check_privacy(asked.reach_privacy_params, "reach_privacy_params")
            _check_privacy(asked.frequency_privacy_params, "frequency_privacy_params")
            _copy(asked.reach_privacy_params, reach_noise.global_reach_dp_noise)
            _copy(asked.frequency_privacy_params, noise.frequency_noise_config)
        case other:
            raise ComputationUnsupported(f"the measurement type {other} is neither reach nor reach_and_frequency")


def _check_privacy(
    params: DifferentialPrivacyParams | SystemPrivacyParams, what: str, *, least: float = LEAST_EPSILON
) -> None:
    _require(isfinite(params.epsilon) and params.epsilon > 0 and params.epsilon >= least,
             f"{what}.epsilon is {params.epsilon}, which is too small")  # fmt: skip
    # A delta of 1 hides nothing, but kingdoms choose it for the noise of developments.
    _require(0 < params.delta <= 1, f"{what}.delta is {params.delta}, not in (0, 1]")


def _copy(params: DifferentialPrivacyParams | SystemPrivacyParams, into: object) -> None:
    into.epsilon, into.delta = params.epsilon, params.delta  # type: ignore[attr-defined]


def _measurement_spec(serialized: bytes) -> MeasurementSpec:
    try:
        return MeasurementSpec.FromString(serialized)
    except DecodeError:
        raise KingdomContradicts("measurement_spec cannot be parsed") from None


def _consumer_key(spec: MeasurementSpec) -> InternalEncryptionPublicKey:
    """The measurement consumer's key, to which the result will be encrypted; the deprecated field where it is alone."""
    key = EncryptionPublicKey()
    try:
        if spec.HasField("measurement_public_key"):
            _require(spec.measurement_public_key.Unpack(key), "measurement_public_key is no EncryptionPublicKey")
        else:
            key.ParseFromString(spec.serialized_measurement_public_key)
    except DecodeError:
        raise KingdomContradicts("measurement_public_key cannot be parsed") from None
    _require(bool(key.data), "measurement_public_key is empty")
    return InternalEncryptionPublicKey(format=InternalEncryptionPublicKey.Format.ValueType(key.format), data=key.data)


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ComputationUnsupported(f"the computation is refused: {what}")
