"""A full disk is a transient error of the blob store, and nothing of a blob that did not fit stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from full_disk import ROOM, Disk
from gristmill.blobs import LocalBlobs
from gristmill.errors import StorageFull, Transient

KEY = "computations/LHdjUf0z6dc/SETUP_PHASE/0"
CONTENT = bytes(range(256)) * (3 * ROOM // 256)
SMALL = b"written while there was room"


def files(directory: Path) -> list[Path]:
    return sorted(path for path in (directory / "blobs").rglob("*") if path.is_file())


def put(store: LocalBlobs, key: str, content: bytes) -> None:
    with store.write(key) as writer:
        for at in range(0, len(content), 100_000):
            writer.append(content[at : at + 100_000])
        writer.commit()


def test_what_does_not_fit_is_refused_with_the_cure_and_leaves_no_part(disk: Disk) -> None:
    store = LocalBlobs(disk.directory / "blobs")
    put(store, "computations/small", SMALL)
    disk.fill()
    with pytest.raises(StorageFull, match=f"cannot write {KEY}") as refused:
        put(store, KEY, CONTENT)
    assert isinstance(refused.value, Transient)
    assert "Make room" in refused.value.cure
    assert files(disk.directory) == [disk.directory / "blobs" / "computations" / "small"]
    assert b"".join(store.stream("computations/small")) == SMALL


def test_the_same_blob_is_written_when_there_is_room_again(disk: Disk) -> None:
    store = LocalBlobs(disk.directory / "blobs")
    disk.fill()
    with pytest.raises(StorageFull):
        put(store, KEY, CONTENT)
    disk.make_room()
    put(store, KEY, CONTENT)
    assert b"".join(store.stream(KEY)) == CONTENT


def test_a_blob_that_is_there_survives_that_its_replacement_does_not_fit(disk: Disk) -> None:
    store = LocalBlobs(disk.directory / "blobs")
    put(store, KEY, SMALL)
    disk.fill()
    with pytest.raises(StorageFull):
        put(store, KEY, CONTENT)
    assert b"".join(store.stream(KEY)) == SMALL


def test_a_stages_own_file_that_did_not_fit_is_removed(disk: Disk) -> None:
    store = LocalBlobs(disk.directory / "blobs")
    disk.fill()
    with pytest.raises(StorageFull), store.write(KEY) as writer:
        writer.path.write_bytes(CONTENT)
    assert files(disk.directory) == []
