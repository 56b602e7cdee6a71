"""What the herald makes of a computation, and what it refuses: pure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duchy.facts import computation
from gristmill.duchy.continuation import LeadingRun
from gristmill.duchy.creation import create_request
from gristmill.duchy.key_sets import with_participants
from gristmill.errors import PermanentFailure
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig, RoleInComputation
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

Config = Computation.MpcProtocolConfig


def setup() -> ProtocolsSetupConfig:
    built = ProtocolsSetupConfig()
    for mine in (built.liquid_legions_v2, built.reach_only_liquid_legions_v2):
        mine.role = RoleInComputation.NON_AGGREGATOR
        mine.external_aggregator_duchy_id = "aggregator"
    return built


def changed(
    change: Callable[[MeasurementSpec, Config.LiquidLegionsV2], None], *, reach_only: bool = False
) -> Computation:
    said = computation(reach_only=reach_only)
    spec = MeasurementSpec.FromString(said.measurement_spec)
    change(spec, getattr(said.mpc_protocol_config, str(said.mpc_protocol_config.WhichOneof("protocol"))))
    said.measurement_spec = spec.SerializeToString()
    return said


def setter(path: str, value: object) -> Callable[[MeasurementSpec, Config.LiquidLegionsV2], None]:
    """Sets `spec.a.b` or `config.a.b`."""

    def change(spec: MeasurementSpec, config: Config.LiquidLegionsV2) -> None:
        root, *names, last = path.split(".")
        message: object = spec if root == "spec" else config
        for name in names:
            message = getattr(message, name)
        setattr(message, last, value)

    return change


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.reach_and_frequency.maximum_frequency", 1),
        ("spec.reach_and_frequency.reach_privacy_params.delta", 0.0),
        ("spec.reach_and_frequency.reach_privacy_params.epsilon", 0.9e-5),
        ("spec.reach_and_frequency.frequency_privacy_params.delta", -1.0),
        ("spec.reach_and_frequency.frequency_privacy_params.epsilon", float("nan")),
        ("spec.reach.privacy_params.epsilon", 1e-6),
        ("spec.impression.maximum_frequency_per_user", 1),
        ("spec.vid_sampling_interval.width", 0.0),
        ("spec.vid_sampling_interval.width", 1.5),
        ("config.noise_mechanism", Config.NONE),
        ("config.noise_mechanism", Config.CONTINUOUS_GAUSSIAN),
        ("config.noise_mechanism", Config.DETERMINISTIC_TRUNCATED_LAPLACE),
        ("config.elliptic_curve_id", 0),
        ("config.sketch_params.max_size", 0),
        ("config.sketch_params.decay_rate", float("inf")),
        ("config.mpc_noise.publisher_noise.epsilon", 0.0),
    ],
)
def test_what_the_mills_cannot_compute_is_refused(path: str, value: object) -> None:
    with pytest.raises(PermanentFailure, match=path.split(".")[-1] if "impression" not in path else "impression"):
        create_request("worker1", setup(), changed(setter(path, value)))


def test_a_reach_only_computation_is_created_with_its_sketch_and_reach_noise() -> None:
    request = create_request("worker1", setup(), computation(reach_only=True))
    assert request.computation_type == 2
    details = request.computation_details.reach_only_liquid_legions_v2
    assert details.role == RoleInComputation.NON_AGGREGATOR
    parameters = details.parameters
    assert (parameters.sketch_parameters.decay_rate, parameters.sketch_parameters.size) == (12.0, 1000)
    assert (parameters.elliptic_curve_id, parameters.noise.noise_mechanism) == (415, NoiseMechanism.DISCRETE_GAUSSIAN)
    noise = parameters.noise.reach_noise_config
    assert (noise.global_reach_dp_noise.epsilon, noise.global_reach_dp_noise.delta) == (1.0, 1e-5)
    assert (noise.blind_histogram_noise.delta, noise.noise_for_publisher_noise.delta) == (1.0, 1.0)
    assert not parameters.noise.HasField("frequency_noise_config")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("spec.reach_and_frequency.maximum_frequency", 2, "only reach"),
        ("spec.reach.privacy_params.epsilon", 0.9e-5, "epsilon"),
        ("spec.reach.privacy_params.delta", 0.0, "delta"),
        ("config.noise_mechanism", Config.NONE, "noise_mechanism"),
        ("config.elliptic_curve_id", 0, "elliptic_curve_id"),
        ("config.mpc_noise.blinded_histogram_noise.delta", 0.0, "blinded_histogram_noise"),
    ],
)
def test_what_the_mills_cannot_compute_reach_only_is_refused(path: str, value: object, told: str) -> None:
    with pytest.raises(PermanentFailure, match=told):
        create_request("worker1", setup(), changed(setter(path, value), reach_only=True))


def test_a_duchy_without_a_role_in_the_protocol_refuses_it() -> None:
    config = setup()
    config.ClearField("reach_only_liquid_legions_v2")
    with pytest.raises(PermanentFailure, match="no role in reach_only_liquid_legions_v2"):
        create_request("worker1", config, computation(reach_only=True))


def test_an_unspecified_mechanism_is_geometric() -> None:
    request = create_request("worker1", setup(), changed(setter("config.noise_mechanism", 0)))
    noise = request.computation_details.liquid_legions_v2.parameters.noise
    assert noise.noise_mechanism == NoiseMechanism.GEOMETRIC


def test_plain_reach_has_no_maximum_frequency_and_no_frequency_noise() -> None:
    def reach(spec: MeasurementSpec, _: Config.LiquidLegionsV2) -> None:
        spec.reach.privacy_params.epsilon, spec.reach.privacy_params.delta = 0.5, 1e-6

    parameters = create_request("worker1", setup(), changed(reach)).computation_details.liquid_legions_v2.parameters
    assert parameters.maximum_frequency == 0
    assert not parameters.noise.HasField("frequency_noise_config")
    assert parameters.noise.reach_noise_config.global_reach_dp_noise.epsilon == 0.5


def test_an_old_kingdoms_maximum_frequency_counts_where_the_specification_has_none() -> None:
    def old(spec: MeasurementSpec, config: Config.LiquidLegionsV2) -> None:
        spec.reach_and_frequency.maximum_frequency, config.maximum_frequency = 0, 7

    parameters = create_request("worker1", setup(), changed(old)).computation_details.liquid_legions_v2.parameters
    assert parameters.maximum_frequency == 7


def test_another_protocol_or_api_version_is_refused() -> None:
    said = computation()
    said.mpc_protocol_config.honest_majority_share_shuffle.reach_ring_modulus = 127
    with pytest.raises(PermanentFailure, match="honest_majority_share_shuffle"):
        create_request("worker1", setup(), said)
    said = computation()
    said.public_api_version = "v3"
    with pytest.raises(PermanentFailure, match="v3"):
        create_request("worker1", setup(), said)


def test_participants_without_the_aggregator_are_no_ring() -> None:
    said = computation(Computation.PENDING_PARTICIPANT_CONFIRMATION)
    created = ComputationDetails()
    created.liquid_legions_v2.SetInParent()
    with pytest.raises(PermanentFailure, match="no ring"):
        with_participants(created, said, "worker9")


@given(st.permutations(range(8)))
def test_the_position_is_the_last_of_the_leading_run(order: list[int]) -> None:
    run = LeadingRun()
    tickets = [run.received(str(at)) for at in range(8)]
    position = -1
    for count, at in enumerate(order, start=1):
        moved = run.done(tickets[at])
        leading = next((gap for gap in range(8) if gap not in order[:count]), 8) - 1
        assert moved == (str(leading) if leading > position else None)
        position = leading
