"""Requisition fulfillment: who may hand over what, and how a failed call is resumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from duchy.conftest import Duchy, StartDuchy, refusal
from duchy.facts import ID, NONCES, REQUISITIONS, computation, fingerprint
from duchy.stand_in import Kingdom
from duchy.streams import stream
from duchy.test_computation_control import in_stage, token_of
from gristmill.duchy.pacing import Pace
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2 as public
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2_grpc import RequisitionFulfillmentStub
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition as SystemRequisition

BODY = bytes(range(99)) * 2 * 5


@pytest.fixture
async def duchy(start: StartDuchy, kingdom: Kingdom) -> Duchy:
    started = await start("worker1")
    kingdom.say(computation())
    await in_stage(started, Llv2.INITIALIZATION_PHASE)
    return started


def requests(duchy: Duchy, body: bytes = BODY, **changes: Any) -> list[public.FulfillRequisitionRequest]:
    fields = {
        "name": f"{duchy.keys.data_provider('edp1').resource}/requisitions/{REQUISITIONS[0]}",
        "requisition_fingerprint": fingerprint(),
        "nonce": NONCES[0],
        "etag": "etag-1",
        **changes,
    }
    opening = public.FulfillRequisitionRequest(header=public.FulfillRequisitionRequest.Header(**fields))
    parts = [body[at : at + 100] for at in range(0, len(body), 100)]
    chunks = [
        public.FulfillRequisitionRequest(body_chunk=public.FulfillRequisitionRequest.BodyChunk(data=part))
        for part in parts
    ]
    return [opening, *chunks]


async def fulfill(duchy: Duchy, messages: Sequence[public.FulfillRequisitionRequest], party: str = "edp1") -> int:
    by_name = {each.name: each for each in duchy.keys.parties}
    stub = RequisitionFulfillmentStub(duchy.synchronous_channel("requisition_fulfillment", by_name[party]))
    answer: public.FulfillRequisitionResponse = await stream(stub.FulfillRequisition, messages, timeout=10)
    return answer.state


async def test_a_sketch_is_kept_recorded_and_told_to_the_kingdom(duchy: Duchy, kingdom: Kingdom) -> None:
    assert await fulfill(duchy, requests(duchy)) == Requisition.FULFILLED
    recorded = {each.external_key.external_requisition_id: each for each in (await token_of(duchy)).requisitions}
    path = recorded[REQUISITIONS[0]].path
    assert (duchy.blob_root / "requisitions" / path).read_bytes() == BODY
    (told,) = kingdom.fulfilled
    assert (told.name, told.nonce, told.etag) == (
        f"computations/{ID}/requisitions/{REQUISITIONS[0]}",
        NONCES[0],
        "etag-1",
    )


async def test_a_call_that_failed_at_the_kingdom_resumes_there(duchy: Duchy, kingdom: Kingdom) -> None:
    kingdom.refuse_fulfillment = grpc.StatusCode.UNAVAILABLE
    refused = await refusal(fulfill(duchy, requests(duchy)))
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    kingdom.refuse_fulfillment = None
    assert await fulfill(duchy, requests(duchy, body=BODY + BODY)) == Requisition.FULFILLED
    (kept,) = duchy.files("requisitions")
    assert kept.read_bytes() == BODY


async def test_a_lost_answer_of_the_kingdom_is_read_back(duchy: Duchy, kingdom: Kingdom) -> None:
    kingdom.refuse_fulfillment = grpc.StatusCode.FAILED_PRECONDITION
    assert (await refusal(fulfill(duchy, requests(duchy)))).code() is grpc.StatusCode.FAILED_PRECONDITION
    known = computation()
    known.requisitions[0].state = SystemRequisition.FULFILLED
    known.requisitions[0].fulfilling_computation_participant = f"computations/{ID}/participants/worker1"
    kingdom.known = known
    assert await fulfill(duchy, requests(duchy)) == Requisition.FULFILLED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": NONCES[1]}, grpc.StatusCode.FAILED_PRECONDITION),
        ({"nonce": 0}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"requisition_fingerprint": fingerprint(1)}, grpc.StatusCode.NOT_FOUND),
        ({"name": "dataProviders/AAAAAAAAAAQ/requisitions/AAAAAAAAAAE"}, grpc.StatusCode.PERMISSION_DENIED),
        ({"name": "requisitions/AAAAAAAAAAE"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"body": b""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"body": BODY[:-1]}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
    ids=["wrong nonce", "no nonce", "wrong fingerprint", "another's", "bad name", "empty", "half a register"],
)
async def test_a_wrong_call_is_refused_and_changes_nothing(
    duchy: Duchy, kingdom: Kingdom, changes: dict[str, Any], code: grpc.StatusCode
) -> None:
    before = await token_of(duchy)
    assert (await refusal(fulfill(duchy, requests(duchy, **changes)))).code() is code
    assert duchy.files("requisitions") == []
    assert kingdom.fulfilled == []
    assert await token_of(duchy) == before


async def test_a_body_beyond_the_sketchs_size_is_refused(
    duchy: Duchy, kingdom: Kingdom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.duchy.liquid_legions.NOISE_ALLOWANCE", 0)
    refused = await refusal(fulfill(duchy, requests(duchy, body=bytes(198 * 1001))))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert duchy.files("requisitions") == []


@pytest.mark.parametrize("stranger", ["worker2", "kingdom"])
async def test_a_stranger_is_unauthenticated(duchy: Duchy, stranger: str) -> None:
    assert (await refusal(fulfill(duchy, requests(duchy), stranger))).code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_hasty_data_provider_waits_and_others_do_not() -> None:
    now = 0.0
    pace = Pace(rate=2.0, burst=3, now=lambda: now)
    assert [pace.allows("dataProviders/1") for _ in range(4)] == [True, True, True, False]
    assert pace.allows("dataProviders/2")
    now = 1.0
    assert [pace.allows("dataProviders/1") for _ in range(3)] == [True, True, False]
