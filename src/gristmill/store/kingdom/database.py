"""Opening the kingdom's SQLite database, its transactions, and the clock that orders all changes."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, select, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gristmill.errors import MAKE_ROOM, DatabaseUnavailable, DatabaseUnusable
from gristmill.store.database import outages
from gristmill.store.kingdom import tables


class Transaction:
    """One transaction of the kingdom: all of it is kept, or none."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def tick(self) -> int:
        """A time in microseconds since the epoch, greater than every one given before, whatever the clock does.

        Writers follow one another (BEGIN IMMEDIATE), so times are given in the order of commits and a reader that
        continues after a time never misses a change.
        """
        last: int = (await self.connection.execute(select(tables.clock.c.last))).scalar_one()
        now = max(last + 1, time.time_ns() // 1000)
        await self.connection.execute(update(tables.clock).values(last=now))
        return now


class KingdomStore:
    """The kingdom's database: `transaction()` to change it, `reading()` to look, `changed()` to wait for a write.

    Both raise Unavailable for what may be over soon, such as a full disk; nothing of the transaction is kept then.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writes = 0
        self._written = asyncio.Condition()
        self._writer = (
            asyncio.Lock()
        )  # one writer at a time in this process, rather than waiting for SQLite's busy timeout

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._writer, outages(), self._engine.begin() as connection:
            yield Transaction(connection)
        async with self._written:
            self._writes += 1
            self._written.notify_all()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A transaction that does not write: it waits for no writer and sees one state of the database."""
        async with outages(), self._engine.connect() as connection:
            yield Transaction(await connection.execution_options(reading=True))

    @property
    def writes(self) -> int:
        """The number of transactions so far; read it before looking, and hand it to `changed` afterwards."""
        return self._writes

    async def changed(self, since: int, *, patience: float) -> None:
        """Wait until a transaction after `since` has been kept, or `patience` seconds."""
        try:
            async with asyncio.timeout(patience), self._written:
                await self._written.wait_for(lambda: self._writes > since)
        except TimeoutError:
            return


def random_identifier() -> int:
    """A positive 63-bit integer for a new resource, unpredictable."""
    return secrets.randbelow(2**63 - 1) + 1


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise _unusable(path, error.strerror) from None


def _unusable(path: Path, reason: object) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"the database {path} cannot be opened: {reason}",
        cure="Give the kingdom's own, or a new file in a directory where this user may write.",
    )


@asynccontextmanager
async def open_kingdom_store(path: Path) -> AsyncIterator[KingdomStore]:
    """Open (and if need be create) the database at `path`, which no other process may have open for writing.

    ConfigurationError if it cannot be opened, or is none.
    """
    _make_private(path)
    engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(path)))

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the sqlite3 module must not begin transactions of its own (DEFERRED)
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    try:
        try:
            async with outages(), engine.begin() as connection:
                await connection.run_sync(tables.metadata.create_all)
                if (await connection.execute(select(tables.clock.c.last))).first() is None:
                    await connection.execute(insert(tables.clock).values(id=1, last=0))
        except DatabaseUnavailable as error:
            if error.cure == MAKE_ROOM:
                raise
            raise _unusable(path, error.message) from None
        except DBAPIError as error:
            raise _unusable(path, error.orig) from None
        yield KingdomStore(engine)
    finally:
        await engine.dispose()
