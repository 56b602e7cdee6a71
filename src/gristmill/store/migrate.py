"""Brings a database's tables up to date. Several processes may do so at once: one does, the others wait."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from gristmill.store.database import Database

# Any number that other software is unlikely to lock in the same Postgres.
ADVISORY_LOCK = 0x67726973746D696C


async def upgrade(database: Database) -> None:
    """To the newest revision, in one transaction."""
    async with database.write() as (connection, _):
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
