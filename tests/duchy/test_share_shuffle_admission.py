"""What the herald makes of a share-shuffle computation, and what it refuses: each rule with its own words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from duchy.shares import share_computation
from gristmill.duchy.creation import create_request
from gristmill.duchy.key_pairs import draw_secrets
from gristmill.errors import ComputationUnsupported
from gristmill.trust.hybrid import PrivateKeyset, private_key_id
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig, RoleInComputation
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.protocol.honest_majority_share_shuffle_pb2 import HonestMajorityShareShuffle
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

Config = Computation.MpcProtocolConfig
ShareConfig = Config.HonestMajorityShareShuffle
Details = HonestMajorityShareShuffle.ComputationDetails
Change = Callable[[MeasurementSpec, ShareConfig], None]


def setup(role: int = RoleInComputation.FIRST_NON_AGGREGATOR) -> ProtocolsSetupConfig:
    built = ProtocolsSetupConfig()
    mine = built.honest_majority_share_shuffle
    mine.role = role  # type: ignore[assignment]
    mine.first_non_aggregator_duchy_id, mine.second_non_aggregator_duchy_id = "worker1", "worker2"
    mine.aggregator_duchy_id = "aggregator"
    return built


def created(change: Change = lambda spec, config: None, setting: ProtocolsSetupConfig | None = None) -> Details:
    said = share_computation()
    spec = MeasurementSpec.FromString(said.measurement_spec)
    change(spec, said.mpc_protocol_config.honest_majority_share_shuffle)
    said.measurement_spec = spec.SerializeToString()
    return create_request("worker1", setting or setup(), said).computation_details.honest_majority_share_shuffle


def reach_alone(spec: MeasurementSpec, config: ShareConfig) -> None:
    spec.reach.privacy_params.epsilon, spec.reach.privacy_params.delta = 1.0, 1e-5


def test_reach_and_frequency_has_both_budgets() -> None:
    details = created()
    assert [*details.non_aggregators] == ["worker1", "worker2"]
    parameters = details.parameters
    assert (parameters.maximum_frequency, parameters.ring_modulus) == (10, 127)
    assert parameters.noise_mechanism == NoiseMechanism.DISCRETE_GAUSSIAN
    assert (parameters.reach_dp_params.delta, parameters.frequency_dp_params.delta) == (1e-5, 1e-5)


def test_reach_alone_has_maximum_frequency_one_and_one_budget() -> None:
    parameters = created(reach_alone).parameters
    assert parameters.maximum_frequency == 1
    assert parameters.HasField("reach_dp_params")
    assert not parameters.HasField("frequency_dp_params")


def test_without_noise_there_is_no_budget() -> None:
    def none(spec: MeasurementSpec, config: ShareConfig) -> None:
        config.noise_mechanism = Config.NONE

    parameters = created(none).parameters
    assert parameters.noise_mechanism == NoiseMechanism.NONE
    assert not parameters.HasField("reach_dp_params")
    assert not parameters.HasField("frequency_dp_params")


def setter(path: str, value: object) -> Change:
    """Sets `spec.a.b` or `config.a`; None clears."""

    def change(spec: MeasurementSpec, config: ShareConfig) -> None:
        root, *names, last = path.split(".")
        message: object = spec if root == "spec" else config
        for name in names:
            message = getattr(message, name)
        if value is None:
            message.ClearField(last)  # type: ignore[attr-defined]
        else:
            setattr(message, last, value)

    return change


ASKED = "spec.reach_and_frequency"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (setter(f"{ASKED}.maximum_frequency", 1), "maximum_frequency is 1, not > 1"),
        # Of two data providers: 2 * 63 + 1 = 127 leaves no value for padding.
        (setter(f"{ASKED}.maximum_frequency", 63), "ring_modulus is 127, too small for 2 data providers"),
        (setter("config.reach_and_frequency_ring_modulus", 21), "must be above 21"),
        (setter("config.reach_and_frequency_ring_modulus", 0), "ring_modulus is 0"),
        (setter("spec.nonce_hashes", None), "names no data provider"),
        (setter(f"{ASKED}.reach_privacy_params.epsilon", 0.9e-6), "reach_privacy_params.epsilon"),
        (setter(f"{ASKED}.frequency_privacy_params.epsilon", 0.9e-6), "frequency_privacy_params.epsilon"),
        (setter(f"{ASKED}.frequency_privacy_params.epsilon", float("inf")), "frequency_privacy_params.epsilon"),
        (setter(f"{ASKED}.reach_privacy_params.delta", 0.0), "reach_privacy_params.delta"),
        (setter(f"{ASKED}.frequency_privacy_params", None), "only one of reach_privacy_params and frequency_privacy"),
        (setter(f"{ASKED}.reach_privacy_params", None), "only one of reach_privacy_params and frequency_privacy"),
        (setter("config.noise_mechanism", Config.NOISE_MECHANISM_UNSPECIFIED), "noise_mechanism 0 cannot be drawn"),
        (setter("config.noise_mechanism", Config.CONTINUOUS_GAUSSIAN), "cannot be drawn here"),
        (setter("config.noise_mechanism", Config.DETERMINISTIC_TRUNCATED_LAPLACE), "cannot be drawn here"),
        (setter("spec.vid_sampling_interval.width", 0.0), "vid_sampling_interval.width"),
        (setter("spec.vid_sampling_interval.width", 1.1), "vid_sampling_interval.width"),
        (setter("spec.vid_sampling_interval.start", 1.1), "vid_sampling_interval.start"),
        (lambda spec, config: spec.impression.SetInParent(), "the measurement type impression"),
    ],
)
def test_what_could_not_be_computed_is_refused_with_the_reason(change: Change, reason: str) -> None:
    with pytest.raises(ComputationUnsupported) as refused:
        created(change)
    assert reason in refused.value.message


@pytest.mark.parametrize("modulus", [1, 4, 121, 2**16])
def test_the_modulus_of_reach_alone_must_be_a_prime(modulus: int) -> None:
    def change(spec: MeasurementSpec, config: ShareConfig) -> None:
        reach_alone(spec, config)
        config.reach_ring_modulus = modulus

    with pytest.raises(ComputationUnsupported, match=f"reach_ring_modulus is {modulus}, not a prime"):
        created(change)


@pytest.mark.parametrize(("modulus", "admitted"), [(3, False), (5, True)])
def test_reach_alone_of_two_needs_a_modulus_above_three(modulus: int, admitted: bool) -> None:
    def change(spec: MeasurementSpec, config: ShareConfig) -> None:
        reach_alone(spec, config)
        config.reach_ring_modulus = modulus

    if admitted:
        assert created(change).parameters.ring_modulus == modulus
    else:
        with pytest.raises(ComputationUnsupported, match="too small for 2 data providers"):
            created(change)


def test_the_greatest_frequency_that_fits_and_the_least_epsilon_are_admitted() -> None:
    def change(spec: MeasurementSpec, config: ShareConfig) -> None:
        spec.reach_and_frequency.maximum_frequency = 62
        spec.reach_and_frequency.reach_privacy_params.epsilon = 1e-6

    assert created(change).parameters.maximum_frequency == 62


def test_a_sampling_interval_may_pass_one() -> None:
    assert created(setter("spec.vid_sampling_interval.start", 0.9))


def test_a_setup_without_a_role_or_without_three_duchies_is_refused() -> None:
    with pytest.raises(ComputationUnsupported, match="gives this duchy no role in share shuffle"):
        created(setting=setup(RoleInComputation.NON_AGGREGATOR))
    lame = setup()
    lame.honest_majority_share_shuffle.aggregator_duchy_id = "worker2"
    with pytest.raises(ComputationUnsupported, match="names no three duchies"):
        created(setting=lame)


def test_a_worker_starts_with_a_fresh_seed_and_key_pair() -> None:
    requests = [create_request("worker1", setup(), share_computation()) for _ in range(2)]
    keysets = [draw_secrets(request.computation_details) for request in requests]
    one, two = (request.computation_details.honest_majority_share_shuffle for request in requests)
    assert len(one.random_seed) == len(two.random_seed) == 48
    assert one.random_seed != two.random_seed
    assert keysets[0] != keysets[1]
    assert keysets[0] is not None
    public = PrivateKeyset(keysets[0]).public_key
    assert one.encryption_key_pair.public_key.data == public.data
    assert one.encryption_key_pair.public_key.format == EncryptionPublicKey.TINK_KEYSET
    assert one.encryption_key_pair.private_key_id == private_key_id(public)


def test_the_aggregator_starts_without_secrets() -> None:
    request = create_request("aggregator", setup(RoleInComputation.AGGREGATOR), share_computation())
    assert draw_secrets(request.computation_details) is None
    assert not request.computation_details.honest_majority_share_shuffle.random_seed
