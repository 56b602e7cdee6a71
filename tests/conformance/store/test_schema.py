"""The migrations make the tables that the code speaks of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from conformance.store.computations import SEALER, create
from gristmill.errors import ConfigurationError
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


@pytest.mark.parametrize("url", ["mysql://host/database", "nonsense", ""])
async def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="neither"):
        async with open_store(url, SEALER, "worker1"):
            pass
