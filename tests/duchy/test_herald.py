"""The herald against a stand-in kingdom: real gRPC, mutual TLS, SQLite."""

from __future__ import annotations

from contextlib import AsyncExitStack

import grpc

from duchy.conftest import Duchy, StartDuchy, eventually
from duchy.facts import DUCHIES, ID, NONCES, computation, continuation_token
from duchy.mills import confirm, publish_key
from duchy.stand_in import Kingdom
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.internal.duchy.continuation_tokens_service_pb2 import GetContinuationTokenRequest
from wfa.measurement.internal.duchy.continuation_tokens_service_pb2_grpc import ContinuationTokensStub
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)
from wfa.measurement.system.v1alpha.computation_pb2 import Computation


async def find(duchy: Duchy, computation_id: str = ID) -> ComputationToken | None:
    stub = ComputationsStub(duchy.channel("internal_api"))
    try:
        request = wire.GetComputationTokenRequest(global_computation_id=computation_id)
        return (await stub.GetComputationToken(request)).token
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise


def stage(token: ComputationToken | None) -> int:
    return token.computation_stage.liquid_legions_sketch_aggregation_v2 if token else 0


async def reaches(duchy: Duchy, wanted: int, computation_id: str = ID) -> ComputationToken:
    async def there() -> bool:
        return stage(await find(duchy, computation_id)) == wanted

    await eventually(there)
    token = await find(duchy, computation_id)
    assert token is not None
    return token


async def test_a_state_that_it_does_not_know_holds_nothing_up(start: StartDuchy, kingdom: Kingdom) -> None:
    duchy = await start("worker1")
    kingdom.say(computation(99))
    kingdom.say(computation())
    await reaches(duchy, Llv2.INITIALIZATION_PHASE)


async def test_a_computation_is_created_with_the_parameters_that_the_kingdom_gave(
    start: StartDuchy, kingdom: Kingdom
) -> None:
    duchy = await start("worker1")
    kingdom.say(computation())
    token = await reaches(duchy, Llv2.INITIALIZATION_PHASE)
    parameters = token.computation_details.liquid_legions_v2.parameters
    assert parameters.maximum_frequency == 10
    assert parameters.sketch_parameters.size == 1000
    assert parameters.noise.reach_noise_config.global_reach_dp_noise.delta == 1e-5
    assert token.computation_details.kingdom_computation.participant_count == 3
    assert [each.details.nonce for each in token.requisitions] == [0, 0]


async def test_keys_and_nonces_arrive_in_ring_order(start: StartDuchy, kingdom: Kingdom) -> None:
    duchy = await start("aggregator")
    kingdom.say(computation())
    await reaches(duchy, Llv2.INITIALIZATION_PHASE)
    await publish_key(duchy)
    kingdom.say(computation(Computation.PENDING_PARTICIPANT_CONFIRMATION))
    token = await reaches(duchy, Llv2.CONFIRMATION_PHASE)
    ring = [each.duchy_id for each in token.computation_details.liquid_legions_v2.participant]
    assert sorted(ring) == sorted(DUCHIES)
    assert ring[-1] == "aggregator"
    assert {each.details.nonce for each in token.requisitions} == set(NONCES)
    assert token.computation_details.liquid_legions_v2.local_elgamal_key.secret_key == b"secret of aggregator"


async def test_a_start_that_comes_early_is_remembered(start: StartDuchy, kingdom: Kingdom) -> None:
    duchy = await start("worker1")
    kingdom.say(computation())
    await reaches(duchy, Llv2.INITIALIZATION_PHASE)
    await publish_key(duchy)
    kingdom.say(computation(Computation.PENDING_PARTICIPANT_CONFIRMATION))
    await reaches(duchy, Llv2.CONFIRMATION_PHASE)
    kingdom.say(computation(Computation.PENDING_COMPUTATION))
    await position(duchy, 3)
    assert stage(await find(duchy)) == Llv2.CONFIRMATION_PHASE
    token = await confirm(duchy)
    assert stage(token) == Llv2.SETUP_PHASE


async def position(duchy: Duchy, wanted: int) -> None:
    stub = ContinuationTokensStub(duchy.channel("internal_api"))

    async def there() -> bool:
        return (await stub.getContinuationToken(GetContinuationTokenRequest())).token == continuation_token(wanted)

    await eventually(there)


async def test_a_herald_that_missed_the_keys_catches_up_at_the_start(start: StartDuchy, kingdom: Kingdom) -> None:
    duchy = await start("worker1")
    kingdom.say(computation())
    await reaches(duchy, Llv2.INITIALIZATION_PHASE)
    await publish_key(duchy)
    kingdom.say(computation(Computation.PENDING_COMPUTATION))
    await reaches(duchy, Llv2.CONFIRMATION_PHASE)
    assert stage(await confirm(duchy)) == Llv2.SETUP_PHASE


async def test_a_cancelled_computation_ends_here_too(start: StartDuchy, kingdom: Kingdom) -> None:
    duchy = await start("worker1")
    kingdom.say(computation())
    await reaches(duchy, Llv2.INITIALIZATION_PHASE)
    kingdom.say(computation(Computation.CANCELLED))
    token = await reaches(duchy, Llv2.COMPLETE)
    assert token.computation_details.ending_state == ComputationDetails.FAILED
    assert not kingdom.failures


async def test_a_deletable_state_deletes_the_computation(start: StartDuchy, kingdom: Kingdom) -> None:
    duchy = await start("worker1", deletable=frozenset({int(Computation.FAILED)}))
    kingdom.say(computation())
    await reaches(duchy, Llv2.INITIALIZATION_PHASE)
    kingdom.say(computation(Computation.FAILED))

    async def gone() -> bool:
        return await find(duchy) is None

    await eventually(gone)


async def test_what_the_mills_cannot_compute_is_failed_at_the_kingdom_and_the_next_goes_on(
    start: StartDuchy, kingdom: Kingdom
) -> None:
    refused = computation(computation_id="AAAAAAAAAA0")
    refused.mpc_protocol_config.liquid_legions_v2.noise_mechanism = Computation.MpcProtocolConfig.CONTINUOUS_GAUSSIAN
    kingdom.say(refused, computation())
    duchy = await start("worker1")
    await reaches(duchy, Llv2.INITIALIZATION_PHASE)
    await position(duchy, 2)
    assert await find(duchy, "AAAAAAAAAA0") is None
    (failure,) = kingdom.failures
    assert failure.startswith("computations/AAAAAAAAAA0/participants/worker1: ")
    assert "noise_mechanism" in failure


async def test_broken_streams_do_not_end_the_herald(start: StartDuchy, kingdom: Kingdom) -> None:
    kingdom.break_streams = grpc.StatusCode.UNAVAILABLE
    duchy = await start("worker1")

    async def tried_again() -> bool:
        return len(kingdom.streams) >= 3

    await eventually(tried_again)
    kingdom.break_streams = None
    kingdom.say(computation())
    await reaches(duchy, Llv2.INITIALIZATION_PHASE)
    assert not duchy.running.herald.done()


async def test_a_kingdom_that_refuses_this_duchy_ends_the_herald(start: StartDuchy, kingdom: Kingdom) -> None:
    kingdom.break_streams = grpc.StatusCode.UNAUTHENTICATED
    duchy = await start("worker1")

    async def ended() -> bool:
        return duchy.running.herald.done()

    await eventually(ended)
    assert "UNAUTHENTICATED" in str(duchy.running.herald.exception())


async def test_after_a_restart_the_herald_goes_on_where_it_was(start: StartDuchy, kingdom: Kingdom) -> None:
    async with AsyncExitStack() as first:
        duchy = await start("worker1", first)
        kingdom.say(computation())
        await position(duchy, 1)
    await start("worker1")

    async def resumed() -> bool:
        return kingdom.streams[-1] == continuation_token(1)

    await eventually(resumed)
