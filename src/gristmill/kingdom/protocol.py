"""Which protocol carries a measurement out, and the configuration that data providers and duchies are told."""

from __future__ import annotations

from dataclasses import dataclass

from gristmill.errors import InvalidRequest
from gristmill.kingdom import share_shuffle
from gristmill.kingdom.noise import NoiseMechanism
from gristmill.kingdom.share_shuffle import ShareShuffleParameters
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

P256_CURVE_ID = 415
"""OpenSSL's number of prime256v1, as the wire names the curve."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """Differential-privacy parameters of one kind of noise."""

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class LiquidLegionsParameters:
    """The kingdom's choice of sketch and noise for Liquid Legions V2; whether reach alone is measured by its cheaper
    reach-only protocol."""

    decay_rate: float = 12.0
    max_size: int = 100_000
    sampling_indicator_size: int = 10_000_000
    noise_mechanism: NoiseMechanism = NoiseMechanism.DISCRETE_GAUSSIAN
    blind_histogram_noise: Privacy = Privacy(1.0, 1.0)
    publisher_noise: Privacy = Privacy(1.0, 1.0)
    minimum_duchies: int = 3
    reach_only: bool = False


def choose(
    specification: MeasurementSpec,
    parameters: LiquidLegionsParameters,
    shares: ShareShuffleParameters | None = None,
    *,
    data_providers: int,
    duchies: int,
) -> tuple[ProtocolConfig, Computation.MpcProtocolConfig]:
    """The public and the system configuration of a measurement; InvalidRequest if no protocol here can carry it out.

    Reach and reach-and-frequency of two or more data providers are carried by share shuffle if this kingdom offers it
    (`shares` is given), else reach by reach-only Liquid Legions V2 if that is enabled, else both by Liquid Legions V2,
    whose maximum frequency is absent for reach, which the duchies read as 1.
    """
    kind = specification.WhichOneof("measurement_type")
    if kind not in ("reach", "reach_and_frequency"):
        raise InvalidRequest(
            f"no protocol of this kingdom measures {kind}", cure="Ask for reach or for reach and frequency."
        )
    if data_providers < 2:
        raise InvalidRequest(
            "a measurement of one data provider would be computed by it directly, which this kingdom does not offer",
            cure="Name at least two data providers.",
        )
    measurement_type = ProtocolConfig.REACH_AND_FREQUENCY if kind == "reach_and_frequency" else ProtocolConfig.REACH
    public = ProtocolConfig(measurement_type=measurement_type)
    if shares is not None:
        config, system = share_shuffle.configure(specification, shares, data_providers=data_providers, duchies=duchies)
        public.protocols.add().honest_majority_share_shuffle.CopyFrom(config)
        return public, system
    if duchies < parameters.minimum_duchies:
        raise InvalidRequest(
            f"Liquid Legions V2 needs {parameters.minimum_duchies} duchies and this kingdom has {duchies}",
            cure="Add duchies to the consortium.",
        )
    if kind == "reach" and parameters.reach_only:
        public.protocols.add().reach_only_liquid_legions_v2.CopyFrom(_public_reach_only(parameters))
        return public, Computation.MpcProtocolConfig(reach_only_liquid_legions_v2=_system(parameters))
    public.protocols.add().liquid_legions_v2.CopyFrom(_public(parameters))
    return public, Computation.MpcProtocolConfig(liquid_legions_v2=_system(parameters))


def _public(parameters: LiquidLegionsParameters) -> ProtocolConfig.LiquidLegionsV2:
    config = ProtocolConfig.LiquidLegionsV2(
        elliptic_curve_id=P256_CURVE_ID,
        noise_mechanism=ProtocolConfig.NoiseMechanism.Value(parameters.noise_mechanism.name),
    )
    config.sketch_params.decay_rate = parameters.decay_rate
    config.sketch_params.max_size = parameters.max_size
    config.sketch_params.sampling_indicator_size = parameters.sampling_indicator_size
    config.data_provider_noise.epsilon = parameters.publisher_noise.epsilon
    config.data_provider_noise.delta = parameters.publisher_noise.delta
    return config


def _public_reach_only(parameters: LiquidLegionsParameters) -> ProtocolConfig.ReachOnlyLiquidLegionsV2:
    full = _public(parameters)
    config = ProtocolConfig.ReachOnlyLiquidLegionsV2(
        data_provider_noise=full.data_provider_noise,
        elliptic_curve_id=full.elliptic_curve_id,
        noise_mechanism=full.noise_mechanism,
    )
    config.sketch_params.decay_rate = parameters.decay_rate
    config.sketch_params.max_size = parameters.max_size
    return config


def _system(parameters: LiquidLegionsParameters) -> Computation.MpcProtocolConfig.LiquidLegionsV2:
    config = Computation.MpcProtocolConfig.LiquidLegionsV2(
        elliptic_curve_id=P256_CURVE_ID,
        noise_mechanism=Computation.MpcProtocolConfig.NoiseMechanism.Value(parameters.noise_mechanism.name),
    )
    config.sketch_params.decay_rate = parameters.decay_rate
    config.sketch_params.max_size = parameters.max_size
    config.mpc_noise.blinded_histogram_noise.epsilon = parameters.blind_histogram_noise.epsilon
    config.mpc_noise.blinded_histogram_noise.delta = parameters.blind_histogram_noise.delta
    config.mpc_noise.publisher_noise.epsilon = parameters.publisher_noise.epsilon
    config.mpc_noise.publisher_noise.delta = parameters.publisher_noise.delta
    return config
