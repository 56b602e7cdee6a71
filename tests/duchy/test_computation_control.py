"""What peers may deliver, and what they are told: real gRPC, mutual TLS, SQLite, files."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

import grpc
import pytest

from duchy.conftest import Duchy, StartDuchy, eventually, refusal
from duchy.facts import ID, computation
from duchy.mills import confirm, publish_key, stage
from duchy.stand_in import Kingdom
from duchy.streams import stream
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, aio_channel, client_credentials
from mill.wires import LLV2, Wire
from wfa.measurement.internal.duchy import async_computation_control_service_pb2 as async_wire
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy.async_computation_control_service_pb2_grpc import AsyncComputationControlStub
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as control
from wfa.measurement.system.v1alpha.computation_control_service_pb2_grpc import ComputationControlStub
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

BODY = bytes(range(198)) * 7
SETUP = control.LiquidLegionsV2.SETUP_PHASE_INPUT
ONE = control.LiquidLegionsV2.EXECUTION_PHASE_ONE_INPUT


async def token_of(duchy: Duchy) -> ComputationToken:
    request = wire.GetComputationTokenRequest(global_computation_id=ID)
    return (await ComputationsStub(duchy.channel("internal_api")).GetComputationToken(request)).token


async def in_stage(duchy: Duchy, wanted: int, *, of: Wire = LLV2) -> None:
    async def there() -> bool:
        try:
            return (await token_of(duchy)).computation_stage == of.stage(wanted)
        except grpc.aio.AioRpcError:
            return False

    await eventually(there)


@pytest.fixture
async def initialized(start: StartDuchy, kingdom: Kingdom) -> Duchy:
    """An aggregator in INITIALIZATION_PHASE."""
    duchy = await start("aggregator")
    kingdom.say(computation())
    await in_stage(duchy, Llv2.INITIALIZATION_PHASE)
    return duchy


@pytest.fixture
async def confirming(initialized: Duchy, kingdom: Kingdom) -> Duchy:
    """An aggregator in CONFIRMATION_PHASE: the row before its wait, so that its slots are open."""
    await publish_key(initialized)
    kingdom.say(computation(Computation.PENDING_PARTICIPANT_CONFIRMATION))
    await in_stage(initialized, Llv2.CONFIRMATION_PHASE)
    return initialized


def header(message: int = SETUP, name: str = f"computations/{ID}") -> control.AdvanceComputationRequest:
    request = control.AdvanceComputationRequest()
    request.header.name = name
    request.header.liquid_legions_v2.description = message  # type: ignore[assignment]
    return request


def chunks(body: bytes, size: int = 500) -> list[control.AdvanceComputationRequest]:
    requests = []
    for at in range(0, len(body), size):
        request = control.AdvanceComputationRequest()
        request.body_chunk.partial_data = body[at : at + size]
        requests.append(request)
    return requests


async def send(
    duchy: Duchy,
    sender: str,
    requests: Sequence[control.AdvanceComputationRequest],
    metadata: Sequence[tuple[str, str]] = (),
) -> None:
    stub = ComputationControlStub(duchy.synchronous_channel("computation_control", duchy.keys.duchy(sender)))
    await stream(stub.AdvanceComputation, requests, metadata=metadata, timeout=10)


async def test_deliveries_fill_the_slots_and_move_the_computation_on(confirming: Duchy) -> None:
    promise = [("gristmill-length", str(len(BODY))), ("gristmill-sha256", hashlib.sha256(BODY).hexdigest())]
    await send(confirming, "worker1", [header(), *chunks(BODY)], promise)
    await send(confirming, "worker2", [header(), *chunks(BODY[:198])])
    token = await confirm(confirming)
    assert token.computation_stage == stage(Llv2.SETUP_PHASE)
    inputs = [blob for blob in token.blobs if blob.path]
    ring = [each.duchy_id for each in token.computation_details.liquid_legions_v2.participant]
    kept = {
        ring[at]: (confirming.blob_root / "computations" / blob.path).read_bytes() for at, blob in enumerate(inputs)
    }
    assert kept == {"worker1": BODY, "worker2": BODY[:198]}


async def test_a_message_that_comes_too_early_is_aborted_and_keeps_nothing(initialized: Duchy) -> None:
    refused = await refusal(send(initialized, "worker1", [header(), *chunks(BODY)]))
    assert refused.code() is grpc.StatusCode.ABORTED
    assert initialized.files("computations") == []


async def test_a_repeated_message_is_ok_and_its_body_is_dropped(confirming: Duchy) -> None:
    await send(confirming, "worker1", [header(), *chunks(BODY)])
    await send(confirming, "worker1", [header(), *chunks(BODY[198:])])
    (kept,) = confirming.files("computations")
    assert kept.read_bytes() == BODY


async def test_two_deliveries_at_once_leave_one_blob(confirming: Duchy) -> None:
    await asyncio.gather(*(send(confirming, "worker1", [header(), *chunks(BODY)]) for _ in range(4)))
    (kept,) = confirming.files("computations")
    assert kept.read_bytes() == BODY


async def test_another_duchys_message_is_denied(confirming: Duchy) -> None:
    refused = await refusal(send(confirming, "aggregator", [header(), *chunks(BODY)]))
    assert refused.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_data_providers_certificate_opens_no_peers_door(confirming: Duchy) -> None:
    provider = confirming.keys.data_provider("edp1")
    stub = ComputationControlStub(confirming.synchronous_channel("computation_control", provider))
    refused = await refusal(stream(stub.AdvanceComputation, [header(), *chunks(BODY)], timeout=10))
    assert refused.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_message_of_an_ended_computation_is_a_failed_precondition(confirming: Duchy, kingdom: Kingdom) -> None:
    kingdom.say(computation(Computation.FAILED))
    await in_stage(confirming, Llv2.COMPLETE)
    assert (await token_of(confirming)).computation_details.ending_state == ComputationDetails.FAILED
    refused = await refusal(send(confirming, "worker1", [header(), *chunks(BODY)]))
    assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert confirming.files("computations") == []


async def test_an_unknown_computation_is_not_found(initialized: Duchy) -> None:
    refused = await refusal(send(initialized, "worker1", [header(name="computations/AAAAAAAAAA0"), *chunks(BODY)]))
    assert refused.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("requests", "metadata"),
    [
        ([], ()),
        (chunks(BODY), ()),
        ([header()], ()),
        ([header(), *chunks(BODY[:-1])], ()),
        ([header(), header(), *chunks(BODY)], ()),
        ([header(message=0), *chunks(BODY)], ()),
        ([header(name="computation/1"), *chunks(BODY)], ()),
        ([header(), *chunks(BODY)], [("gristmill-length", str(len(BODY) + 198))]),
        ([header(), *chunks(BODY)], [("gristmill-length", str(2**60))]),
        ([header(), *chunks(BODY)], [("gristmill-sha256", "00" * 32)]),
        ([header(), *chunks(BODY)], [("gristmill-length", "many")]),
    ],
    ids=["nothing", "no header", "no body", "half a register", "two headers", "no description", "bad name",
         "shorter than said", "said too long", "other bytes than said", "no number"],
)  # fmt: skip
async def test_a_malformed_delivery_is_refused_and_leaves_nothing(
    confirming: Duchy, requests: list[control.AdvanceComputationRequest], metadata: list[tuple[str, str]]
) -> None:
    before = await token_of(confirming)
    refused = await refusal(send(confirming, "worker1", requests, metadata))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert confirming.files("computations") == []
    assert await token_of(confirming) == before


async def test_a_sender_that_breaks_off_leaves_nothing(confirming: Duchy) -> None:
    async def endless() -> AsyncIterator[control.AdvanceComputationRequest]:
        yield header()
        while True:
            for chunk in chunks(bytes(198 * 10000), 198 * 5000):
                yield chunk
            await asyncio.sleep(0.005)

    stub = ComputationControlStub(confirming.channel("computation_control", confirming.keys.duchy("worker1")))
    call = stub.AdvanceComputation(endless())

    async def writing() -> bool:
        return bool(confirming.files("computations"))

    await eventually(writing)
    call.cancel()

    async def removed() -> bool:
        return confirming.files("computations") == []

    await eventually(removed)
    await send(confirming, "worker1", [header(), *chunks(BODY)])
    assert len(confirming.files("computations")) == 1


async def test_a_sender_that_stalls_is_let_go(confirming: Duchy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gristmill.duchy.bodies.PATIENCE", 0.3)

    let_go = threading.Event()

    def stalling() -> Iterator[control.AdvanceComputationRequest]:
        yield header()
        yield chunks(BODY)[0]
        let_go.wait(5)

    peer = confirming.keys.duchy("worker1")
    stub = ComputationControlStub(confirming.synchronous_channel("computation_control", peer))
    refused = await refusal(stream(stub.AdvanceComputation, stalling()))
    let_go.set()
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    assert confirming.files("computations") == []


async def test_peers_see_the_stage_with_an_entity_tag_of_the_version(confirming: Duchy) -> None:
    stub = ComputationControlStub(confirming.channel("computation_control", confirming.keys.duchy("worker2")))
    name = f"computations/{ID}/participants/aggregator/stage"
    seen = await stub.GetComputationStage(control.GetComputationStageRequest(name=name))
    version = (await token_of(confirming)).version
    digest = hashlib.sha256(version.to_bytes(8, "big")).hexdigest().upper()
    assert seen.liquid_legions_v2_stage.stage == Llv2.CONFIRMATION_PHASE
    assert (seen.name, seen.etag) == (name, f'W/"{digest}"')


@pytest.mark.parametrize(
    "name", [f"computations/{ID}/participants/worker1/stage", f"computations/{ID}/participants/aggregator"]
)
async def test_the_stage_of_another_duchy_or_name_is_refused(confirming: Duchy, name: str) -> None:
    stub = ComputationControlStub(confirming.channel("computation_control", confirming.keys.duchy("worker2")))
    refused = await refusal(stub.GetComputationStage(control.GetComputationStageRequest(name=name)))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_wires_own_calls_fill_the_slots_too(confirming: Duchy) -> None:
    token = await confirm(confirming)
    assert token.computation_stage == stage(Llv2.WAIT_SETUP_PHASE_INPUTS)
    stub = AsyncComputationControlStub(confirming.channel("async_computation_control"))
    for sender in ("worker1", "worker2"):
        request = async_wire.GetOutputBlobMetadataRequest(global_computation_id=ID, data_origin=sender)
        blob = await stub.GetOutputBlobMetadata(request)
        advance = async_wire.AdvanceComputationRequest(
            global_computation_id=ID,
            computation_stage=stage(Llv2.WAIT_SETUP_PHASE_INPUTS),
            blob_id=blob.blob_id,
            blob_path=f"from/{sender}",
        )
        await stub.AdvanceComputation(advance)
        await stub.AdvanceComputation(advance)
    token = await token_of(confirming)
    assert token.computation_stage == stage(Llv2.SETUP_PHASE)
    assert {blob.path for blob in token.blobs} == {"from/worker1", "from/worker2", ""}


@pytest.mark.parametrize(
    ("sender", "code"), [("aggregator", grpc.StatusCode.PERMISSION_DENIED), ("worker1", grpc.StatusCode.ABORTED)]
)
async def test_the_wires_own_calls_hold_the_sender_against_the_ring(
    confirming: Duchy, sender: str, code: grpc.StatusCode
) -> None:
    stub = AsyncComputationControlStub(confirming.channel("async_computation_control"))
    request = async_wire.GetOutputBlobMetadataRequest(global_computation_id=ID, data_origin=sender)
    assert (await refusal(stub.GetOutputBlobMetadata(request))).code() is code


async def test_servers_that_carry_secrets_take_no_other_partys_certificate(confirming: Duchy) -> None:
    me = confirming.keys.duchy("aggregator")
    for server in ("internal_api", "async_computation_control"):
        for stranger in (confirming.keys.duchy("worker1"), confirming.keys.data_provider("edp1")):
            credentials = client_credentials([read_certificate(me.root_file)], stranger.tls)
            port = getattr(confirming.running.ports, server)
            async with aio_channel(Target(f"127.0.0.1:{port}", me.cert_host, 10), credentials) as channel:
                request = wire.GetComputationTokenRequest(global_computation_id=ID)
                refused = await refusal(ComputationsStub(channel).GetComputationToken(request, timeout=5))
                assert refused.code() is grpc.StatusCode.UNAVAILABLE
