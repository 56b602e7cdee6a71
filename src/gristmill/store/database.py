"""One database: SQLite in write-ahead mode, or Postgres at READ COMMITTED. Transactions, and the clock."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import sqlalchemy
from sqlalchemy import BigInteger, ColumnElement, event, literal, literal_column, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gristmill.errors import MAKE_ROOM, DatabaseUnavailable, DatabaseUnusable

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
BUSY_SECONDS = 30
REPEATABLE = ("08", "40", "53", "57")
"""SQLSTATE classes: connection, transaction rolled back (a deadlock), resources, operator intervention."""
MICROSECONDS = literal_column("(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", BigInteger)


class Database:
    """Where transactions come from. Times are integers: microseconds since the epoch."""

    def __init__(self, url: str) -> None:
        self._url = _with_driver(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _sqlite(self._url) if self.is_sqlite else _postgres(self._url)
        # SQLite has one writer at a time and its waiting is not fair: inside this process writers queue here.
        self._writer = asyncio.Lock() if self.is_sqlite else nullcontext()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[tuple[AsyncConnection, int]]:
        """A transaction and its time. Commits at the end, rolls back on an exception. Raises Unavailable."""
        async with self._writer, outages(), self._engine.connect() as connection:
            await connection.execution_options(gristmill_writes=True)
            async with connection.begin():
                yield connection, await self._now(connection)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[tuple[AsyncConnection, int]]:
        """A transaction that writes nothing; on SQLite it neither waits for writers nor holds them up."""
        async with outages(), self._engine.connect() as connection:
            if not self.is_sqlite:
                # Several statements make one picture, for instance a token.
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            async with connection.begin():
                yield connection, await self._now(connection)

    def now(self) -> ColumnElement[int]:
        """The time as part of a statement: the database's clock; on SQLite, which has none, the host's."""
        return literal(time.time_ns() // 1000, BigInteger) if self.is_sqlite else MICROSECONDS

    async def scrub(self) -> None:
        """Empty SQLite's write-ahead log, where overwritten values would stay; as far as present readers let it."""
        if not self.is_sqlite:
            return
        async with self._writer, outages(), self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close(self) -> None:
        await self._engine.dispose()

    async def _now(self, connection: AsyncConnection) -> int:
        if self.is_sqlite:
            return time.time_ns() // 1000
        return int((await connection.execute(select(MICROSECONDS))).scalar_one())


@asynccontextmanager
async def outages() -> AsyncIterator[None]:
    """A database that does not answer, or gave up a transaction that can be repeated, is Unavailable."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as failure:
        raise _unavailable(failure) from failure
    except DBAPIError as failure:
        if str(getattr(failure.orig, "sqlstate", "")).startswith(REPEATABLE):
            raise _unavailable(failure) from failure
        if getattr(failure.orig, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise DatabaseUnusable(
                "the file of the database is not an SQLite database", cure="Give the duchy's own, or a new file."
            ) from None
        raise


def _unavailable(failure: Exception) -> DatabaseUnavailable:
    what = getattr(failure, "orig", None) or failure
    if getattr(what, "sqlite_errorname", "") == "SQLITE_FULL":
        return DatabaseUnavailable("the database's disk is full", cure=MAKE_ROOM)
    return DatabaseUnavailable(
        f"the database did not answer: {what}", cure="Try again; if it stays so, look at the database."
    )


def _with_driver(url: str) -> URL:
    try:
        parsed = make_url(url)
        return parsed.set(drivername=DRIVERS[parsed.get_backend_name()])
    except (KeyError, sqlalchemy.exc.ArgumentError):
        raise DatabaseUnusable(
            "the database URL is neither sqlite:// nor postgresql://",
            cure="Use sqlite:////absolute/path.db or postgresql://user@host/database.",
        ) from None


def _postgres(url: URL) -> AsyncEngine:
    # Parameters are kept out of error messages: what is stored is nobody's business in a log.
    return create_async_engine(url, pool_pre_ping=True, hide_parameters=True)


def _sqlite(url: URL) -> AsyncEngine:
    if url.database:
        try:
            # Its journal and shared memory files take the permissions of the file.
            os.close(os.open(url.database, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as failure:
            raise DatabaseUnusable(
                f"the database {url.database} cannot be opened: {failure.strerror}",
                cure="Make its directory, and give this user the right to write there.",
            ) from None
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # The sqlite3 module begins DEFERRED, and only at the first write: take its transactions into our own hands.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sqlalchemy.Connection) -> None:
        writes = connection.get_execution_options().get("gristmill_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
