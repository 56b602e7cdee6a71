"""What operators do: tried again, or canceled; each with who and why among the events."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conformance.store.computations import (
    COMPLETE,
    FAILED,
    LLV2,
    MINUTE,
    advance_request,
    bring_to,
    claim,
    create,
    fence_of,
    requisition_key,
    version_of,
    where,
    work,
)
from gristmill.errors import Conflict, InvalidRequest, LeaseLost, NotFound, PreconditionFailed
from gristmill.proto.duchy.inspection_pb2 import Delivery
from gristmill.proto.duchy.leases_pb2 import Lease, PutBackRequest
from gristmill.protocols.llv2 import Stage
from gristmill.store import Operator, Store
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails

ANN = Operator("ann@example.com", "the disk was full and is not any more")
HOUR = timedelta(hours=1)
FIRST = Stage.INITIALIZATION_PHASE.name


async def put_back(store: Store, reason: int = PutBackRequest.FAILURE) -> Lease:
    """An attempt that failed; the next may come in an hour."""
    await claim(store)
    held = await store.lease("c1", "mill")
    await store.put_back("c1", fence_of(held), HOUR, reason, "disk full")
    return held


async def kinds(store: Store) -> list[str]:
    return [event.kind for event in (await store.events("c1")).events]


async def test_a_retried_stage_is_claimable_now_and_its_counts_are_forgotten(store: Store) -> None:
    await create(store)
    await put_back(store)
    assert await store.claim(LLV2, "other", MINUTE) is None
    summary = await store.retry("c1", FIRST, 1, ANN)
    assert summary.counts.failures == 0
    assert (await claim(store, "other")).attempt == 2


async def test_a_retry_ends_the_wait_for_a_peer(store: Store) -> None:
    await create(store)
    await put_back(store, PutBackRequest.PEER_BEHIND)
    summary = await store.retry("c1", FIRST, 1, ANN)
    assert not summary.counts.HasField("waiting_for_peer_since")


async def test_a_retry_is_recorded_with_who_and_why(store: Store) -> None:
    await create(store)
    await put_back(store)
    await store.retry("c1", FIRST, 1, ANN)
    last = (await store.events("c1")).events[-1]
    assert (last.kind, last.stage, last.attempt, last.actor, last.detail) == ("retried", FIRST, 1, *_said(ANN))


async def test_a_mill_that_works_on_a_retried_stage_writes_nothing_more(store: Store) -> None:
    await create(store)
    token = await claim(store)
    held = await store.lease("c1", "mill")
    await store.retry("c1", FIRST, 1, ANN)
    with pytest.raises(LeaseLost):
        await store.advance(advance_request(store, token), fence_of(held))
    with pytest.raises(Conflict):
        await store.update_details(token, token.computation_details, [], version_of(token))
    with pytest.raises(LeaseLost):
        await store.put_back("c1", fence_of(held), HOUR, PutBackRequest.FAILURE)
    assert where(await store.token("c1")) is Stage.INITIALIZATION_PHASE
    assert await store.claim(LLV2, "other", MINUTE) is not None


async def test_a_repeated_retry_leaves_the_next_attempt_alone(store: Store) -> None:
    await create(store)
    await put_back(store)
    await store.retry("c1", FIRST, 1, ANN)
    await claim(store, "other")
    before = await store.token("c1")
    await store.retry("c1", FIRST, 1, ANN)
    assert await store.token("c1") == before
    assert (await kinds(store)).count("retried") == 1


async def test_a_retry_of_an_attempt_that_is_over_is_refused(store: Store) -> None:
    await create(store)
    await put_back(store)
    await store.retry("c1", FIRST, 1, ANN)
    await claim(store, "other")
    before = await store.token("c1")
    with pytest.raises(Conflict, match="attempt 2 of INITIALIZATION_PHASE now"):
        await store.retry("c1", FIRST, 1, Operator("bob", "me too"))
    assert await store.token("c1") == before


async def test_a_wait_cannot_be_retried_and_the_refusal_says_what_is_lacking(store: Store) -> None:
    before = await bring_to(store, Stage.WAIT_EXECUTION_PHASE_ONE_INPUTS)
    with pytest.raises(PreconditionFailed, match="waits for execution phase one input from"):
        await store.retry("c1", Stage.WAIT_EXECUTION_PHASE_ONE_INPUTS.name, 1, ANN)
    assert await store.token("c1") == before


async def test_an_ended_computation_cannot_be_retried(store: Store) -> None:
    token = await create(store)
    ended = await store.finish(token, COMPLETE, FAILED, version_of(token))
    with pytest.raises(PreconditionFailed, match="has ended \\(FAILED\\)"):
        await store.retry("c1", Stage.COMPLETE.name, 0, ANN)
    assert await store.token("c1") == ended


async def test_a_canceled_computation_has_ended_and_nobody_gets_it(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    canceled = await store.cancel("c1", ANN)
    assert (canceled.stage, canceled.attempt, canceled.operator) == (Stage.SETUP_PHASE.value, 0, ANN)
    summary = await store.summary("c1")
    assert (summary.stage, summary.ending_state) == ("COMPLETE", "CANCELED")
    assert await store.claim(LLV2, "mill", MINUTE) is None
    told = [(event.kind, event.detail) for event in (await store.events("c1")).events[-2:]]
    assert told == [("canceled", ANN.reason), ("ended", f"CANCELED: {ANN.reason}")]


async def test_the_secrets_of_a_canceled_computation_are_gone(store: Store) -> None:
    await bring_to(store, Stage.CONFIRMATION_PHASE)
    await store.cancel("c1", ANN)
    token = await store.token(requisition_key())
    assert not token.computation_details.liquid_legions_v2.local_elgamal_key.secret_key
    assert [each.details.nonce for each in token.requisitions] == [0]


async def test_a_wait_can_be_canceled(store: Store) -> None:
    await bring_to(store, Stage.WAIT_TO_START)
    await store.cancel("c1", ANN)
    assert (await store.summary("c1")).ending_state == "CANCELED"


async def test_a_mill_that_works_on_a_canceled_computation_is_refused(store: Store) -> None:
    await create(store)
    token = await claim(store)
    held = await store.lease("c1", "mill")
    await store.cancel("c1", ANN)
    before = await store.token("c1")
    with pytest.raises(LeaseLost):
        await store.renew("c1", fence_of(held), MINUTE)
    for reason in (FAILED, ComputationDetails.CANCELED):
        with pytest.raises(LeaseLost):
            await store.finish(token, COMPLETE, reason, fence_of(held))
    assert await store.token("c1") == before


async def test_a_repeated_cancel_tells_what_was_canceled_first(store: Store) -> None:
    await create(store)
    first = await store.cancel("c1", ANN)
    before, events = await store.token("c1"), await kinds(store)
    assert await store.cancel("c1", Operator("bob", "again")) == first
    assert (await store.token("c1"), await kinds(store)) == (before, events)


async def test_what_has_ended_otherwise_cannot_be_canceled(store: Store) -> None:
    token = await create(store)
    ended = await store.finish(token, COMPLETE, FAILED, version_of(token))
    with pytest.raises(PreconditionFailed, match="FAILED"):
        await store.cancel("c1", ANN)
    assert await store.token("c1") == ended


async def test_why_a_computation_ended_is_told(store: Store) -> None:
    token = await create(store)
    await store.finish(token, COMPLETE, FAILED, version_of(token), "GM-4001: a point is off the curve")
    assert (await store.summary("c1")).ending == "FAILED: GM-4001: a point is off the curve"


async def test_an_unknown_computation_is_neither_retried_nor_canceled(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.retry("c2", FIRST, 0, ANN)
    with pytest.raises(NotFound):
        await store.cancel("c2", ANN)


@pytest.mark.parametrize(("actor", "reason"), [("", "why"), ("who", " "), ("who", "two\nlines"), ("who", "w" * 1001)])
def test_an_intervention_needs_who_and_why_in_a_line(actor: str, reason: str) -> None:
    with pytest.raises(InvalidRequest):
        Operator(actor, reason)


async def test_deliveries_follow_the_stages_that_send(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    states = [(each.message, each.receiver, each.state) for each in (await store.summary("c1")).deliveries]
    assert states[:2] == [
        ("SETUP_PHASE_INPUT", "aggregator", Delivery.UNDER_WAY),
        ("EXECUTION_PHASE_ONE_INPUT", "aggregator", Delivery.NOT_YET),
    ]
    await work(store)
    await store.cancel("c1", ANN)
    states = [(each.message, each.receiver, each.state) for each in (await store.summary("c1")).deliveries]
    assert states[:2] == [
        ("SETUP_PHASE_INPUT", "aggregator", Delivery.ACKNOWLEDGED),
        ("EXECUTION_PHASE_ONE_INPUT", "aggregator", Delivery.NEVER),
    ]


async def test_the_claim_has_an_age_and_a_stage_in_the_queue_a_time(store: Store) -> None:
    await create(store)
    queued = await store.summary("c1")
    assert queued.HasField("claimable_time")
    assert not queued.HasField("claim_time")
    await claim(store)
    held = await store.summary("c1")
    assert held.HasField("claim_time")
    assert not held.HasField("claimable_time")


def _said(operator: Operator) -> tuple[str, str]:
    return operator.actor, operator.reason
