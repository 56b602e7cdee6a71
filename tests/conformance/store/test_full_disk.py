"""SQLite on a full disk: a transaction that does not fit is a transient error, and nothing of it is kept."""

from __future__ import annotations

from itertools import count

import pytest

from conformance.store.computations import SEALER, create
from full_disk import Disk
from gristmill.errors import DatabaseUnavailable, NotFound, Transient
from gristmill.store import Store, open_store


async def create_until_full(store: Store) -> tuple[int, DatabaseUnavailable]:
    """How many computations it took, and what was said about the first that did not fit."""
    for number in count():
        try:
            await create(store, f"c{number}")
        except DatabaseUnavailable as error:
            return number, error
    raise AssertionError


async def test_what_does_not_fit_is_a_transient_error_and_what_was_committed_stays(disk: Disk) -> None:
    async with open_store(f"sqlite:///{disk.directory}/store.db", SEALER, "worker1") as store:
        await create(store, "before")
        disk.fill()
        fitted, error = await create_until_full(store)
        assert isinstance(error, Transient)
        assert error.cure
        for name in ("before", *(f"c{number}" for number in range(fitted))):
            assert (await store.token(name)).global_computation_id == name
        with pytest.raises(NotFound):
            await store.token(f"c{fitted}")


async def test_the_same_store_goes_on_when_there_is_room_again(disk: Disk) -> None:
    async with open_store(f"sqlite:///{disk.directory}/store.db", SEALER, "worker1") as store:
        disk.fill()
        fitted, _ = await create_until_full(store)
        disk.make_room()
        await create(store, f"c{fitted}")
        assert (await store.token(f"c{fitted}")).version == 1


async def test_a_store_that_was_opened_again_has_all_that_was_committed(disk: Disk) -> None:
    url = f"sqlite:///{disk.directory}/store.db"
    async with open_store(url, SEALER, "worker1") as store:
        disk.fill()
        fitted, _ = await create_until_full(store)
    disk.make_room()
    async with open_store(url, SEALER, "worker1") as store:
        listed = await store.summaries(page_size=1000)
        assert {each.global_computation_id for each in listed.computations} == {
            f"c{number}" for number in range(fitted)
        }
