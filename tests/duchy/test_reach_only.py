"""A computation of reach alone at a duchy's services, which take everything particular to it from its table."""

from __future__ import annotations

import grpc
import pytest

from duchy.conftest import Duchy, StartDuchy, refusal
from duchy.facts import ID, computation, fingerprint
from duchy.mills import confirm, publish_key
from duchy.stand_in import Kingdom
from duchy.test_computation_control import chunks, in_stage, send
from duchy.test_computation_control import header as llv2_header
from duchy.test_fulfillment import fulfill, requests
from duchy.test_herald import position
from mill.wires import REACH_ONLY
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as control
from wfa.measurement.system.v1alpha.computation_control_service_pb2_grpc import ComputationControlStub
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

BODY = bytes(range(66)) * 5
KEYS_SET, STARTED = Computation.PENDING_PARTICIPANT_CONFIRMATION, Computation.PENDING_COMPUTATION
INITIALIZATION, CONFIRMATION, WAIT_SETUP, SETUP = 1, 3, 5, 6


@pytest.fixture
async def initialized(start: StartDuchy, kingdom: Kingdom) -> Duchy:
    """An aggregator in INITIALIZATION_PHASE."""
    duchy = await start("aggregator")
    kingdom.say(computation(reach_only=True))
    await in_stage(duchy, INITIALIZATION, of=REACH_ONLY)
    return duchy


@pytest.fixture
async def confirming(initialized: Duchy, kingdom: Kingdom) -> Duchy:
    await publish_key(initialized, of=REACH_ONLY)
    kingdom.say(computation(KEYS_SET, reach_only=True))
    await in_stage(initialized, CONFIRMATION, of=REACH_ONLY)
    return initialized


def header(message: int = control.ReachOnlyLiquidLegionsV2.SETUP_PHASE_INPUT) -> control.AdvanceComputationRequest:
    request = control.AdvanceComputationRequest()
    request.header.name = f"computations/{ID}"
    request.header.reach_only_liquid_legions_v2.description = message  # type: ignore[assignment]
    return request


async def test_deliveries_fill_the_slots_and_move_the_computation_on(confirming: Duchy) -> None:
    await send(confirming, "worker1", [header(), *chunks(BODY)])
    await send(confirming, "worker2", [header(), *chunks(BODY[:66])])
    token = await confirm(confirming, of=REACH_ONLY)
    assert REACH_ONLY.stage_of(token) == SETUP
    inputs = [blob for blob in token.blobs if blob.path]
    ring = [each.duchy_id for each in REACH_ONLY.details(token).participant]
    kept = {
        ring[at]: (confirming.blob_root / "computations" / blob.path).read_bytes() for at, blob in enumerate(inputs)
    }
    assert kept == {"worker1": BODY, "worker2": BODY[:66]}


async def test_a_message_that_comes_too_early_is_aborted_and_keeps_nothing(initialized: Duchy) -> None:
    refused = await refusal(send(initialized, "worker1", [header(), *chunks(BODY)]))
    assert refused.code() is grpc.StatusCode.ABORTED
    assert initialized.files("computations") == []


async def test_the_wait_for_setup_inputs_names_its_slots_in_the_protocols_own_details(confirming: Duchy) -> None:
    token = await confirm(confirming, of=REACH_ONLY)
    assert REACH_ONLY.stage_of(token) == WAIT_SETUP
    waits = token.stage_specific_details.reach_only_liquid_legions_v2.wait_setup_phase_inputs_details
    assert sorted(waits.external_duchy_local_blob_id.items()) in (
        [("worker1", 0), ("worker2", 1)],
        [("worker1", 1), ("worker2", 0)],
    )


@pytest.mark.parametrize(
    ("message", "body", "code", "told"),
    [
        (llv2_header(), BODY, grpc.StatusCode.INVALID_ARGUMENT, "a computation of REACH_ONLY"),
        (header(3), BODY, grpc.StatusCode.INVALID_ARGUMENT, "description is 3"),
        (header(), BODY[:-1], grpc.StatusCode.INVALID_ARGUMENT, "66"),
        (header(), b"", grpc.StatusCode.INVALID_ARGUMENT, ""),
    ],
)
async def test_a_delivery_that_cannot_be_of_it_is_refused_and_keeps_nothing(
    confirming: Duchy, message: control.AdvanceComputationRequest, body: bytes, code: grpc.StatusCode, told: str
) -> None:
    refused = await refusal(send(confirming, "worker1", [message, *chunks(body)]))
    assert refused.code() is code
    assert told in refused.details()
    assert confirming.files("computations") == []


async def test_a_sketch_is_registers_of_one_ciphertext(initialized: Duchy, kingdom: Kingdom) -> None:
    right = requests(initialized, BODY, requisition_fingerprint=fingerprint(reach_only=True))
    wrong = requests(initialized, BODY[:-1], requisition_fingerprint=fingerprint(reach_only=True))
    refused = await refusal(fulfill(initialized, wrong))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert initialized.files("requisitions") == []
    assert await fulfill(initialized, right) == Requisition.FULFILLED
    (kept,) = initialized.files("requisitions")
    assert kept.read_bytes() == BODY
    assert len(kingdom.fulfilled) == 1


async def test_peers_are_told_its_own_stage(confirming: Duchy) -> None:
    stub = ComputationControlStub(confirming.channel("computation_control", confirming.keys.duchy("worker1")))
    name = f"computations/{ID}/participants/aggregator/stage"
    told = await stub.GetComputationStage(control.GetComputationStageRequest(name=name))
    assert told.reach_only_liquid_legions_stage.stage == CONFIRMATION
    assert told.WhichOneof("stage") == "reach_only_liquid_legions_stage"


@pytest.mark.parametrize(("name", "after"), [("worker1", SETUP), ("aggregator", WAIT_SETUP)])
async def test_the_kingdoms_start_cannot_come_too_early(
    start: StartDuchy, kingdom: Kingdom, name: str, after: int
) -> None:
    duchy = await start(name)
    kingdom.say(computation(reach_only=True))
    await in_stage(duchy, INITIALIZATION, of=REACH_ONLY)
    kingdom.say(computation(STARTED, reach_only=True))
    await position(duchy, 2)
    await publish_key(duchy, of=REACH_ONLY)
    await in_stage(duchy, CONFIRMATION, of=REACH_ONLY)
    assert REACH_ONLY.stage_of(await confirm(duchy, of=REACH_ONLY)) == after
    assert kingdom.failures == []
