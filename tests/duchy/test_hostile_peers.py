"""A peer that sends rubbish, lies about it, or sends what is not its to send: refused, and nothing changes."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest

from duchy.conftest import Duchy, StartDuchy, refusal
from duchy.facts import ID, computation
from duchy.mills import confirm, publish_key
from duchy.stand_in import Kingdom
from duchy.state import state_of
from duchy.streams import stream
from duchy.test_computation_control import (
    BODY,
    ONE,
    chunks,
    confirming,
    header,
    in_stage,
    initialized,
    send,
    token_of,
)
from gristmill.mill.calls import code_of
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as control
from wfa.measurement.system.v1alpha.computation_control_service_pb2_grpc import ComputationControlStub
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

__all__ = ["confirming", "initialized"]  # fixtures

Requests = Sequence[control.AdvanceComputationRequest]
LENGTH, HASH = "gristmill-length", "gristmill-sha256"
SHA256 = hashlib.sha256(BODY).hexdigest()
WHOLE = [header(), *chunks(BODY)]
TWO = control.LiquidLegionsV2.EXECUTION_PHASE_TWO_INPUT


def named(computation_id: str) -> Requests:
    return [header(name=f"computations/{computation_id}"), *chunks(BODY)]


def of_another_protocol() -> control.AdvanceComputationRequest:
    request = control.AdvanceComputationRequest()
    request.header.name = f"computations/{ID}"
    request.header.reach_only_liquid_legions_v2.description = control.ReachOnlyLiquidLegionsV2.SETUP_PHASE_INPUT
    return request


async def honest_deliveries_still_work(duchy: Duchy) -> None:
    for sender in ("worker1", "worker2"):
        await send(duchy, sender, WHOLE, [(LENGTH, str(len(BODY))), (HASH, SHA256)])
    assert [path.read_bytes() for path in duchy.files("computations")] == [BODY, BODY]
    assert (await confirm(duchy)).computation_stage.liquid_legions_sketch_aggregation_v2 == Llv2.SETUP_PHASE


LIES: dict[str, list[tuple[str, str]]] = {
    "a negative length": [(LENGTH, "-1")],
    "a length with an exponent": [(LENGTH, "1e9")],
    "a length beyond any number": [(LENGTH, "9" * 5000)],
    "a length of nothing": [(LENGTH, "")],
    "a length twice": [(LENGTH, str(len(BODY)))] * 2,
    "two lengths": [(LENGTH, str(len(BODY))), (LENGTH, "198")],
    "less than is sent": [(LENGTH, "198")],
    "nothing, and something is sent": [(LENGTH, "0")],
    "half a hash": [(HASH, SHA256[:32])],
    "a hash that is not hexadecimal": [(HASH, "g" * 64)],
    "a hash twice": [(HASH, SHA256)] * 2,
    "another hash": [(HASH, hashlib.sha256(b"").hexdigest())],
}


async def test_metadata_that_lie_are_refused_by_name(confirming: Duchy, kingdom: Kingdom) -> None:
    before = await state_of(confirming, kingdom)
    for lie, metadata in LIES.items():
        refused = await refusal(send(confirming, "worker1", WHOLE, metadata))
        assert (lie, refused.code()) == (lie, grpc.StatusCode.INVALID_ARGUMENT)
        assert "SETUP_PHASE_INPUT" in str(refused.details()) or metadata[0][0] in str(refused.details())
        assert await state_of(confirming, kingdom) == before
    await honest_deliveries_still_work(confirming)


MALFORMED: dict[str, Requests] = {
    "a header that comes late": [*chunks(BODY[:198]), header(), *chunks(BODY[198:])],
    "a header that comes again at the end": [*WHOLE, header()],
    "an empty message": [control.AdvanceComputationRequest(), *WHOLE],
    "an empty message in the middle": [header(), *chunks(BODY), control.AdvanceComputationRequest()],
    "no protocol": [control.AdvanceComputationRequest(header={"name": f"computations/{ID}"}), *chunks(BODY)],  # type: ignore[arg-type]
    "another protocol": [of_another_protocol(), *chunks(BODY)],
    "a description that there is not": [header(message=99), *chunks(BODY)],
    "a path for a name": named("../../etc/passwd"),
    "a dotted name": named(".."),
    "a hidden name": named(".ssh"),
    "a name with NUL": named(f"{ID}\0"),
    "a name with a line's end": named(f"{ID}\ncomputation failed"),
    "a name with a terminal's sequence": named("\x1b[2J"),
    "a name in another script": named("计算"),
    "an empty name": named(""),
    "an endless name": named("A" * 1_000_000),
}


async def test_malformed_streams_and_names_are_refused(confirming: Duchy, kingdom: Kingdom) -> None:
    before = await state_of(confirming, kingdom)
    for fault, requests in MALFORMED.items():
        refused = await refusal(send(confirming, "worker1", requests))
        assert (fault, refused.code()) == (fault, grpc.StatusCode.INVALID_ARGUMENT)
        assert len(str(refused.details())) < 300
        assert await state_of(confirming, kingdom) == before
    await honest_deliveries_still_work(confirming)


async def test_bytes_that_are_no_message_are_refused(confirming: Duchy, kingdom: Kingdom) -> None:
    before = await state_of(confirming, kingdom)
    opened = confirming.synchronous_channel("computation_control", confirming.keys.duchy("worker1"))
    path = "/wfa.measurement.system.v1alpha.ComputationControl/AdvanceComputation"
    call: Any = opened.stream_unary(path)
    refused = await refusal(stream(call, [b"\xff" * 100], timeout=10))
    assert refused.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
    assert await state_of(confirming, kingdom) == before
    await honest_deliveries_still_work(confirming)


async def test_a_chunk_beyond_grpcs_limit_is_refused_and_one_below_it_is_taken(
    confirming: Duchy, kingdom: Kingdom
) -> None:
    before = await state_of(confirming, kingdom)
    body = BODY[:198] * (4 * 1024 * 1024 // 198)
    refused = await refusal(send(confirming, "worker1", [header(), *chunks(body + bytes(198), len(body) + 198)]))
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await state_of(confirming, kingdom) == before
    body = body[: -198 * 10]
    await send(confirming, "worker1", [header(), *chunks(body, len(body))])
    (kept,) = confirming.files("computations")
    assert kept.read_bytes() == body


async def test_a_stream_without_end_is_refused_at_the_limit(
    confirming: Duchy, kingdom: Kingdom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.duchy.messages.MOST_UNITS", 10_000)
    before = await state_of(confirming, kingdom)
    sent = 0

    def endless() -> Iterator[control.AdvanceComputationRequest]:
        nonlocal sent
        yield header()
        while True:
            sent += 1
            yield chunks(bytes(198_000), 198_000)[0]

    peer = confirming.keys.duchy("worker1")
    stub = ComputationControlStub(confirming.synchronous_channel("computation_control", peer))
    refused = await refusal(stream(stub.AdvanceComputation, endless(), timeout=30))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "more than 1980000 bytes" in str(refused.details())
    assert sent < 1000
    assert await state_of(confirming, kingdom) == before
    await honest_deliveries_still_work(confirming)


async def test_a_caller_that_says_nothing_is_let_go(
    confirming: Duchy, kingdom: Kingdom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.duchy.bodies.PATIENCE", 0.3)
    before = await state_of(confirming, kingdom)

    let_go = threading.Event()

    def silent() -> Iterator[control.AdvanceComputationRequest]:
        let_go.wait(5)
        yield header()

    peer = confirming.keys.duchy("worker1")
    stub = ComputationControlStub(confirming.synchronous_channel("computation_control", peer))
    async with asyncio.timeout(4):
        refused = await refusal(stream(stub.AdvanceComputation, silent()))
    let_go.set()
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    assert await state_of(confirming, kingdom) == before


async def test_another_body_after_the_first_changes_nothing(confirming: Duchy, kingdom: Kingdom) -> None:
    await send(confirming, "worker1", WHOLE)
    before = await state_of(confirming, kingdom)
    await send(confirming, "worker1", [header(), *chunks(BODY[:198] * 20)])
    await send(confirming, "worker1", [header(), *chunks(b"\x07" * 199)])  # it is not looked at
    assert await state_of(confirming, kingdom) == before


async def later_messages_are_aborted(duchy: Duchy, kingdom: Kingdom) -> None:
    before = await state_of(duchy, kingdom)
    for sender in ("worker1", "worker2"):
        for message in (ONE, TWO):
            refused = await refusal(send(duchy, sender, [header(message), *chunks(bytes(264 * 3))]))
            assert refused.code() is grpc.StatusCode.ABORTED
    assert await state_of(duchy, kingdom) == before


async def test_a_message_for_a_later_stage_is_aborted_before_the_ring_is_known(
    initialized: Duchy, kingdom: Kingdom
) -> None:
    await later_messages_are_aborted(initialized, kingdom)


async def test_a_message_for_a_later_stage_is_aborted_in_any_stage(confirming: Duchy, kingdom: Kingdom) -> None:
    await later_messages_are_aborted(confirming, kingdom)
    await confirm(confirming)
    await later_messages_are_aborted(confirming, kingdom)
    for sender in ("worker1", "worker2"):
        await send(confirming, sender, WHOLE)
    assert (await token_of(confirming)).computation_stage.liquid_legions_sketch_aggregation_v2 == Llv2.SETUP_PHASE


async def test_only_the_duchy_before_it_in_the_ring_sends_to_a_worker(start: StartDuchy, kingdom: Kingdom) -> None:
    duchy = await start("worker1")
    kingdom.say(computation())
    await in_stage(duchy, Llv2.INITIALIZATION_PHASE)
    await publish_key(duchy)
    kingdom.say(computation(Computation.PENDING_PARTICIPANT_CONFIRMATION))
    await in_stage(duchy, Llv2.CONFIRMATION_PHASE)
    await confirm(duchy)
    kingdom.say(computation(Computation.PENDING_COMPUTATION))
    await in_stage(duchy, Llv2.SETUP_PHASE)
    before = await state_of(duchy, kingdom)
    ring = [each.duchy_id for each in before.token.computation_details.liquid_legions_v2.participant]
    right = ring[ring.index("worker1") - 1]
    (wrong,) = {"worker2", "aggregator"} - {right}
    for sender in (wrong, "worker1"):
        refused = await refusal(send(duchy, sender, [header(ONE), *chunks(BODY)]))
        assert refused.code() is grpc.StatusCode.PERMISSION_DENIED
        assert sender in str(refused.details())
    never = await refusal(send(duchy, right, WHOLE))  # a worker gets no SETUP_PHASE_INPUT
    assert never.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await state_of(duchy, kingdom) == before
    await send(duchy, right, [header(ONE), *chunks(BODY)])
    assert len(duchy.files("computations")) == 1


@pytest.mark.parametrize("name", ["../x", f"{ID}\n", "\x1b[2J", "A" * 64, ""])
async def test_the_stage_of_an_impossible_computation_is_refused(confirming: Duchy, name: str) -> None:
    stub = ComputationControlStub(confirming.channel("computation_control", confirming.keys.duchy("worker2")))
    asked = control.GetComputationStageRequest(name=f"computations/{name}/participants/aggregator/stage")
    assert (await refusal(stub.GetComputationStage(asked))).code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_ended_computation_takes_no_message_of_any_kind(confirming: Duchy, kingdom: Kingdom) -> None:
    await send(confirming, "worker1", WHOLE)
    kingdom.say(computation(Computation.CANCELLED))
    await in_stage(confirming, Llv2.COMPLETE)
    before = await state_of(confirming, kingdom)
    codes = {}
    for sender in ("worker1", "worker2", "aggregator"):
        for message in (header(), header(ONE), header(TWO)):
            call = send(confirming, sender, [message, *chunks(bytes(264 * 3))])
            try:
                await call
                codes[sender, message.header.liquid_legions_v2.description] = grpc.StatusCode.OK
            except grpc.RpcError as error:
                codes[sender, message.header.liquid_legions_v2.description] = code_of(error)
    assert codes.pop(("worker1", 1)) is grpc.StatusCode.OK  # a repeat of what it had sent before
    assert set(codes.values()) <= {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED}
    assert await state_of(confirming, kingdom) == before
    assert (await token_of(confirming)).computation_stage.liquid_legions_sketch_aggregation_v2 == Llv2.COMPLETE
