"""A data provider that lies, replays, or hands over what is not its own: refused, and nothing changes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest

from duchy.conftest import Duchy, refusal
from duchy.facts import NONCES, REQUISITIONS, computation, fingerprint
from duchy.stand_in import Kingdom
from duchy.state import state_of
from duchy.streams import stream
from duchy.test_computation_control import in_stage, token_of
from duchy.test_fulfillment import BODY, duchy, fulfill, requests
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2 as public
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2_grpc import RequisitionFulfillmentStub
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

__all__ = ["duchy"]  # a fixture

LENGTH, HASH = "gristmill-length", "gristmill-sha256"
SHA256 = hashlib.sha256(BODY).hexdigest()


async def fulfill_saying(
    duchy: Duchy, messages: Sequence[public.FulfillRequisitionRequest], metadata: Sequence[tuple[str, str]]
) -> None:
    provider = duchy.keys.data_provider("edp1")
    stub = RequisitionFulfillmentStub(duchy.synchronous_channel("requisition_fulfillment", provider))
    await stream(stub.FulfillRequisition, messages, timeout=10, metadata=metadata)


async def the_honest_one_still_works(duchy: Duchy, kingdom: Kingdom) -> None:
    await fulfill_saying(duchy, requests(duchy), [(LENGTH, str(len(BODY))), (HASH, SHA256)])
    assert [path.read_bytes() for path in duchy.files("requisitions")] == [BODY]
    assert [(told.nonce, told.etag) for told in kingdom.fulfilled] == [(NONCES[0], "etag-1")]


LIES: dict[str, list[tuple[str, str]]] = {
    "a negative length": [(LENGTH, "-1")],
    "a length with an exponent": [(LENGTH, "1e9")],
    "a huge length": [(LENGTH, str(2**59))],
    "two lengths": [(LENGTH, str(len(BODY))), (LENGTH, "198")],
    "more than is sent": [(LENGTH, str(len(BODY) + 198))],
    "less than is sent": [(LENGTH, str(len(BODY) - 198))],
    "nothing, and something is sent": [(LENGTH, "0")],
    "half a hash": [(HASH, SHA256[:32])],
    "another hash": [(HASH, hashlib.sha256(b"").hexdigest())],
}


async def test_metadata_that_lie_are_refused(duchy: Duchy, kingdom: Kingdom) -> None:
    before = await state_of(duchy, kingdom)
    for lie, metadata in LIES.items():
        refused = await refusal(fulfill_saying(duchy, requests(duchy), metadata))
        assert (lie, refused.code()) == (lie, grpc.StatusCode.INVALID_ARGUMENT)
        assert await state_of(duchy, kingdom) == before
    await the_honest_one_still_works(duchy, kingdom)


def changed(duchy: Duchy, **header: Any) -> list[public.FulfillRequisitionRequest]:
    return requests(duchy, **header)


async def test_malformed_streams_and_names_are_refused(duchy: Duchy, kingdom: Kingdom) -> None:
    before = await state_of(duchy, kingdom)
    own, whole = duchy.keys.data_provider("edp1").resource, requests(duchy)
    shuffled = requests(duchy)
    shuffled[0].header.honest_majority_share_shuffle.register_count = 5
    malformed = {
        "nothing": [],
        "no header": whole[1:],
        "a header that comes late": [whole[1], whole[0], *whole[2:]],
        "two headers": [whole[0], *whole],
        "an empty message": [*whole, public.FulfillRequisitionRequest()],
        "another protocol's fields": shuffled,
        "a path for a name": changed(duchy, name=f"{own}/requisitions/../../x"),
        "a dotted name": changed(duchy, name=f"{own}/requisitions/.."),
        "NUL in the name": changed(duchy, name=f"{own}/requisitions/{REQUISITIONS[0]}\0"),
        "a line's end in the name": changed(duchy, name=f"{own}/requisitions/{REQUISITIONS[0]}\nfulfilled"),
        "an endless name": changed(duchy, name=f"{own}/requisitions/{'A' * 1_000_000}"),
    }
    for fault, messages in malformed.items():
        refused = await refusal(fulfill(duchy, messages))
        assert (fault, refused.code()) == (fault, grpc.StatusCode.INVALID_ARGUMENT)
        assert len(str(refused.details())) < 300
        assert await state_of(duchy, kingdom) == before
    await the_honest_one_still_works(duchy, kingdom)


async def test_another_data_provider_cannot_fulfil(duchy: Duchy, kingdom: Kingdom) -> None:
    """Neither under the other's name nor, without knowing the nonce, under its own."""
    before = await state_of(duchy, kingdom)
    thief = f"{duchy.keys.data_provider('edp2').resource}/requisitions/{REQUISITIONS[0]}"
    for messages, code in (
        (requests(duchy), grpc.StatusCode.PERMISSION_DENIED),
        (requests(duchy, name=thief, nonce=12345), grpc.StatusCode.FAILED_PRECONDITION),
        (requests(duchy, name=thief, nonce=NONCES[1]), grpc.StatusCode.FAILED_PRECONDITION),
    ):
        assert (await refusal(fulfill(duchy, messages, "edp2"))).code() is code
    assert await state_of(duchy, kingdom) == before
    await the_honest_one_still_works(duchy, kingdom)


async def test_no_answer_to_a_wrong_nonce_tells_the_right_one(
    duchy: Duchy, kingdom: Kingdom, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = NONCES[0] ^ 1
    refused = await refusal(fulfill(duchy, requests(duchy, nonce=wrong)))
    said = str(refused.details()) + "".join(capsys.readouterr())
    assert not [number for number in (*NONCES, wrong) if str(number) in said or f"{number:x}" in said]


@pytest.mark.parametrize("wrong", [b"", fingerprint()[:-1], fingerprint(1), fingerprint() + b"\0", bytes(100_000)])
async def test_a_wrong_fingerprint_is_not_found(duchy: Duchy, kingdom: Kingdom, wrong: bytes) -> None:
    before = await state_of(duchy, kingdom)
    refused = await refusal(fulfill(duchy, requests(duchy, requisition_fingerprint=wrong)))
    assert refused.code() is grpc.StatusCode.NOT_FOUND
    assert await state_of(duchy, kingdom) == before


async def test_a_replay_with_another_body_keeps_the_first(duchy: Duchy, kingdom: Kingdom) -> None:
    await fulfill(duchy, requests(duchy))
    before = await state_of(duchy, kingdom)
    replayed = [BODY[:198] * 3, b"\x07" * 99, b""]
    for body in replayed:
        assert await fulfill(duchy, requests(duchy, body=body)) == Requisition.FULFILLED
    after = await state_of(duchy, kingdom)
    assert (after.token, after.events, after.files) == (before.token, before.events, before.files)
    assert {told.nonce for told in kingdom.fulfilled} == {NONCES[0]}  # the kingdom decides about repeats


async def test_a_replay_with_another_nonce_is_refused(duchy: Duchy, kingdom: Kingdom) -> None:
    await fulfill(duchy, requests(duchy))
    before = await state_of(duchy, kingdom)
    refused = await refusal(fulfill(duchy, requests(duchy, nonce=NONCES[1])))
    assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await state_of(duchy, kingdom) == before


async def test_an_ended_computation_takes_no_data(duchy: Duchy, kingdom: Kingdom) -> None:
    kingdom.say(computation(Computation.FAILED))
    await in_stage(duchy, Llv2.COMPLETE)
    before = await state_of(duchy, kingdom)
    refused = await refusal(fulfill(duchy, requests(duchy)))
    assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await state_of(duchy, kingdom) == before
    assert not any(each.path for each in (await token_of(duchy)).requisitions)


async def test_a_data_provider_that_says_nothing_is_let_go(
    duchy: Duchy, kingdom: Kingdom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.duchy.bodies.PATIENCE", 0.3)
    before = await state_of(duchy, kingdom)
    let_go = threading.Event()

    def silent() -> Iterator[public.FulfillRequisitionRequest]:
        let_go.wait(5)
        yield from ()

    provider = duchy.keys.data_provider("edp1")
    stub = RequisitionFulfillmentStub(duchy.synchronous_channel("requisition_fulfillment", provider))
    refused = await refusal(stream(stub.FulfillRequisition, silent(), timeout=5))
    let_go.set()
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    assert await state_of(duchy, kingdom) == before
