"""The kingdom on a full disk: who asks is told to try again, and nothing is half-recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from full_disk import Disk
from gristmill.consumer.client import Consumer
from gristmill.errors import Unavailable
from gristmill.trust.development import DevelopmentKeys
from kingdom.actors import World, world


@pytest.fixture
async def kingdom(keys: DevelopmentKeys, disk: Disk) -> AsyncIterator[World]:
    """One whose database is on the disk."""
    async with world(keys, disk.directory / "kingdom.sqlite") as answering:
        yield answering


async def test_a_measurement_that_does_not_fit_can_be_asked_again_when_there_is_room(
    kingdom: World, disk: Disk
) -> None:
    with Consumer(kingdom.consumer, kingdom.target) as consumer:
        disk.fill(room=16_384)
        with pytest.raises(Unavailable, match="could not be created: UNAVAILABLE: GM-3003"):
            await asyncio.to_thread(consumer.create, kingdom.request)
        disk.make_room()
        name = await asyncio.to_thread(consumer.create, kingdom.request)
        assert (await asyncio.to_thread(consumer.get, name)).name == name
