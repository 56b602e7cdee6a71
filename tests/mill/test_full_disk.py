"""A stage whose output does not fit on the disk: tried again in place, put back, and done when there is room."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from full_disk import Disk
from gristmill import _native as native
from mill.computations import REGISTER, SETUP, Keys, make_keys, token
from mill.conftest import MILL, World
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

REGISTERS = 2000
"""Their sketch is larger than what a full disk still takes, and so is what is made of it."""


@pytest.fixture(scope="module")
def keys() -> Keys:
    return make_keys()


@pytest.fixture(scope="module")
def sketch(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Encrypted once: it takes a while."""
    path = tmp_path_factory.mktemp("sketch") / "encrypted"
    native.encrypt_sketch(
        [(index, index + 1, 1) for index in range(REGISTERS)],
        output=str(path),
        public_key=keys.combined,
        maximum_frequency=3,
        randomness=native.Randomness.operating_system(),
        threads=2,
        progress=native.Progress(),
    )
    return path.read_bytes()


@pytest.fixture
def claimed(world: World, keys: Keys, sketch: bytes, disk: Disk) -> Iterator[tuple[World, ComputationToken]]:
    """A claim of the setup phase, in a world whose blobs are on the disk, which is full."""
    on_disk = replace(world, directory=disk.directory)
    computation = token(on_disk, keys, SETUP)
    (requisition,) = [each for each in computation.requisitions if each.path]
    on_disk.put(f"requisitions/{requisition.path}", sketch)
    world.internal.add(computation, owner=MILL, lock=300)
    disk.fill()
    yield on_disk, computation
    disk.make_room()


def run(world: World, on_disk: World, claimed: ComputationToken, **flags: str) -> None:
    world.run(claimed, file_system_storage_directory=str(on_disk.blobs), **flags)


def made(on_disk: World) -> list[Path]:
    """Every file that the mill has left, partial ones included."""
    return [path for path in (on_disk.blobs / "computations").rglob("*") if path.is_file()]


def test_the_stage_is_put_back_with_the_reason_and_no_part_of_the_output(
    world: World, claimed: tuple[World, ComputationToken]
) -> None:
    on_disk, computation = claimed
    run(world, on_disk, computation, retry_window="0s")
    assert world.journal.writes() == ["EnqueueComputation", "CreateComputationLogEntry"]
    (entry,) = world.journal.of("CreateComputationLogEntry")
    assert "GM-3004" in entry.computation_log_entry.log_message
    assert "Make room" in entry.computation_log_entry.log_message
    assert not [blob.path for blob in computation.blobs if blob.path]
    assert made(on_disk) == []


def test_a_later_attempt_succeeds_when_there_is_room(
    world: World, claimed: tuple[World, ComputationToken], disk: Disk
) -> None:
    on_disk, computation = claimed
    run(world, on_disk, computation, retry_window="0s")
    disk.make_room()
    world.journal.entries.clear()
    computation.attempt += 1
    world.internal.add(computation, owner=MILL, lock=300)
    run(world, on_disk, computation)
    assert "AdvanceComputationStage" in world.journal.methods()
    (output,) = made(on_disk)
    assert output.stat().st_size >= REGISTERS * REGISTER


def test_the_same_attempt_goes_on_when_room_is_made_in_time(
    world: World, claimed: tuple[World, ComputationToken], disk: Disk
) -> None:
    on_disk, computation = claimed
    room = threading.Timer(1.5, disk.make_room)
    room.start()
    run(world, on_disk, computation)
    room.join()
    assert "EnqueueComputation" not in world.journal.methods()
    assert "AdvanceComputationStage" in world.journal.methods()
    assert len(made(on_disk)) == 1
