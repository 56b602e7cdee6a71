"""One transaction: a connection, its time, and who we are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Executable, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from gristmill.store.database import Database
from gristmill.store.sealing import SealsColumns


@dataclass(frozen=True, slots=True)
class Transaction:
    connection: AsyncConnection
    now: int
    """Microseconds since the epoch, at its begin."""
    database: Database
    sealer: SealsColumns
    duchy: str

    async def run(self, statement: Executable) -> None:
        await self.connection.execute(statement)

    async def first(self, statement: Executable) -> RowMapping | None:
        return (await self.connection.execute(statement)).mappings().first()

    async def all(self, statement: Executable) -> list[RowMapping]:
        return [*(await self.connection.execute(statement)).mappings().all()]

    async def column(self, statement: Executable) -> list[Any]:
        return [*(await self.connection.execute(statement)).scalars().all()]


def microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def since_epoch(moment: datetime) -> int:
    return microseconds(moment - datetime.fromtimestamp(0, UTC))


def timestamp(time: int | None) -> Timestamp | None:
    if time is None:
        return None
    seconds, remainder = divmod(time, 1_000_000)
    return Timestamp(seconds=seconds, nanos=remainder * 1000)
