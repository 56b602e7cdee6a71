"""Requisitions, stats, continuation tokens, removal, inspection."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from conformance.store.computations import (
    COMPLETE,
    FAILED,
    body,
    bring_to,
    claim,
    create,
    creation,
    keys_set,
    lease,
    requisition_key,
    stage,
    version_of,
)
from gristmill.errors import InvalidRequest, NotFound, PreconditionFailed
from gristmill.protocols.llv2 import Stage
from gristmill.store import BlobKeys, Store
from gristmill.store.refusals import ContinuationTokenInvalid, ContinuationTokenMalformed
from wfa.measurement.internal.duchy.computation_stats_service_pb2 import CreateComputationStatRequest
from wfa.measurement.internal.duchy.requisition_details_pb2 import ExternalRequisitionKey
from wfa.measurement.system.v1alpha.computations_service_pb2 import StreamActiveComputationsContinuationToken


async def test_a_computation_is_found_by_its_requisition(store: Store) -> None:
    token = await create(store)
    assert await store.token(requisition_key()) == token
    with pytest.raises(NotFound):
        await store.token(ExternalRequisitionKey(external_requisition_id="c1-r1", requisition_fingerprint=b"other"))


async def test_a_requisition_belongs_to_one_computation(store: Store) -> None:
    await create(store)
    request = creation(store, "c2")
    request.requisitions[0].key.CopyFrom(requisition_key("c1"))
    with pytest.raises(InvalidRequest, match="another computation"):
        await store.create(request)
    with pytest.raises(NotFound):
        await store.token("c2")


async def test_a_fulfilled_requisition_has_path_and_hash_and_the_first_is_kept(store: Store) -> None:
    created = await create(store)
    first = body()
    token = await store.record_requisition(
        created.local_computation_id, requisition_key(), first.path, "v2alpha", digest=first
    )
    (fulfilled,) = token.requisitions
    assert (fulfilled.path, fulfilled.details.public_api_version) == (first.path, "v2alpha")
    assert fulfilled.details.nonce_hash == b"hash"
    assert token.version == created.version + 1
    repeat = await store.record_requisition(created.local_computation_id, requisition_key(), "other", "v2alpha")
    assert repeat == token
    await claim(store)
    assert [*(await lease(store)).digests] == [first]


async def test_a_requisition_can_come_after_the_nonces_were_set(store: Store) -> None:
    token = await create(store)
    await keys_set(store)
    token = await store.record_requisition(token.local_computation_id, requisition_key(), "path", "v2alpha")
    assert token.requisitions[0].details.nonce


async def test_a_requisition_that_comes_too_late_is_refused(store: Store) -> None:
    token = await bring_to(store, Stage.CONFIRMATION_PHASE)
    with pytest.raises(PreconditionFailed, match="takes no requisitions"):
        await store.record_requisition(token.local_computation_id, requisition_key(), "path", "v2alpha")


async def test_a_fulfilment_must_name_path_version_and_a_known_requisition(store: Store) -> None:
    local = (await create(store)).local_computation_id
    with pytest.raises(InvalidRequest):
        await store.record_requisition(local, requisition_key(), "", "v2alpha")
    with pytest.raises(InvalidRequest):
        await store.record_requisition(local, requisition_key(), "path", "")
    with pytest.raises(NotFound):
        await store.record_requisition(local, requisition_key("other"), "path", "v2alpha")
    with pytest.raises(NotFound):
        await store.record_requisition(local + 1, requisition_key(), "path", "v2alpha")


async def test_stats_are_kept_once(store: Store) -> None:
    token = await create(store)
    request = CreateComputationStatRequest(
        local_computation_id=token.local_computation_id,
        computation_stage=token.computation_stage,
        attempt=1,
        metric_name="bytes_of_data_in_rpc",
        metric_value=7,
    )
    await store.create_stat(request)
    await store.create_stat(request)
    for wrong in (
        CreateComputationStatRequest(metric_name="x", computation_stage=token.computation_stage),
        CreateComputationStatRequest(local_computation_id=token.local_computation_id),
    ):
        with pytest.raises(InvalidRequest):
            await store.create_stat(wrong)


def continuation(seconds: int, computation: int = 1) -> str:
    seen = StreamActiveComputationsContinuationToken(last_seen_external_computation_id=computation)
    seen.last_seen_update_time.seconds = seconds
    return base64.urlsafe_b64encode(seen.SerializeToString()).decode().rstrip("=")


async def test_continuation_tokens_never_go_back(store: Store) -> None:
    assert await store.continuation_token() == ""
    for token in (continuation(100), continuation(100, computation=2), continuation(200)):
        await store.set_continuation_token(token)
        assert await store.continuation_token() == token
    with pytest.raises(ContinuationTokenInvalid) as older:
        await store.set_continuation_token(continuation(150))
    assert older.value.status == "FAILED_PRECONDITION"
    assert await store.continuation_token() == continuation(200)


@pytest.mark.parametrize(
    "token", ["", "!", "AAAA", "not base64 at all", base64.urlsafe_b64encode(b"\xff" * 9).decode()]
)
async def test_what_is_no_continuation_token_is_refused(store: Store, token: str) -> None:
    with pytest.raises(ContinuationTokenMalformed) as refused:
        await store.set_continuation_token(token)
    assert refused.value.status == "INVALID_ARGUMENT"


async def ended(store: Store, global_id: str) -> int:
    """With one requisition, a message and an output."""
    created = await create(store, global_id)
    await store.record_requisition(
        created.local_computation_id, requisition_key(global_id), f"req/{global_id}", "v2alpha"
    )
    token = await store.finish(created, COMPLETE, FAILED, version_of(await store.token(global_id)))
    return token.local_computation_id


async def test_deleting_forgets_everything_and_names_the_blobs(store: Store) -> None:
    token = await bring_to(store, Stage.EXECUTION_PHASE_ONE)
    blobs = await store.delete(token.local_computation_id)
    assert len(blobs.computations) == 2
    with pytest.raises(NotFound):
        await store.token("c1")
    with pytest.raises(NotFound):
        await store.token(requisition_key())
    assert await store.delete(token.local_computation_id) == BlobKeys()
    assert (await create(store)).attempt == 0


async def test_purge_lists_without_force_and_forgets_with_it(store: Store) -> None:
    for global_id in ("c1", "c2"):
        await ended(store, global_id)
    await create(store, "running")
    soon, long_ago = datetime.now(UTC) + timedelta(minutes=1), datetime.now(UTC) - timedelta(days=1)
    assert (await store.purge(long_ago, [COMPLETE], True)).count == 0
    listed = await store.purge(soon, [COMPLETE], False)
    assert (listed.count, {*listed.global_ids}, listed.blobs) == (2, {"c1", "c2"}, BlobKeys())
    purged = await store.purge(soon, [COMPLETE], True)
    assert purged.blobs == BlobKeys((), ("req/c1", "req/c2"))
    assert [each.global_computation_id for each in (await store.summaries()).computations] == ["running"]


async def test_only_terminal_stages_are_purged(store: Store) -> None:
    for stages in ([], [stage(Stage.WAIT_TO_START)], [COMPLETE, stage(Stage.SETUP_PHASE)]):
        with pytest.raises(InvalidRequest):
            await store.purge(datetime.now(UTC), stages, True)


async def test_computations_are_listed_by_stage(store: Store) -> None:
    await create(store, "new")
    await ended(store, "old")
    assert await store.computation_ids([COMPLETE]) == ["old"]
    assert await store.computation_ids([COMPLETE, stage(Stage.INITIALIZATION_PHASE)]) == ["new", "old"]
    with pytest.raises(InvalidRequest):
        await store.computation_ids([])


async def test_a_summary_says_what_a_computation_waits_for(store: Store, aggregator: Store) -> None:
    await bring_to(aggregator, Stage.WAIT_SETUP_PHASE_INPUTS)
    waiting = await aggregator.summary("c1")
    assert (waiting.kind, waiting.role, waiting.stage) == ("wait", "AGGREGATOR", "WAIT_SETUP_PHASE_INPUTS")
    assert [*waiting.waiting_for] == ["setup phase input from worker2", "setup phase input from worker1"]
    assert [*waiting.waiting_for_duchies] == ["worker2", "worker1"]
    await create(store)
    assert [*(await store.summary("c1")).missing_requisitions] == ["c1-r1"]
    await claim(store)
    working = await store.summary("c1")
    assert (working.kind, working.lease_owner, working.attempt) == ("work", "mill", 1)


async def test_summaries_come_in_pages_the_newest_first(store: Store) -> None:
    for number in range(5):
        await create(store, f"c{number}")
    listed, page_token = [], ""
    while True:
        page = await store.summaries(2, page_token)
        listed += [each.global_computation_id for each in page.computations]
        page_token = page.next_page_token
        if not page_token:
            break
    assert listed == ["c4", "c3", "c2", "c1", "c0"]
    for nonsense in ("nonsense", "1-2-3", f"1-{2**64}", "1"):
        with pytest.raises(InvalidRequest):
            await store.summaries(2, nonsense)


async def test_every_step_is_among_the_events_in_order(store: Store) -> None:
    token = await bring_to(store, Stage.EXECUTION_PHASE_ONE)
    await store.finish(token, COMPLETE, FAILED, version_of(token))
    events = [*(await store.events("c1")).events]
    assert [event.kind for event in events] == [
        *("created", "claimed", "stage entered", "fact recorded", "stage entered"),
        *("claimed", "stage entered", "fact recorded", "stage entered"),
        *("claimed", "output recorded", "stage entered", "slot filled", "stage entered", "ended"),
    ]
    assert [event.time.ToNanoseconds() for event in events] == sorted(event.time.ToNanoseconds() for event in events)
