"""The suite runs on SQLite, in a file, and on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest

from conformance.store import postgres
from conformance.store.computations import SEALER, OpenStore
from gristmill.store import Store, open_store


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres.running() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
async def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Makes empty databases of this kind."""
    numbers = count(1)
    lent: list[str] = []

    async def sqlite() -> str:
        return f"sqlite:///{tmp_path}/store{next(numbers)}.db"

    if request.param == "sqlite":
        yield sqlite
        return
    server = request.getfixturevalue("postgres_server")

    async def in_postgres() -> str:
        lent.append(await postgres.new_database(server))
        return lent[-1]

    yield in_postgres
    for url in lent:
        await postgres.empty(url)


@pytest.fixture
async def open_as(new_url: Callable[[], Awaitable[str]]) -> AsyncIterator[OpenStore]:
    """Opens a store of its own for a duchy."""
    async with AsyncExitStack() as stack:

        async def open_one(duchy: str) -> Store:
            return await stack.enter_async_context(open_store(await new_url(), SEALER, duchy))

        yield open_one


@pytest.fixture
async def store(open_as: OpenStore) -> Store:
    """worker1's."""
    return await open_as("worker1")


@pytest.fixture
async def aggregator(open_as: OpenStore) -> Store:
    return await open_as("aggregator")
