"""Honest Majority Share Shuffle at the kingdom: what it can carry out, and what everybody is told about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gristmill.errors import InvalidRequest
from gristmill.kingdom.noise import NoiseMechanism
from gristmill.protocols.share_shuffle import LARGEST_MODULUS, fits, is_prime, largest_frequency
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

DUCHIES: Final = 3
"""Two workers and the aggregator, neither more nor fewer."""


@dataclass(frozen=True, slots=True)
class ShareShuffleParameters:
    """The rings that frequencies are shared in, and the noise; `noise_mechanism` None: no noise.

    ValueError for a ring that is none, or for a reach ring whose modulus is no prime: the workers multiply its entries
    by a common factor, and a product of two that are not zero must not be zero.
    """

    reach_and_frequency_ring_modulus: int = 127
    reach_ring_modulus: int = 127
    noise_mechanism: NoiseMechanism | None = NoiseMechanism.DISCRETE_GAUSSIAN

    def __post_init__(self) -> None:
        for modulus in (self.reach_and_frequency_ring_modulus, self.reach_ring_modulus):
            if not 1 < modulus <= LARGEST_MODULUS:
                raise ValueError(f"a ring modulus must lie between 2 and {LARGEST_MODULUS}, and {modulus} does not")
        if not is_prime(self.reach_ring_modulus):
            raise ValueError(f"the ring modulus for reach must be a prime number, and {self.reach_ring_modulus} is not")

    def modulus(self, specification: MeasurementSpec) -> int:
        """The ring of a measurement."""
        if specification.HasField("reach_and_frequency"):
            return self.reach_and_frequency_ring_modulus
        return self.reach_ring_modulus


def configure(
    specification: MeasurementSpec, parameters: ShareShuffleParameters, *, data_providers: int, duchies: int
) -> tuple[ProtocolConfig.HonestMajorityShareShuffle, Computation.MpcProtocolConfig]:
    """What data providers and duchies are told; InvalidRequest if it cannot carry this measurement out."""
    if duchies != DUCHIES:
        raise InvalidRequest(
            f"share shuffle is computed by two workers and an aggregator, and this kingdom has {duchies} duchies",
            cure="Make a consortium of three duchies.",
        )
    modulus = parameters.modulus(specification)
    _check_room(specification, modulus, data_providers)
    mechanism = "NONE" if parameters.noise_mechanism is None else parameters.noise_mechanism.name
    public = ProtocolConfig.HonestMajorityShareShuffle(
        ring_modulus=modulus, noise_mechanism=ProtocolConfig.NoiseMechanism.Value(mechanism)
    )
    system = Computation.MpcProtocolConfig.HonestMajorityShareShuffle(
        reach_and_frequency_ring_modulus=parameters.reach_and_frequency_ring_modulus,
        reach_ring_modulus=parameters.reach_ring_modulus,
        noise_mechanism=Computation.MpcProtocolConfig.NoiseMechanism.Value(mechanism),
    )
    return public, Computation.MpcProtocolConfig(honest_majority_share_shuffle=system)


def _check_room(specification: MeasurementSpec, modulus: int, data_providers: int) -> None:
    frequency = specification.reach_and_frequency.maximum_frequency or 1
    if fits(frequency, data_providers, modulus):
        return
    limit = largest_frequency(data_providers, modulus)
    raise InvalidRequest(
        f"maximum frequency {frequency} of {data_providers} data providers does not fit into a ring of modulus "
        f"{modulus}: their product plus 1 must be less than the modulus",
        cure=f"Ask for a maximum frequency of {limit} or less." if limit > 1 else "Ask fewer data providers.",
    )
