"""What a computation by share shuffle is created with, and what its data providers may hand in.

Share shuffle specification, "Parameters" and "Addenda": what the existing system passes over in silence is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from gristmill.duchy import names
from gristmill.duchy.admission import check_privacy, require
from gristmill.duchy.offer import Offer, as_they_are
from gristmill.errors import ComputationUnsupported, InvalidRequest
from gristmill.protocols.share_shuffle import SHARE_SHUFFLE, fits, is_prime
from wfa.measurement.api.v2alpha.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2 import FulfillRequisitionRequest
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import HonestMajorityShareShuffleSetupConfig
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.protocol.honest_majority_share_shuffle_pb2 import HonestMajorityShareShuffle
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionDetails
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

_MEMBER: Final = "honest_majority_share_shuffle"
LEAST_EPSILON: Final = 1e-6
MOST_ENTRIES: Final = 2**31 - 1
"""Of a frequency vector: a population is smaller."""
LONGEST_SEED: Final = 64 * 1024
"""Bytes of an encrypted seed; one with an RSA signature is below 2 KiB."""

_Config = Computation.MpcProtocolConfig
_MECHANISMS: Final = {
    _Config.NONE: NoiseMechanism.NONE,
    _Config.GEOMETRIC: NoiseMechanism.GEOMETRIC,
    _Config.DISCRETE_GAUSSIAN: NoiseMechanism.DISCRETE_GAUSSIAN,
}
"""Converted by name: the numbers differ."""

Header = FulfillRequisitionRequest.Header
Recorded = RequisitionDetails.RequisitionProtocol


def fill_share_shuffle(
    details: HonestMajorityShareShuffle.ComputationDetails,
    setup: HonestMajorityShareShuffleSetupConfig,
    config: Computation.MpcProtocolConfig.HonestMajorityShareShuffle,
    spec: MeasurementSpec,
) -> None:
    """Reach, or reach and frequency; without seed and key pair, which are drawn when it is created."""
    roles = [role.value for role in SHARE_SHUFFLE.paths]
    require(setup.role in roles, "the protocols setup gives this duchy no role in share shuffle")
    duchies = (setup.first_non_aggregator_duchy_id, setup.second_non_aggregator_duchy_id, setup.aggregator_duchy_id)
    require(all(duchies) and len({*duchies}) == 3, f"the protocols setup names no three duchies: {duchies}")
    details.role = setup.role
    details.non_aggregators.extend(duchies[:2])
    width, start = spec.vid_sampling_interval.width, spec.vid_sampling_interval.start
    require(0 < width <= 1, f"vid_sampling_interval.width is {width}, not in (0, 1]")
    require(0 <= start <= 1, f"vid_sampling_interval.start is {start}, not in [0, 1]")
    require(config.noise_mechanism in _MECHANISMS, f"noise_mechanism {config.noise_mechanism} cannot be drawn here")

    parameters = details.parameters
    parameters.noise_mechanism = _MECHANISMS[config.noise_mechanism]
    match spec.WhichOneof("measurement_type"):
        case "reach":
            parameters.maximum_frequency = 1
            parameters.ring_modulus = config.reach_ring_modulus
            require(is_prime(parameters.ring_modulus), f"reach_ring_modulus is {parameters.ring_modulus}, not a prime")
            _fill_privacy(parameters, spec.reach.privacy_params, None)
        case "reach_and_frequency":
            asked = spec.reach_and_frequency
            parameters.maximum_frequency = asked.maximum_frequency
            parameters.ring_modulus = config.reach_and_frequency_ring_modulus
            require(asked.maximum_frequency > 1, f"maximum_frequency is {asked.maximum_frequency}, not > 1")
            _fill_privacy(parameters, asked.reach_privacy_params, asked.frequency_privacy_params)
        case other:
            raise ComputationUnsupported(f"the measurement type {other} is neither reach nor reach_and_frequency")
    _check_modulus(parameters, data_providers=len(spec.nonce_hashes))


def _fill_privacy(
    parameters: HonestMajorityShareShuffle.ComputationDetails.Parameters,
    reach: DifferentialPrivacyParams,
    frequency: DifferentialPrivacyParams | None,
) -> None:
    """Without noise the parameters have none, whatever was asked for."""
    if parameters.noise_mechanism == NoiseMechanism.NONE:
        return
    if frequency is not None:
        both = bool(reach.ListFields()) == bool(frequency.ListFields())
        require(both, "only one of reach_privacy_params and frequency_privacy_params is given")
    check_privacy(reach, "reach_privacy_params", least=LEAST_EPSILON)
    parameters.reach_dp_params.epsilon, parameters.reach_dp_params.delta = reach.epsilon, reach.delta
    if frequency is not None:
        check_privacy(frequency, "frequency_privacy_params", least=LEAST_EPSILON)
        into = parameters.frequency_dp_params
        into.epsilon, into.delta = frequency.epsilon, frequency.delta


def _check_modulus(
    parameters: HonestMajorityShareShuffle.ComputationDetails.Parameters, *, data_providers: int
) -> None:
    """The greatest sum of frequencies, and one more value that means padding, must fit into the ring."""
    require(data_providers > 0, "measurement_spec.nonce_hashes names no data provider")
    greatest = parameters.maximum_frequency * data_providers
    require(
        fits(parameters.maximum_frequency, data_providers, parameters.ring_modulus),
        f"ring_modulus is {parameters.ring_modulus}, too small for {data_providers} data providers with frequencies up "
        f"to {parameters.maximum_frequency}: it must be above {greatest + 1}",
    )


def read_offer(
    details: HonestMajorityShareShuffle.ComputationDetails, header: Header, *, duchy: str, fulfilling: str
) -> Offer:
    """The share that the header announces, for a requisition that the kingdom has `fulfilling` store.

    Raises InvalidRequest: the header carries no or another protocol's fields, no seed, no certificate of the calling
    data provider, no number of registers; or another duchy stores this requisition.
    """
    if header.WhichOneof("protocol") != _MEMBER:
        raise InvalidRequest(f"header.{_MEMBER} is not set")
    if fulfilling != duchy:
        raise InvalidRequest(
            f"this requisition is fulfilled at {fulfilling or 'no duchy'}, not at {duchy}",
            cure="Send the share to the duchy whose entry in the requisition has no public key.",
        )
    share, modulus = header.honest_majority_share_shuffle, details.parameters.ring_modulus
    if not 0 < len(share.secret_seed.ciphertext) <= LONGEST_SEED:
        raise InvalidRequest(f"header.{_MEMBER}.secret_seed is not set, or longer than {LONGEST_SEED} bytes")
    if not 0 < share.register_count <= MOST_ENTRIES:
        raise InvalidRequest(f"header.{_MEMBER}.register_count is {share.register_count}, not in 1 to {MOST_ENTRIES}")
    owner, _ = names.parse_provider_certificate(share.data_provider_certificate)
    if owner != names.parse_requisition(header.name)[0]:
        raise InvalidRequest(f"header.{_MEMBER}.data_provider_certificate is another data provider's")
    shortest, longest = (_message(share.register_count * size) for size in (1, len(_varint(modulus - 1))))
    return Offer(
        what="the share",
        unit=1,
        shortest=len(shortest) + share.register_count,
        longest=len(longest) + share.register_count * len(_varint(modulus - 1)),
        recorded=Recorded(
            honest_majority_share_shuffle=Recorded.HonestMajorityShareShuffle(
                secret_seed_ciphertext=share.secret_seed.ciphertext,
                register_count=share.register_count,
                data_provider_certificate=share.data_provider_certificate,
            )
        ),
        checked=partial(_checked, beginning=shortest, modulus=modulus) if modulus <= 128 else as_they_are,
    )


async def _checked(chunks: AsyncIterator[bytes], *, beginning: bytes, modulus: int) -> AsyncIterator[bytes]:
    """A vector whose entries have one byte each is looked into on its way; the shuffle phase does so with all."""
    allowed = bytes(range(modulus))
    async for chunk in chunks:
        expected, beginning = beginning[: len(chunk)], beginning[len(chunk) :]
        if not chunk.startswith(expected):
            raise InvalidRequest("the share is no FrequencyVector with as many entries as header says")
        if chunk[len(expected) :].translate(None, delete=allowed):
            raise InvalidRequest(f"the share has an entry that is not less than the ring modulus {modulus}")
        yield chunk


def _message(length: int) -> bytes:
    """How a FrequencyVector with `length` bytes of packed entries begins."""
    return b"\x0a" + _varint(length)


def _varint(number: int) -> bytes:
    groups = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])
