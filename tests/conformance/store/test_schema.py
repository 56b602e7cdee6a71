"""The migrations make the tables that the code speaks of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from conformance.store import postgres
from conformance.store.computations import SEALER, create
from gristmill.errors import ConfigurationError, Unavailable
from gristmill.store import Store, open_store
from gristmill.store.tables import metadata


async def test_the_migrated_tables_are_those_of_the_code(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"version_table": "store_revision"})
        return [*compare_metadata(context, metadata)]

    async with store._database.write() as (connection, _):
        assert await connection.run_sync(differences) == []


async def test_several_processes_may_open_a_new_database_at_once(new_url: Callable[[], Awaitable[str]]) -> None:
    url = await new_url()
    async with AsyncExitStack() as stack:
        opening = (stack.enter_async_context(open_store(url, SEALER, "worker1")) for _ in range(3))
        stores = await asyncio.gather(*opening)
        await create(stores[0])
        assert await stores[2].token("c1") == await stores[1].token("c1")


async def test_what_was_written_is_there_after_reopening(new_url: Callable[[], Awaitable[str]]) -> None:
    url = await new_url()
    async with open_store(url, SEALER, "worker1") as store:
        token = await create(store)
    async with open_store(url, SEALER, "worker1") as store:
        assert await store.token("c1") == token


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        async with open_store("postgresql://nobody@127.0.0.1:1/nothing", SEALER, "worker1"):
            pass


async def test_a_connection_that_breaks_is_unavailable_and_the_next_one_works(postgres_server: str) -> None:
    url = await postgres.new_database(postgres_server)
    async with open_store(url, SEALER, "worker1") as store:
        with pytest.raises(Unavailable):
            async with store._write() as transaction:
                await transaction.run(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert await store.continuation_token() == ""
    await postgres.empty(url)


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing"):
        async with open_store(f"sqlite:///{tmp_path}/missing/store.db", SEALER, "worker1"):
            pass


@pytest.mark.parametrize("url", ["mysql://host/database", "nonsense", ""])
async def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="neither"):
        async with open_store(url, SEALER, "worker1"):
            pass
