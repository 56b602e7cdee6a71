"""What every blob store must do, held against each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.blobs.forwarded_storage import StorageServer, serve
from gristmill.blobs import BlobStore, Digest, ForwardedBlobs, LocalBlobs, check_key
from gristmill.errors import BlobCorrupt, BlobUnavailable, InvalidRequest, NotFound

KEY = "computations/LHdjUf0z6dc/SETUP_PHASE/0"


@pytest.fixture
def server() -> Iterator[tuple[StorageServer, grpc.Channel]]:
    with serve() as (storage, channel):
        yield storage, channel


@pytest.fixture(params=["local", "forwarded"])
def store(request: pytest.FixtureRequest, tmp_path: Path, server: tuple[StorageServer, grpc.Channel]) -> BlobStore:
    return LocalBlobs(tmp_path / "blobs") if request.param == "local" else ForwardedBlobs(server[1], tmp_path)


def put(store: BlobStore, key: str, *chunks: bytes) -> Digest:
    with store.write(key) as writer:
        for chunk in chunks:
            writer.append(chunk)
        return writer.commit()


def get(store: BlobStore, key: str) -> bytes:
    return b"".join(store.stream(key))


def test_what_is_committed_is_read_back_with_its_length_and_hash(store: BlobStore) -> None:
    content = bytes(range(256)) * 1024
    digest = put(store, KEY, content[:1000], content[1000:])
    assert digest == Digest(len(content), hashlib.sha256(content).digest())
    with store.read(KEY, digest) as path:
        assert path.read_bytes() == content
    assert get(store, KEY) == content


def test_a_file_made_at_the_writers_path_becomes_the_blob(store: BlobStore) -> None:
    with store.write(KEY) as writer:
        assert not writer.path.exists()
        writer.path.write_bytes(b"made by a stage")
        writer.commit()
    assert get(store, KEY) == b"made by a stage"


def test_an_empty_blob_can_be_kept(store: BlobStore) -> None:
    digest = put(store, KEY)
    assert digest.length == 0
    with store.read(KEY, digest) as path:
        assert path.read_bytes() == b""


def test_what_is_not_committed_is_not_there(store: BlobStore) -> None:
    with store.write(KEY) as writer:
        writer.append(b"half")
        left_over = writer.path
    assert list(store.list("")) == []
    assert not left_over.exists()
    with pytest.raises(NotFound), store.read(KEY):
        pass


def test_a_failed_write_leaves_the_old_blob(store: BlobStore) -> None:
    put(store, KEY, b"old")
    with suppress(ZeroDivisionError), store.write(KEY) as writer:
        writer.append(b"new")
        raise ZeroDivisionError
    assert get(store, KEY) == b"old"


def test_a_second_commit_replaces_the_first(store: BlobStore) -> None:
    put(store, KEY, b"old")
    put(store, KEY, b"new")
    assert get(store, KEY) == b"new"


@pytest.mark.parametrize("recorded", [Digest(5, bytes(32)), Digest(4, hashlib.sha256(b"hello").digest())])
def test_a_blob_that_differs_from_what_was_recorded_is_refused(store: BlobStore, recorded: Digest) -> None:
    put(store, KEY, b"hello")
    with pytest.raises(BlobCorrupt, match=KEY), store.read(KEY, recorded):
        pass


def test_a_blob_that_is_not_there_is_not_found(store: BlobStore) -> None:
    with pytest.raises(NotFound, match=KEY), store.read(KEY):
        pass
    with pytest.raises(NotFound, match=KEY):
        get(store, KEY)


def test_deleting_can_be_repeated(store: BlobStore) -> None:
    put(store, KEY, b"x")
    store.delete(KEY)
    store.delete(KEY)
    assert list(store.list("")) == []


def test_listing_gives_the_keys_of_a_prefix_in_order(store: BlobStore) -> None:
    for key in ("requisitions/a/2", "requisitions/a/10", "computations/a/SETUP_PHASE/0", "requisitions/ab/1"):
        put(store, key, b"x")
    assert list(store.list("requisitions/a/")) == ["requisitions/a/10", "requisitions/a/2"]
    assert list(store.list("requisitions/a")) == ["requisitions/a/10", "requisitions/a/2", "requisitions/ab/1"]
    assert list(store.list("tink-private-key/")) == []


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "a/./b", "a\0b", "a\\b", ".x", "a" * 2000]
)
def test_a_key_that_could_lead_elsewhere_is_refused(store: BlobStore, key: str) -> None:
    with pytest.raises(InvalidRequest), store.write(key):
        pass
    with pytest.raises(InvalidRequest), store.read(key):
        pass
    with pytest.raises(InvalidRequest):
        store.delete(key)


@given(st.text(alphabet=st.sampled_from("ab./\\\0-é"), max_size=12))
def test_an_accepted_key_stays_in_its_store(key: str) -> None:
    try:
        check_key(key)
    except InvalidRequest:
        return
    assert Path("/store") in (Path("/store") / key).resolve().parents


def test_local_blobs_are_plain_files_that_only_the_owner_may_read(tmp_path: Path) -> None:
    put(LocalBlobs(tmp_path / "blobs"), KEY, b"x")
    file = tmp_path / "blobs" / KEY
    assert file.read_bytes() == b"x"
    assert file.stat().st_mode & 0o777 == 0o600
    assert {parent.stat().st_mode & 0o777 for parent in file.parents if tmp_path in parent.parents} == {0o700}


def test_local_blobs_that_cannot_be_written_are_a_transient_error(tmp_path: Path) -> None:
    store = LocalBlobs(tmp_path)
    (tmp_path / "computations").write_bytes(b"a file where a directory should be")
    with pytest.raises(BlobUnavailable), store.write(KEY):
        pass


def test_a_forwarded_blob_crosses_the_wire_as_a_header_and_chunks(
    server: tuple[StorageServer, grpc.Channel], tmp_path: Path
) -> None:
    storage, channel = server
    put(ForwardedBlobs(channel, tmp_path), KEY, bytes(100_000))
    assert storage.messages == ["header", 32768, 32768, 32768, 100_000 - 3 * 32768]
    assert list(tmp_path.iterdir()) == []


def test_a_storage_server_that_is_down_is_a_transient_error(tmp_path: Path) -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        store = ForwardedBlobs(channel, tmp_path)
        with pytest.raises(BlobUnavailable):
            put(store, KEY, b"x")
        with pytest.raises(BlobUnavailable):
            get(store, KEY)
