"""What share shuffle needs of the store beside stages: private keysets, and outputs that the wire does not list."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from conformance.store.computations import FAILED, MINUTE, body, fence_of, requisition, requisition_key, version_of
from conformance.store.test_secrets import dump, everything_below
from gristmill.errors import LeaseLost, NotFound, PreconditionFailed
from gristmill.proto.duchy.leases_pb2 import Figures
from gristmill.proto.duchy.orchestration_pb2 import SlotMessage
from gristmill.protocols import registry
from gristmill.protocols.share_shuffle import FIRST, SHARE_SHUFFLE, Message, Stage
from gristmill.protocols.table import Fact
from gristmill.secret import Secret
from gristmill.store import Fence, Store, open_store
from gristmill.trust.files import write_private_file
from gristmill.trust.key_encryption import KeyEncryption, new_key_encryption_keyset, prune_keyset, rotate_keyset
from gristmill.trust.sealing import Sealer
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2 import (
    AdvanceComputationStageRequest,
    CreateComputationRequest,
)
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionDetails

SHUFFLE = SHARE_SHUFFLE.number
KEYSET = Secret(b"a private keyset that must not be found")
SEED = b"a random seed of 48 bytes that must not be found"


def creation(*workers: str) -> CreateComputationRequest:
    request = CreateComputationRequest(global_computation_id="c1", requisitions=[requisition()])
    request.computation_type = SHUFFLE  # type: ignore[assignment]
    part = request.computation_details.honest_majority_share_shuffle
    part.role = FIRST.value  # type: ignore[assignment]
    part.non_aggregators.extend(workers or ("worker1", "worker2"))
    part.random_seed = SEED
    return request


async def claimed(store: Store, owner: str = "mill") -> tuple[ComputationToken, Fence]:
    token = await store.claim(SHUFFLE, owner, MINUTE)
    assert token is not None
    return token, fence_of(await store.lease("c1", owner))


async def advance(store: Store, token: ComputationToken, to: Stage, fence: Fence) -> ComputationToken:
    stage = registry.wire_stage(SHARE_SHUFFLE, to)
    return await store.advance(AdvanceComputationStageRequest(token=token, next_computation_stage=stage), fence)


async def test_a_private_keyset_is_told_to_who_holds_the_lease_and_to_nobody_else(store: Store) -> None:
    await store.create(creation(), KEYSET)
    _, fence = await claimed(store)
    assert await store.private_keyset("c1", fence) == KEYSET
    for other in (Fence(fence.number, "another"), Fence(fence.number + 1, "mill")):
        with pytest.raises(LeaseLost):
            await store.private_keyset("c1", other)


async def test_a_keyset_that_was_never_given_is_not_found(store: Store) -> None:
    await store.create(creation())
    _, fence = await claimed(store)
    with pytest.raises(NotFound, match="not kept in this database"):
        await store.private_keyset("c1", fence)


async def test_neither_keyset_nor_seed_is_in_any_column_in_the_clear(store: Store) -> None:
    token = await store.create(creation(), KEYSET)
    assert token.computation_details.honest_majority_share_shuffle.random_seed == SEED
    dumped = await dump(store)
    assert b"worker2" in dumped
    assert KEYSET.expose() not in dumped
    assert SEED not in dumped


async def test_the_end_destroys_keyset_and_seed(store: Store) -> None:
    token = await store.create(creation(), KEYSET)
    ended = await store.finish(
        token, registry.wire_stage(SHARE_SHUFFLE, Stage.COMPLETE), FAILED, version_of(token), "for a test"
    )
    assert ended.computation_details.honest_majority_share_shuffle.random_seed == b""
    async with store._database.read() as (connection, _):
        statement = text("SELECT wrapped_key, sealed_details, sealed_private_keyset FROM computations")
        assert [*(await connection.execute(statement)).one()] == [None, None, None]


@pytest.mark.parametrize("workers", [("worker2", "worker3"), ("worker1", "worker1"), ("worker2", "worker1")])
async def test_workers_that_are_no_ring_with_this_duchys_role_are_refused(
    store: Store, workers: tuple[str, str]
) -> None:
    with pytest.raises(PreconditionFailed, match="no ring in which worker1 is FIRST_NON_AGGREGATOR"):
        await store.create(creation(*workers))


async def test_an_output_that_the_wire_does_not_list_is_kept_all_the_same(store: Store) -> None:
    token = await bring_to_shuffle(store)
    assert len(token.blobs) == 1
    _, fence = await claimed(store)
    first = await store.record_output("c1", fence, 1, body(), Figures(reach=5))
    assert first.token.blobs == token.blobs
    second = await store.record_output("c1", fence, 1, body())
    assert second.recorded == first.recorded
    (held,) = (await store.lease("c1", "mill")).outputs
    assert (held.digest, held.figures.reach) == (first.recorded.digest, 5)
    ids = await store.token("c1")
    keys = await store.delete(ids.local_computation_id)
    assert first.recorded.digest.path in keys.computations


async def test_a_requisitions_protocol_details_are_recorded_with_it(store: Store) -> None:
    token = await store.create(creation())
    details = RequisitionDetails.RequisitionProtocol()
    details.honest_majority_share_shuffle.secret_seed_ciphertext = b"sealed"
    details.honest_majority_share_shuffle.register_count = 3
    await store.record_requisition(token.local_computation_id, requisition_key(), "path", "v2alpha", details)
    (recorded,) = (await store.token("c1")).requisitions
    assert recorded.details.protocol == details


async def test_seeds_that_were_handed_over_end_the_time_of_data_providers(store: Store) -> None:
    token = await bring_to_setup(store)
    with pytest.raises(PreconditionFailed, match="takes no requisitions any more"):
        await store.record_requisition(token.local_computation_id, requisition_key(), "path", "v2alpha")


async def test_the_keyset_is_rotated_while_a_computation_runs(tmp_path: Path) -> None:
    """New keys go under the new primary at once; what the old key wrapped opens until its computation has ended."""
    file, old = tmp_path / "kek.tink", new_key_encryption_keyset()
    write_private_file(file, old.expose())
    (tmp_path / "store").mkdir()
    async with open_store(f"sqlite:///{tmp_path}/store/store.db", Sealer.read(file), "worker1") as store:
        await store.create(creation(), KEYSET)
        write_private_file(tmp_path / "new.tink", rotate_keyset(old).expose())
        (tmp_path / "new.tink").replace(file)
        _, fence = await claimed(store)
        assert await store.private_keyset("c1", fence) == KEYSET
        second = creation()
        second.global_computation_id, second.requisitions[0].key.external_requisition_id = "c2", "c2-r1"
        await store.create(second, KEYSET)
    assert KEYSET.expose() not in everything_below(tmp_path / "store")
    pruned = Sealer(KeyEncryption(prune_keyset(Secret(file.read_bytes()))))
    async with open_store(f"sqlite:///{tmp_path}/store/store.db", pruned, "worker1") as store:
        token = await store.claim(SHUFFLE, "mill2", MINUTE)
        assert token is not None
        assert token.global_computation_id == "c2"
        assert await store.private_keyset("c2", fence_of(await store.lease("c2", "mill2"))) == KEYSET


async def bring_to_setup(store: Store) -> ComputationToken:
    token = await store.create(creation(), KEYSET)
    _, fence = await claimed(store)
    await advance(store, token, Stage.WAIT_TO_START, fence)
    return await store.record_fact("c1", Fact.STARTED)


async def bring_to_shuffle(store: Store) -> ComputationToken:
    token = await bring_to_setup(store)
    _, fence = await claimed(store)
    await advance(store, token, Stage.WAIT_ON_SHUFFLE_INPUT_PHASE_TWO, fence)
    slot = SlotMessage(global_computation_id="c1", computation_type=SHUFFLE, sender="worker2")
    slot.message = Message.SHUFFLE_PHASE_INPUT_TWO.value
    await store.fill_slot(slot, body())
    return await store.token("c1")
