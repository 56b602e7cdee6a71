"""What a computation by Liquid Legions is created with (LLv2 specification, "Parameters" and addenda)."""

from __future__ import annotations

from math import isfinite
from typing import Final

from gristmill.duchy.admission import check_privacy, require
from gristmill.duchy.offer import Offer
from gristmill.errors import ComputationUnsupported, InvalidRequest
from wfa.measurement.api.v2alpha.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2 import FulfillRequisitionRequest
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import (
    LiquidLegionsV2SetupConfig,
    RoleInComputation,
)
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2,
)
from wfa.measurement.internal.duchy.protocol.reach_only_liquid_legions_sketch_aggregation_v2_pb2 import (
    ReachOnlyLiquidLegionsSketchAggregationV2,
)
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.differential_privacy_pb2 import DifferentialPrivacyParams as SystemPrivacyParams

P256: Final = 415
"""OpenSSL's number of the curve, the only one that the cryptography here computes on."""

NOISE_ALLOWANCE: Final = 2**20
"""Registers beyond the sketch's size that a data provider may add as noise of its own."""

_Details = (
    LiquidLegionsSketchAggregationV2.ComputationDetails | ReachOnlyLiquidLegionsSketchAggregationV2.ComputationDetails
)
_Config = Computation.MpcProtocolConfig
_MECHANISMS: Final = {
    _Config.NOISE_MECHANISM_UNSPECIFIED: NoiseMechanism.GEOMETRIC,
    _Config.GEOMETRIC: NoiseMechanism.GEOMETRIC,
    _Config.DISCRETE_GAUSSIAN: NoiseMechanism.DISCRETE_GAUSSIAN,
}
"""What the mills can draw. Converted by name; unspecified is read as geometric, as the existing system does."""


def fill_llv2(
    details: LiquidLegionsSketchAggregationV2.ComputationDetails,
    setup: LiquidLegionsV2SetupConfig,
    config: Computation.MpcProtocolConfig.LiquidLegionsV2,
    spec: MeasurementSpec,
) -> None:
    """Reach and frequency; or reach alone, whose maximum frequency stays 0."""
    _fill(details, setup, config, spec)
    parameters = details.parameters
    match spec.WhichOneof("measurement_type"):
        case "reach":
            _fill_reach(details, spec.reach.privacy_params, "reach.privacy_params")
        case "reach_and_frequency":
            asked = spec.reach_and_frequency
            parameters.maximum_frequency = asked.maximum_frequency or config.maximum_frequency
            require(parameters.maximum_frequency > 1, f"maximum_frequency is {parameters.maximum_frequency}, not > 1")
            check_privacy(asked.frequency_privacy_params, "frequency_privacy_params")
            _fill_reach(details, asked.reach_privacy_params, "reach_privacy_params")
            _copy(asked.frequency_privacy_params, parameters.noise.frequency_noise_config)
        case other:
            raise ComputationUnsupported(f"the measurement type {other} is neither reach nor reach_and_frequency")


def fill_reach_only(
    details: ReachOnlyLiquidLegionsSketchAggregationV2.ComputationDetails,
    setup: LiquidLegionsV2SetupConfig,
    config: Computation.MpcProtocolConfig.LiquidLegionsV2,
    spec: MeasurementSpec,
) -> None:
    """Reach alone."""
    _fill(details, setup, config, spec)
    kind = spec.WhichOneof("measurement_type")
    if kind != "reach":
        raise ComputationUnsupported(f"the measurement type {kind} is not reach, and only reach is computed by it")
    _fill_reach(details, spec.reach.privacy_params, "reach.privacy_params")


def _fill(
    details: _Details,
    setup: LiquidLegionsV2SetupConfig,
    config: Computation.MpcProtocolConfig.LiquidLegionsV2,
    spec: MeasurementSpec,
) -> None:
    """What is not a matter of the measurement's type."""
    details.role = setup.role
    allowed = (RoleInComputation.AGGREGATOR, RoleInComputation.NON_AGGREGATOR)
    require(details.role in allowed, "the protocols setup gives this duchy no role in Liquid Legions")
    require(config.elliptic_curve_id == P256, f"elliptic_curve_id is {config.elliptic_curve_id}, not {P256} (P-256)")
    require(isfinite(config.sketch_params.decay_rate) and config.sketch_params.decay_rate > 0, "decay_rate is not > 0")
    require(config.sketch_params.max_size > 0, "max_size is not > 0")
    require(config.noise_mechanism in _MECHANISMS, f"noise_mechanism {config.noise_mechanism} cannot be drawn here")
    width = spec.vid_sampling_interval.width
    require(0 < width <= 1, f"vid_sampling_interval.width is {width}, not in (0, 1]")

    parameters = details.parameters
    parameters.elliptic_curve_id = config.elliptic_curve_id
    parameters.sketch_parameters.decay_rate = config.sketch_params.decay_rate
    parameters.sketch_parameters.size = config.sketch_params.max_size
    parameters.noise.noise_mechanism = _MECHANISMS[config.noise_mechanism]
    for kind in ("blinded_histogram_noise", "publisher_noise"):
        require(config.mpc_noise.HasField(kind), f"mpc_noise.{kind} is not set")
        check_privacy(getattr(config.mpc_noise, kind), f"mpc_noise.{kind}", least=0.0)
    reach_noise = parameters.noise.reach_noise_config
    _copy(config.mpc_noise.blinded_histogram_noise, reach_noise.blind_histogram_noise)
    _copy(config.mpc_noise.publisher_noise, reach_noise.noise_for_publisher_noise)


def _fill_reach(details: _Details, params: DifferentialPrivacyParams, what: str) -> None:
    check_privacy(params, what)
    _copy(params, details.parameters.noise.reach_noise_config.global_reach_dp_noise)


def _copy(params: DifferentialPrivacyParams | SystemPrivacyParams, into: object) -> None:
    into.epsilon, into.delta = params.epsilon, params.delta  # type: ignore[attr-defined]


def read_offer(details: _Details, header: FulfillRequisitionRequest.Header, unit: int) -> Offer:
    """An encrypted sketch, as big as the computation's parameters allow. InvalidRequest: another protocol's header."""
    if header.WhichOneof("protocol") is not None:
        raise InvalidRequest("header.protocol must not be set for Liquid Legions")
    longest = (details.parameters.sketch_parameters.size + NOISE_ALLOWANCE) * unit
    return Offer(what="the encrypted sketch", unit=unit, longest=longest, may_be_empty=True)
