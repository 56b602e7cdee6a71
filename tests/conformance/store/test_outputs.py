"""Outputs and their figures."""

from __future__ import annotations

import pytest

from conformance.store.computations import NO_TIME, body, bring_to, claim, create, fence_of, lease, version_of
from gristmill.errors import InvalidRequest, LeaseLost, PreconditionFailed
from gristmill.proto.duchy.leases_pb2 import BlobDigest, Figures
from gristmill.protocols.llv2 import Stage
from gristmill.store import Store, Version
from gristmill.store.refusals import VersionMismatch


async def test_the_first_output_of_a_stage_is_kept(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    await claim(store, "first", NO_TIME)
    fence = fence_of(await lease(store, "first"))
    first = await store.record_output("c1", fence, 0, body("first"), Figures(randomness_commitment=b"\x01" * 32))
    repeated = await store.record_output("c1", fence, 0, body("second"))
    assert repeated == first
    await claim(store, "second")
    later = await lease(store, "second")
    again = await store.record_output("c1", fence_of(later), 0, body("third"))
    assert again.recorded == first.recorded
    assert [*later.outputs] == [first.recorded]
    assert later.outputs[0].digest.path == "first"


async def test_a_zombies_output_is_refused(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    await claim(store, "first", NO_TIME)
    zombie = fence_of(await lease(store, "first"))
    await claim(store, "second")
    with pytest.raises(LeaseLost):
        await store.record_output("c1", zombie, 0, body())
    assert (await store.token("c1")).blobs[0].path == ""


async def test_figures_are_recorded_in_the_same_write_and_mills_of_the_wire_see_the_reach(aggregator: Store) -> None:
    await bring_to(aggregator, Stage.EXECUTION_PHASE_TWO)
    token = await claim(aggregator)
    fence = fence_of(await lease(aggregator))
    reply = await aggregator.record_output("c1", fence, 1, body(), Figures(reach=0))
    estimate = reply.token.computation_details.liquid_legions_v2
    assert estimate.HasField("reach_estimate")
    assert reply.recorded.figures.HasField("reach")
    assert reply.token.version == token.version + 1


async def test_the_randomness_commitment_is_among_the_events(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    await claim(store)
    fence = fence_of(await lease(store))
    await store.record_output("c1", fence, 0, body(), Figures(randomness_commitment=b"\xab" * 32))
    (recorded,) = (event for event in (await store.events("c1")).events if event.kind == "output recorded")
    assert f"randomness commitment {'ab' * 32}" in recorded.detail


async def test_an_output_recorded_through_the_wire_is_shown_as_unverified(store: Store) -> None:
    await bring_to(store, Stage.SETUP_PHASE)
    token = await claim(store)
    token = await store.record_output_path(token, 0, "path", version_of(token))
    assert token.blobs[0].path == "path"
    (output,) = (await lease(store)).outputs
    assert output.digest == BlobDigest(path="path")
    assert await store.record_output_path(token, 0, "path", Version(token.version - 1)) == token
    with pytest.raises(VersionMismatch):
        await store.record_output_path(token, 0, "other", Version(token.version - 1))
    with pytest.raises(PreconditionFailed, match="recorded already"):
        await store.record_output_path(token, 0, "other", version_of(token))


async def test_what_is_no_output_cannot_be_recorded(store: Store) -> None:
    await create(store)
    token = await claim(store)
    fence = fence_of(await lease(store))
    with pytest.raises(PreconditionFailed, match="no output blob 0"):
        await store.record_output("c1", fence, 0, body())
    with pytest.raises(InvalidRequest, match="blank"):
        await store.record_output_path(token, 0, " ", version_of(token))
    with pytest.raises(InvalidRequest, match="32 bytes"):
        await store.record_output("c1", fence, 0, BlobDigest(path="p", length=1, sha256=b"short"))


async def test_a_lease_tells_length_and_hash_of_its_inputs(store: Store) -> None:
    await bring_to(store, Stage.EXECUTION_PHASE_ONE)
    token = await claim(store)
    (digest,) = (await lease(store)).digests
    assert (digest.path, len(digest.sha256)) == (token.blobs[0].path, 32)
