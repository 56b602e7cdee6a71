"""Claims and leases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from conformance.store.computations import (
    LLV2,
    MINUTE,
    NO_TIME,
    advance_request,
    bring_to,
    claim,
    create,
    fence_of,
    keys_set,
    lease,
    stage,
    version_of,
    where,
    work,
)
from gristmill.errors import InvalidRequest, NotFound, PreconditionFailed
from gristmill.proto.duchy.leases_pb2 import Progress, PutBackRequest
from gristmill.protocols.llv2 import Stage
from gristmill.store import Fence, Store, Version
from gristmill.store.refusals import LeaseTaken, VersionMismatch


async def test_a_new_computation_is_claimable_at_once(store: Store) -> None:
    created = await create(store)
    assert (created.attempt, created.version, created.lock_owner) == (0, 1, "")
    token = await claim(store)
    assert (token.attempt, token.version, token.lock_owner) == (1, 2, "mill")
    assert token == await store.token("c1")


async def test_what_is_leased_is_not_claimed_again(store: Store) -> None:
    await create(store)
    await claim(store)
    assert await store.claim(LLV2, "other", MINUTE) is None


async def test_another_protocols_mill_gets_nothing(store: Store) -> None:
    await create(store)
    assert await store.claim(2, "mill", MINUTE) is None


async def test_two_claimers_racing_get_one_claim(store: Store) -> None:
    await create(store)
    claims = await asyncio.gather(*(store.claim(LLV2, f"mill{number}", MINUTE) for number in range(8)))
    assert len([token for token in claims if token is not None]) == 1


async def test_racing_claimers_get_one_computation_each(store: Store) -> None:
    for number in range(5):
        await create(store, f"c{number}")
    claims = await asyncio.gather(*(store.claim(LLV2, f"mill{number}", MINUTE) for number in range(5)))
    assert len({token.global_computation_id for token in claims if token is not None}) == 5


async def test_prioritized_stages_come_first_then_the_oldest(store: Store) -> None:
    await bring_to(store, Stage.CONFIRMATION_PHASE, "older")
    await create(store, "newer")
    await create(store, "newest")
    order = [await store.claim(LLV2, "mill", MINUTE, [stage(Stage.INITIALIZATION_PHASE)]) for _ in range(4)]
    assert [token and token.global_computation_id for token in order] == ["newer", "newest", "older", None]


async def test_without_priority_the_oldest_comes_first(store: Store) -> None:
    await bring_to(store, Stage.CONFIRMATION_PHASE, "older")
    await create(store, "newer")
    assert (await claim(store)).global_computation_id == "older"


async def test_a_waiting_stage_is_not_claimable(store: Store) -> None:
    await create(store)
    token = await work(store)
    assert where(token) is Stage.WAIT_REQUISITIONS_AND_KEY_SET
    assert token.attempt == 1
    assert not token.HasField("lock_expiration_time")
    assert await store.claim(LLV2, "mill", MINUTE) is None


async def test_an_expired_lease_is_claimed_anew_and_its_worker_counted_as_lost(store: Store) -> None:
    await create(store)
    await claim(store, "first", NO_TIME)
    token = await claim(store, "second")
    held = await lease(store, "second")
    assert token.attempt == 2
    assert (held.fence, held.counts.workers_lost, held.counts.failures) == (2, 1, 0)
    kinds = [(event.kind, event.actor) for event in (await store.events("c1")).events]
    assert ("worker lost", "first") in kinds


async def test_a_zombies_writes_are_refused(store: Store) -> None:
    await create(store)
    token = await claim(store, "first", NO_TIME)
    zombie = fence_of(await lease(store, "first"))
    await claim(store, "second")
    before = await store.token("c1")
    for write in (
        store.renew("c1", zombie, MINUTE),
        store.put_back("c1", zombie, MINUTE, PutBackRequest.FAILURE),
        store.advance(advance_request(store, token), zombie),
        store.advance(advance_request(store, token), version_of(token)),
        store.update_details(token, token.computation_details, (), zombie),
    ):
        with pytest.raises((LeaseTaken, VersionMismatch)) as refused:
            await write
        assert refused.value.status == "ABORTED"
    assert await store.token("c1") == before


async def test_the_same_owner_with_an_older_fence_is_a_zombie_too(store: Store) -> None:
    await create(store)
    token = await claim(store, "mill", NO_TIME)
    zombie = fence_of(await lease(store))
    await claim(store, "mill")
    for write in (
        store.renew("c1", zombie, MINUTE),
        store.put_back("c1", zombie, MINUTE, PutBackRequest.FAILURE),
        store.advance(advance_request(store, token), zombie),
    ):
        with pytest.raises(LeaseTaken):
            await write


async def test_renewal_extends_the_lease_and_changes_neither_version_nor_fence(store: Store) -> None:
    await create(store)
    token = await claim(store, duration=NO_TIME)
    held = await lease(store)
    renewed = await store.renew("c1", fence_of(held), MINUTE, Progress(activity="working", done=3, total=9))
    assert renewed.fence == held.fence
    assert renewed.expire_time.ToNanoseconds() - held.expire_time.ToNanoseconds() > 59e9
    assert (await store.token("c1")).version == token.version
    assert (await store.summary("c1")).progress.done == 3
    assert await store.claim(LLV2, "other", MINUTE) is None


async def test_a_stage_put_back_is_claimable_after_its_delay_and_the_reason_is_counted(store: Store) -> None:
    await create(store)
    for reason in (
        PutBackRequest.FAILURE,
        PutBackRequest.STALLED,
        PutBackRequest.OUT_OF_MEMORY,
        PutBackRequest.SHUTDOWN,
        PutBackRequest.PEER_BEHIND,
    ):
        await claim(store)
        await store.put_back("c1", fence_of(await lease(store)), timedelta(0), reason, "because")
    await claim(store)
    counts = (await lease(store)).counts
    assert (counts.failures, counts.out_of_memory, counts.workers_lost) == (2, 1, 0)
    assert counts.HasField("waiting_for_peer_since")
    await store.put_back("c1", fence_of(await lease(store)), MINUTE, PutBackRequest.FAILURE)
    assert await store.claim(LLV2, "mill", MINUTE) is None


async def test_putting_back_twice_is_putting_back_once(store: Store) -> None:
    await create(store)
    await claim(store)
    fence = fence_of(await lease(store))
    for _ in range(2):
        await store.put_back("c1", fence, timedelta(0), PutBackRequest.FAILURE)
    await claim(store, "next")
    await store.put_back("c1", fence, timedelta(0), PutBackRequest.FAILURE)
    held = await lease(store, "next")
    assert held.counts.failures == 1


async def test_enqueue_gives_the_stage_back_if_its_owner_is_the_expected_one(store: Store) -> None:
    await create(store)
    token = await claim(store)
    with pytest.raises(LeaseTaken) as refused:
        await store.enqueue(token, timedelta(0), "other", version_of(token))
    assert refused.value.metadata["actual_owner"] == "mill"
    for _ in range(2):
        await store.enqueue(token, timedelta(0), "mill", version_of(token))
    assert (await claim(store)).attempt == 2


async def test_what_mills_do_not_work_on_is_never_put_in_the_queue(store: Store) -> None:
    token = await bring_to(store, Stage.WAIT_TO_START)
    with pytest.raises(PreconditionFailed):
        await store.enqueue(token, timedelta(0), "", version_of(token))
    assert await store.claim(LLV2, "mill", MINUTE) is None


async def test_a_write_by_others_does_not_disturb_the_lease_but_moves_the_version(store: Store) -> None:
    await bring_to(store, Stage.WAIT_REQUISITIONS_AND_KEY_SET)
    await keys_set(store)
    token = await claim(store)
    fence = fence_of(await lease(store))
    await store.update_details(token, token.computation_details, (), version_of(token))
    with pytest.raises(VersionMismatch):
        await store.update_details(token, token.computation_details, (), version_of(token))
    await store.update_details(token, token.computation_details, (), fence)


async def test_refused_requests_say_which_field_is_wrong(store: Store) -> None:
    token = await create(store)
    with pytest.raises(InvalidRequest, match="owner"):
        await store.claim(LLV2, "", MINUTE)
    with pytest.raises(InvalidRequest, match="duration"):
        await store.claim(LLV2, "mill", timedelta(0))
    with pytest.raises(InvalidRequest, match="delay"):
        await store.enqueue(token, timedelta(seconds=-1), "", version_of(token))
    with pytest.raises(NotFound):
        await store.renew("unknown", Fence(1, "mill"), MINUTE)
    with pytest.raises(InvalidRequest):
        await store.token("zero\0character")
    with pytest.raises(NotFound) as unknown:
        await store.token("unknown")
    assert getattr(unknown.value, "reason", "") == "COMPUTATION_NOT_FOUND"


async def test_a_version_mismatch_tells_both_versions(store: Store) -> None:
    token = await create(store)
    with pytest.raises(VersionMismatch) as refused:
        await store.update_details(token, token.computation_details, (), Version(7))
    assert refused.value.metadata == {
        "computation_id": str(token.local_computation_id),
        "version": "1",
        "token_version": "7",
    }
