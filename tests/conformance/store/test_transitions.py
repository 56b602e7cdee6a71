"""Advance, finish, details."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from conformance.store.computations import (
    COMPLETE,
    FAILED,
    LLV2,
    MINUTE,
    NO_TIME,
    RING,
    SUCCEEDED,
    advance_request,
    body,
    bring_to,
    claim,
    create,
    creation,
    details,
    fence_of,
    keys_set,
    lease,
    message,
    requisition,
    stage,
    version_of,
    where,
    work,
)
from gristmill.errors import InvalidRequest, LeaseLost, PreconditionFailed
from gristmill.protocols.llv2 import Message, Stage
from gristmill.protocols.table import Fact
from gristmill.store import Store
from gristmill.store.refusals import ComputationExists, InitialStageInvalid, VersionMismatch
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import INPUT, OUTPUT
from wfa.measurement.internal.duchy.computations_service_pb2 import AdvanceComputationStageRequest

AfterTransition = AdvanceComputationStageRequest.AfterTransition


async def test_a_computation_is_created_once(store: Store) -> None:
    await create(store)
    with pytest.raises(ComputationExists) as refused:
        await create(store)
    assert (refused.value.status, refused.value.reason) == ("ALREADY_EXISTS", "COMPUTATION_ALREADY_EXISTS")


async def test_of_heralds_that_create_at_once_one_succeeds(store: Store) -> None:
    outcomes = await asyncio.gather(*(create(store) for _ in range(4)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ComputationExists"] * 3 + ["ComputationToken"]


async def test_a_computation_begins_in_its_first_stage_only(store: Store) -> None:
    request = creation(store)
    request.computation_stage.CopyFrom(stage(Stage.SETUP_PHASE))
    with pytest.raises(InitialStageInvalid):
        await store.create(request)


@pytest.mark.parametrize("global_id", ["", "a/b", "..", "a b"])
async def test_an_id_that_could_not_be_part_of_a_blob_key_is_refused(store: Store, global_id: str) -> None:
    with pytest.raises(InvalidRequest, match="global_computation_id"):
        await store.create(creation(store, global_id))


async def test_the_details_must_be_of_the_computations_type_and_name_a_role(store: Store) -> None:
    other_type, no_role = creation(store), creation(store)
    other_type.computation_type = 2  # type: ignore[assignment]
    no_role.computation_details.liquid_legions_v2.ClearField("role")
    for request in (other_type, no_role):
        with pytest.raises(InvalidRequest):
            await store.create(request)


async def test_advancing_frees_the_lease_and_queues_work(store: Store) -> None:
    token = await bring_to(store, Stage.SETUP_PHASE)
    assert (token.attempt, token.lock_owner, token.HasField("lock_expiration_time")) == (0, "", True)


async def test_an_advance_repeated_after_a_lost_reply_returns_the_committed_outcome(store: Store) -> None:
    await create(store)
    token = await claim(store)
    fence, request = fence_of(await lease(store)), advance_request(store, token)
    first = await store.advance(request, fence)
    assert await store.advance(request, fence) == first
    await keys_set(store)
    assert where(await store.advance(request, fence)) is Stage.CONFIRMATION_PHASE


async def test_a_wire_callers_advance_can_be_repeated_too(store: Store) -> None:
    await create(store)
    token = await claim(store)
    request = advance_request(store, token)
    request.after_transition = AfterTransition.DO_NOT_ADD_TO_QUEUE
    first = await store.advance(request, version_of(token))
    assert await store.advance(request, version_of(token)) == first
    assert first.version == token.version + 1


async def test_a_stage_that_does_not_follow_is_refused_and_nothing_changes(store: Store) -> None:
    await create(store)
    token = await claim(store)
    fence = fence_of(await lease(store))
    for wrong in (Stage.CONFIRMATION_PHASE, Stage.COMPLETE, Stage.INITIALIZATION_PHASE):
        with pytest.raises(PreconditionFailed, match="WAIT_REQUISITIONS_AND_KEY_SET"):
            await store.advance(advance_request(store, token, wrong), fence)
    assert await store.token("c1") == token


async def test_the_role_decides_what_follows_the_confirmation(store: Store, aggregator: Store) -> None:
    assert where(await bring_to(store, Stage.WAIT_TO_START)) is Stage.WAIT_TO_START
    token = await bring_to(aggregator, Stage.CONFIRMATION_PHASE)
    token = await claim(aggregator)
    with pytest.raises(PreconditionFailed, match="WAIT_SETUP_PHASE_INPUTS"):
        await aggregator.advance(
            advance_request(aggregator, token, Stage.WAIT_TO_START), fence_of(await lease(aggregator))
        )


async def test_a_stage_is_not_left_before_its_output_is_recorded(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    token = await claim(store)
    with pytest.raises(PreconditionFailed, match="output 0 of SETUP_PHASE is not recorded"):
        await store.advance(advance_request(store, token), fence_of(await lease(store)))


async def test_a_stage_that_was_never_claimed_is_not_left(store: Store) -> None:
    token = await create(store)
    request = advance_request(store, token)
    request.after_transition = AfterTransition.DO_NOT_ADD_TO_QUEUE
    with pytest.raises(PreconditionFailed, match="never claimed"):
        await store.advance(request, version_of(token))


async def test_blobs_are_laid_out_as_the_wire_numbers_them(aggregator: Store) -> None:
    token = await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    assert [(blob.blob_id, blob.dependency_type, blob.path) for blob in token.blobs] == [
        (0, OUTPUT, ""),
        (1, OUTPUT, ""),
    ]
    ids = token.stage_specific_details.liquid_legions_v2.wait_setup_phase_inputs_details.external_duchy_local_blob_id
    assert dict(ids) == {"worker2": 0, "worker1": 1}
    await aggregator.fill_slot(message(Message.SETUP_PHASE_INPUT, "worker1"), body("from/worker1"))
    await aggregator.fill_slot(message(Message.SETUP_PHASE_INPUT, "worker2"), body("from/worker2"))
    token = await aggregator.token("c1")
    assert [(blob.dependency_type, blob.path) for blob in token.blobs] == [
        (INPUT, "from/worker2"),
        (INPUT, "from/worker1"),
        (OUTPUT, ""),
    ]
    await claim(aggregator)
    fence = fence_of(await lease(aggregator))
    await aggregator.record_output("c1", fence, 2, body("own"))
    token = await aggregator.advance(advance_request(aggregator, token), fence)
    assert [(blob.dependency_type, blob.path) for blob in token.blobs] == [(INPUT, "own"), (OUTPUT, "")]


async def test_a_wire_caller_must_list_the_blobs_as_recorded(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    token = await store.record_output_path(await claim(store), 0, "own", version_of(await store.token("c1")))
    request = advance_request(store, token)
    request.after_transition = AfterTransition.DO_NOT_ADD_TO_QUEUE
    for inputs, outputs in (([], 1), (["own"], 0), (["other"], 1)):
        del request.input_blobs[:]
        request.input_blobs.extend(inputs)
        request.outputBlobs = outputs
        with pytest.raises(InvalidRequest, match="1 inputs"):
            await store.advance(request, version_of(token))
    del request.input_blobs[:]
    request.input_blobs.append("own")
    assert where(await store.advance(request, version_of(token))) is Stage.WAIT_EXECUTION_PHASE_ONE_INPUTS


async def test_a_wait_is_not_entered_into_the_queue(store: Store) -> None:
    token = await create(store)
    token = await claim(store)
    request = advance_request(store, token)
    for wrong in (AfterTransition.UNSPECIFIED, AfterTransition.ADD_UNCLAIMED_TO_QUEUE):
        request.after_transition = wrong
        with pytest.raises(InvalidRequest, match="DO_NOT_ADD_TO_QUEUE"):
            await store.advance(request, version_of(token))


async def test_a_wire_caller_may_leave_the_waits_by_itself(aggregator: Store) -> None:
    """As the wire's herald and control server do: a recorded path fills the slot, then the stage is advanced."""
    token = await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    for blob_id in (0, 1):
        token = await aggregator.record_output_path(token, blob_id, f"path/{blob_id}", version_of(token))
    request = advance_request(aggregator, token)
    request.after_transition = AfterTransition.ADD_UNCLAIMED_TO_QUEUE
    request.input_blobs.extend(["path/0", "path/1"])
    request.outputBlobs = 1
    token = await aggregator.advance(request, version_of(token))
    assert where(token) is Stage.SETUP_PHASE
    assert [blob.path for blob in token.blobs] == ["path/0", "path/1", ""]


async def test_a_lock_that_nobody_holds_is_not_retained(store: Store) -> None:
    """The wire allows it; but work follows a wait only, and nobody holds a wait."""
    token = await bring_to(store, Stage.WAIT_TO_START)
    request = advance_request(store, token)
    request.after_transition = AfterTransition.RETAIN_AND_EXTEND_LOCK
    request.outputBlobs = 1
    with pytest.raises(PreconditionFailed, match="nobody holds the lock"):
        await store.advance(request, version_of(token))
    assert where(await store.token("c1")) is Stage.WAIT_TO_START


async def test_finish_ends_a_path_with_success(store: Store) -> None:
    await bring_to(store, Stage.EXECUTION_PHASE_THREE)
    token = await claim(store)
    fence = fence_of(await lease(store))
    await store.record_output("c1", fence, 1, body())
    ended = await store.finish(token, COMPLETE, SUCCEEDED, fence)
    assert (where(ended), ended.computation_details.ending_state) == (Stage.COMPLETE, SUCCEEDED)
    assert (ended.attempt, ended.lock_owner, len(ended.blobs)) == (0, "", 0)
    assert not ended.HasField("lock_expiration_time")
    assert await store.finish(token, COMPLETE, SUCCEEDED, fence) == ended
    assert await store.claim(LLV2, "mill", MINUTE) is None


async def test_with_maximum_frequency_one_the_path_ends_after_phase_two(store: Store) -> None:
    await bring_to(store, Stage.EXECUTION_PHASE_TWO, maximum_frequency=1)
    token = await claim(store)
    fence = fence_of(await lease(store))
    with pytest.raises(PreconditionFailed, match="FinishComputation"):
        await store.advance(advance_request(store, token, Stage.WAIT_EXECUTION_PHASE_THREE_INPUTS), fence)
    assert where(await store.finish(token, COMPLETE, SUCCEEDED, fence)) is Stage.COMPLETE


async def test_success_before_the_end_of_the_path_is_refused(store: Store) -> None:
    await create(store)
    token = await claim(store)
    with pytest.raises(PreconditionFailed, match="before the end of its path"):
        await store.finish(token, COMPLETE, SUCCEEDED, fence_of(await lease(store)))


async def test_failure_ends_it_from_anywhere_and_the_first_end_stands(store: Store) -> None:
    token = await create(store)
    ended = await store.finish(token, COMPLETE, FAILED, version_of(token))
    assert ended.computation_details.ending_state == FAILED
    assert await store.finish(token, COMPLETE, FAILED, version_of(token)) == ended
    with pytest.raises(PreconditionFailed, match="has ended before: FAILED"):
        await store.finish(ended, COMPLETE, SUCCEEDED, version_of(ended))


async def test_a_zombie_neither_finishes_nor_fails_a_computation(store: Store) -> None:
    await create(store)
    token = await claim(store, duration=NO_TIME)
    zombie = fence_of(await lease(store))
    await claim(store, "next")
    with pytest.raises(LeaseLost):
        await store.finish(token, COMPLETE, FAILED, zombie)
    with pytest.raises(VersionMismatch):
        await store.finish(token, COMPLETE, FAILED, version_of(token))


async def test_an_ended_computation_takes_no_writes(store: Store) -> None:
    token = await create(store)
    ended = await store.finish(token, COMPLETE, FAILED, version_of(token))
    with pytest.raises(PreconditionFailed):
        await store.update_details(ended, ended.computation_details, (), version_of(ended))
    with pytest.raises(PreconditionFailed):
        await store.enqueue(ended, timedelta(0), "", version_of(ended))
    with pytest.raises(PreconditionFailed):
        await store.record_fact("c1", Fact.STARTED)
    assert await store.token("c1") == ended


async def test_details_are_overwritten_but_participants_are_never_unlearned(store: Store) -> None:
    await bring_to(store, Stage.CONFIRMATION_PHASE)
    token = await claim(store)
    fence = fence_of(await lease(store))
    stale = details(store)
    stale.liquid_legions_v2.combined_public_key.element = b"element"
    token = await store.update_details(token, stale, [requisition(nonce=5)], fence)
    assert [each.duchy_id for each in token.computation_details.liquid_legions_v2.participant] == [*RING]
    assert token.computation_details.liquid_legions_v2.combined_public_key.element == b"element"
    assert token.requisitions[0].details.nonce == 5
    with pytest.raises(PreconditionFailed, match="cannot become"):
        await store.update_details(token, details(store, ring=(*reversed(RING[:2]), RING[2])), (), fence)
    with pytest.raises(InvalidRequest):
        await store.update_details(token, details(store, maximum_frequency=1), (), fence)
    with pytest.raises(InvalidRequest, match="no requisition"):
        await store.update_details(token, stale, [requisition("other")], fence)


async def test_no_stage_behind_the_key_set_is_entered_without_participants(store: Store) -> None:
    await create(store)
    token = await work(store)
    request = advance_request(store, token)
    request.after_transition = AfterTransition.ADD_UNCLAIMED_TO_QUEUE
    with pytest.raises(PreconditionFailed, match="participants are known"):
        await store.advance(request, version_of(token))
