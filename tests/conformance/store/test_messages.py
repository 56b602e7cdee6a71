"""Facts and slots."""

from __future__ import annotations

import asyncio

import pytest

from conformance.store.computations import (
    COMPLETE,
    FAILED,
    LLV2,
    RING,
    body,
    bring_to,
    create,
    details,
    keys_set,
    message,
    version_of,
    where,
    work,
)
from gristmill.errors import Conflict, InvalidRequest, NotFound, PermissionDenied, PreconditionFailed
from gristmill.proto.duchy.orchestration_pb2 import FILL, REPEAT, SlotMessage
from gristmill.protocols.llv2 import Message, Stage
from gristmill.protocols.table import Fact
from gristmill.store import Store

SETUP, ONE = Message.SETUP_PHASE_INPUT, Message.EXECUTION_PHASE_ONE_INPUT


async def test_a_start_that_comes_early_is_remembered(store: Store) -> None:
    token = await bring_to(store, Stage.CONFIRMATION_PHASE)
    early = await store.record_fact("c1", Fact.STARTED)
    assert early == token
    assert where(await work(store)) is Stage.SETUP_PHASE


async def test_a_key_set_that_comes_early_is_remembered(store: Store) -> None:
    await create(store)
    assert where(await keys_set(store)) is Stage.INITIALIZATION_PHASE
    token = await work(store)
    assert where(token) is Stage.CONFIRMATION_PHASE
    assert [each.duchy_id for each in token.computation_details.liquid_legions_v2.participant] == [*RING]
    assert token.requisitions[0].details.nonce


async def test_an_early_start_that_changes_nothing_visible_keeps_the_version(store: Store) -> None:
    token = await bring_to(store, Stage.CONFIRMATION_PHASE)
    assert (await store.record_fact("c1", Fact.STARTED)).version == token.version


async def test_a_key_set_counts_as_one_change_whether_it_moves_the_computation_or_not(store: Store) -> None:
    waiting = await bring_to(store, Stage.WAIT_REQUISITIONS_AND_KEY_SET)
    moved = await keys_set(store)
    assert where(moved) is Stage.CONFIRMATION_PHASE
    created = await create(store, "c2")
    early = await keys_set(store, "c2")
    assert (moved.version, early.version) == (waiting.version + 1, created.version + 1)


async def test_a_fact_said_twice_changes_nothing_the_second_time(store: Store) -> None:
    token = await bring_to(store, Stage.WAIT_TO_START)
    assert await keys_set(store) == token
    started = await store.record_fact("c1", Fact.STARTED)
    assert where(started) is Stage.SETUP_PHASE
    assert await store.record_fact("c1", Fact.STARTED) == started


async def test_the_start_does_not_concern_the_aggregator(aggregator: Store) -> None:
    token = await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    assert await aggregator.record_fact("c1", Fact.STARTED) == token


async def test_a_key_set_without_a_ring_around_this_duchy_is_refused(store: Store) -> None:
    token = await create(store)
    with pytest.raises(InvalidRequest, match="participants"):
        await store.record_fact("c1", Fact.KEYS_SET)
    with pytest.raises(PreconditionFailed, match="no ring"):
        await store.record_fact("c1", Fact.KEYS_SET, details(store, ring=("worker2", "aggregator")))
    assert await store.token("c1") == token


async def test_nothing_but_the_participants_is_taken_from_the_heralds_copy_of_the_details(store: Store) -> None:
    await bring_to(store, Stage.WAIT_REQUISITIONS_AND_KEY_SET)
    heard = details(store, ring=RING)
    heard.liquid_legions_v2.parameters.elliptic_curve_id = 7
    token = await store.record_fact("c1", Fact.KEYS_SET, heard)
    assert token.computation_details.liquid_legions_v2.parameters.elliptic_curve_id == 0


async def test_a_slot_opens_when_the_row_before_its_wait_is_entered(aggregator: Store) -> None:
    await bring_to(aggregator, Stage.WAIT_REQUISITIONS_AND_KEY_SET)
    with pytest.raises(Conflict, match="too early"):
        await aggregator.judge(message(SETUP, "worker1"))
    with pytest.raises(Conflict):
        await aggregator.fill_slot(message(SETUP, "worker1"), body())
    await keys_set(aggregator)
    assert (await aggregator.judge(message(SETUP, "worker1"))).verdict == FILL


async def test_messages_that_came_before_the_wait_end_it_as_it_is_entered(aggregator: Store) -> None:
    before = await bring_to(aggregator, Stage.CONFIRMATION_PHASE)
    for sender in ("worker1", "worker2"):
        await aggregator.fill_slot(message(SETUP, sender), body(f"from/{sender}"))
    assert await aggregator.token("c1") == before
    token = await work(aggregator)
    assert where(token) is Stage.SETUP_PHASE
    assert [blob.path for blob in token.blobs] == ["from/worker2", "from/worker1", ""]


async def test_every_delivery_gets_a_path_of_its_own_below_duchy_computation_and_stage(aggregator: Store) -> None:
    await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    paths = [(await aggregator.judge(message(SETUP, "worker1"))).blob_path for _ in range(2)]
    assert paths[0] != paths[1]
    assert all(path.startswith("aggregator/c1/WAIT_SETUP_PHASE_INPUTS/1-") for path in paths)


async def test_of_two_deliveries_the_first_wins_and_its_own_repeat_is_told_so(aggregator: Store) -> None:
    await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    first, second = body(), body()
    assert (await aggregator.fill_slot(message(SETUP, "worker1"), first)).verdict == FILL
    assert (await aggregator.fill_slot(message(SETUP, "worker1"), second)).verdict == REPEAT
    assert (await aggregator.fill_slot(message(SETUP, "worker1"), first)).verdict == FILL
    assert (await aggregator.judge(message(SETUP, "worker1"))).verdict == REPEAT
    assert (await aggregator.token("c1")).blobs[1].path == first.path


async def test_of_two_racing_deliveries_one_fills_the_slot(aggregator: Store) -> None:
    await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    filling = (aggregator.fill_slot(message(SETUP, "worker1"), body()) for _ in range(4))
    assert sorted(reply.verdict for reply in await asyncio.gather(*filling)) == [FILL, REPEAT, REPEAT, REPEAT]


async def test_a_message_after_the_stage_was_left_is_a_repeat(store: Store) -> None:
    await bring_to(store, Stage.EXECUTION_PHASE_ONE)
    assert (await store.judge(message(ONE, "worker2"))).verdict == REPEAT


async def test_whoever_does_not_send_a_message_is_refused(store: Store, aggregator: Store) -> None:
    await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    await bring_to(store, Stage.WAIT_EXECUTION_PHASE_ONE_INPUTS)
    for receiver, kind, sender in (
        (aggregator, SETUP, "aggregator"),
        (aggregator, SETUP, "stranger"),
        (store, ONE, "aggregator"),
    ):
        with pytest.raises(PermissionDenied):
            await receiver.fill_slot(message(kind, sender), body())
    assert (await store.fill_slot(message(ONE, "worker2"), body())).verdict == FILL


async def test_a_message_never_awaited_here_is_refused(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    with pytest.raises(PreconditionFailed, match="never gets"):
        await store.judge(message(SETUP, "worker2"))


async def test_an_ended_computation_takes_no_message(store: Store, aggregator: Store) -> None:
    for receiver, kind, sender, target in (
        (store, ONE, "worker2", Stage.SETUP_PHASE),
        (aggregator, SETUP, "worker1", Stage.INITIALIZATION_PHASE),
    ):
        token = await bring_to(receiver, target)
        await receiver.finish(token, COMPLETE, FAILED, version_of(token))
        with pytest.raises(PreconditionFailed, match="has ended"):
            await receiver.fill_slot(message(kind, sender), body())


async def test_a_message_of_another_protocol_or_computation_is_refused(aggregator: Store) -> None:
    await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    for computation_type, number in ((2, 1), (LLV2, 9)):
        wrong = SlotMessage(
            global_computation_id="c1", computation_type=computation_type, message=number, sender="worker1"
        )
        with pytest.raises(InvalidRequest):
            await aggregator.judge(wrong)
    with pytest.raises(NotFound):
        await aggregator.judge(message(SETUP, "worker1", "unknown"))
