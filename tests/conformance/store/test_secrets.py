"""Secret columns are sealed; when a computation ends, its key is destroyed and they with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from conformance.store.computations import (
    COMPLETE,
    FAILED,
    MINUTE,
    NONCE,
    SEALER,
    SECRET_KEY,
    bring_to,
    claim,
    create,
    details,
    fence_of,
    keys_set,
    lease,
    requisition,
    version_of,
)
from gristmill.errors import GristmillError
from gristmill.protocols import registry
from gristmill.protocols.llv2 import Stage
from gristmill.store import Store, open_store
from gristmill.store.sealing import join, split
from gristmill.trust.key_encryption import KeyEncryption, new_key_encryption_keyset
from gristmill.trust.sealing import Sealer
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken


async def with_secrets(store: Store) -> ComputationToken:
    token = await bring_to(store, Stage.CONFIRMATION_PHASE)
    held = details(store)
    held.liquid_legions_v2.local_elgamal_key.secret_key = SECRET_KEY
    held.liquid_legions_v2.local_elgamal_key.public_key.element = b"public"
    await claim(store)
    return await store.update_details(token, held, [requisition(nonce=NONCE)], fence_of(await lease(store)))


def secret_key(token: ComputationToken) -> bytes:
    return token.computation_details.liquid_legions_v2.local_elgamal_key.secret_key


async def dump(store: Store) -> bytes:
    """Every value of every table."""
    values = []
    async with store._database.read() as (connection, _):
        for table in ("computations", "requisitions", "stages", "events", "blobs", "slots"):
            values += [*(await connection.execute(text(f"SELECT * FROM {table}"))).fetchall()]  # noqa: S608
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in values for value in row)


async def test_the_key_and_the_nonces_come_back_to_who_asks(store: Store) -> None:
    token = await with_secrets(store)
    assert secret_key(token) == SECRET_KEY
    assert token.requisitions[0].details.nonce == NONCE
    assert await store.token("c1") == token


async def test_a_write_without_the_secret_key_does_not_lose_it(store: Store) -> None:
    token = await with_secrets(store)
    token = await store.update_details(token, details(store), (), version_of(token))
    assert secret_key(token) == SECRET_KEY


async def test_no_column_holds_a_secret_in_the_clear(store: Store) -> None:
    await with_secrets(store)
    dumped = await dump(store)
    assert b"public" in dumped
    assert SECRET_KEY not in dumped
    assert NONCE.to_bytes(8, "little") not in dumped


async def test_the_end_destroys_the_key_and_what_it_sealed(store: Store) -> None:
    token = await with_secrets(store)
    ended = await store.finish(token, COMPLETE, FAILED, version_of(token))
    assert secret_key(ended) == b""
    assert ended.computation_details.liquid_legions_v2.local_elgamal_key.public_key.element == b"public"
    assert ended.requisitions[0].details.nonce == 0
    async with store._database.read() as (connection, _):
        row = (await connection.execute(text("SELECT wrapped_key, sealed_details FROM computations"))).one()
    assert [*row] == [None, None]


def test_every_secret_path_leaves_the_details_and_comes_back() -> None:
    whole = ComputationDetails(blobs_storage_prefix="prefix")
    whole.honest_majority_share_shuffle.random_seed = SECRET_KEY
    whole.honest_majority_share_shuffle.parameters.ring_modulus = 127
    open_part, secret_part = split(whole, registry.SECRET_FIELDS)
    assert SECRET_KEY not in open_part.SerializeToString()
    assert b"prefix" not in secret_part.SerializeToString()
    assert join(open_part, secret_part.SerializeToString()) == whole


async def test_a_summary_and_the_events_hold_no_secret(store: Store) -> None:
    await with_secrets(store)
    told = str(await store.summary("c1")) + str(await store.events("c1"))
    assert SECRET_KEY.decode() not in told
    assert str(NONCE) not in told


async def test_the_sqlite_file_holds_no_secret_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    sealer = Sealer(KeyEncryption(new_key_encryption_keyset()))
    async with open_store(f"sqlite:///{path}", sealer, "worker1") as store:
        await with_secrets(store)
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}  # noqa: ASYNC240
        found = everything_below(tmp_path)
    assert b"public" in found
    assert SECRET_KEY not in found
    assert NONCE.to_bytes(8, "little") not in found


async def test_the_sqlite_file_forgets_a_destroyed_key(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/store.db", SEALER, "worker1") as store:
        token = await with_secrets(store)
        async with store._database.read() as (connection, _):
            key = (await connection.execute(text("SELECT wrapped_key FROM computations"))).scalar_one()
        assert key in everything_below(tmp_path)
        await store.finish(token, COMPLETE, FAILED, version_of(token))
        assert key not in everything_below(tmp_path)


def everything_below(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


async def test_another_key_encryption_keyset_opens_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, Sealer(KeyEncryption(new_key_encryption_keyset())), "worker1") as store:
        await with_secrets(store)
    async with open_store(url, Sealer(KeyEncryption(new_key_encryption_keyset())), "worker1") as store:
        with pytest.raises(GristmillError):
            await store.token("c1")
        assert await store.summary("c1")
        await create(store, "c2")
        assert await store.claim(1, "mill", MINUTE)
        await keys_set(store, "c2")
