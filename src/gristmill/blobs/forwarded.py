"""Blobs kept by a ForwardedStorage server (wire contract of the duchy's internal API, section 11).

Blobs pass through a private spool directory, because stages read and write files.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gristmill.blobs.digest import BLOCK, Digest, blocks, digest_of, verify
from gristmill.blobs.keys import check_key
from gristmill.errors import BlobUnavailable, GristmillError, NotFound

if TYPE_CHECKING:
    import grpc

    from wfa.measurement.internal.testing.forwarded_storage_service_pb2 import WriteBlobRequest

CHUNK = 32 * 1024
"""Bytes a message of a write."""
DEADLINE = 30.0
"""Seconds that a call without a body may take. Transfers have none of their own: they last as long as they progress."""


class ForwardedBlobs:
    """A store behind a channel. `spool` is where blobs pass through; by default the system's temporary directory."""

    def __init__(self, channel: grpc.Channel, spool: Path | None = None) -> None:
        from wfa.measurement.internal.testing.forwarded_storage_service_pb2_grpc import ForwardedStorageStub

        self._storage = ForwardedStorageStub(channel)
        self._spool = spool

    @contextmanager
    def write(self, key: str) -> Iterator[ForwardedWriter]:
        check_key(key)
        with self._directory() as directory:
            writer = ForwardedWriter(directory / "blob", lambda path: self._send(key, path))
            try:
                yield writer
            finally:
                writer.close()

    @contextmanager
    def read(self, key: str, expected: Digest | None = None) -> Iterator[Path]:
        check_key(key)
        with self._directory() as directory:
            path = directory / "blob"
            with path.open("xb") as file:
                for block in self.stream(key):
                    file.write(block)
            if expected is not None:
                verify(path, key, expected)
            yield path

    def stream(self, key: str, size: int = BLOCK) -> Iterator[bytes]:
        import grpc

        from wfa.measurement.internal.testing import forwarded_storage_service_pb2 as pb

        check_key(key)
        try:
            promised = self._storage.GetBlobMetadata(pb.GetBlobMetadataRequest(blob_key=key), timeout=DEADLINE).size
            received = 0
            for response in self._storage.ReadBlob(pb.ReadBlobRequest(blob_key=key)):
                received += len(response.chunk)
                for start in range(0, len(response.chunk), size):
                    yield response.chunk[start : start + size]
        except grpc.RpcError as error:
            raise _failure("read", key, error) from error
        if received != promised:
            raise BlobUnavailable(f"cannot read {key}: {received} of {promised} bytes came")

    def delete(self, key: str) -> None:
        import grpc

        from wfa.measurement.internal.testing import forwarded_storage_service_pb2 as pb

        try:
            self._storage.DeleteBlob(pb.DeleteBlobRequest(blob_key=check_key(key)), timeout=DEADLINE)
        except grpc.RpcError as error:
            failure = _failure("delete", key, error)
            if not isinstance(failure, NotFound):
                raise failure from error

    def list(self, prefix: str) -> Iterator[str]:
        import grpc

        from wfa.measurement.internal.testing import forwarded_storage_service_pb2 as pb

        try:
            response = self._storage.ListBlobMetadata(pb.ListBlobMetadataRequest(prefix=prefix), timeout=DEADLINE)
        except grpc.RpcError as error:
            raise _failure("list", prefix, error) from error
        yield from sorted(blob.blob_key for blob in response.blob_metadata)

    def _send(self, key: str, path: Path) -> Digest:
        import grpc

        from wfa.measurement.internal.testing import forwarded_storage_service_pb2 as pb

        def requests() -> Iterator[WriteBlobRequest]:
            yield pb.WriteBlobRequest(header=pb.WriteBlobRequest.Header(blob_key=key))
            for block in blocks(path, CHUNK):
                yield pb.WriteBlobRequest(body_chunk=pb.WriteBlobRequest.BodyChunk(content=block))

        digest = digest_of(path)
        try:
            stored = self._storage.WriteBlob(requests())
        except grpc.RpcError as error:
            raise _failure("write", key, error) from error
        if stored.size != digest.length:
            raise BlobUnavailable(f"cannot write {key}: {stored.size} of {digest.length} bytes were stored")
        return digest

    @contextmanager
    def _directory(self) -> Iterator[Path]:
        """A directory of one blob's own (0700), gone afterwards."""
        try:
            directory = Path(tempfile.mkdtemp(prefix="gristmill-", dir=self._spool))
        except OSError as error:
            raise BlobUnavailable(f"cannot make a spool file: {error.strerror}", cure="Check TMPDIR.") from error
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


class ForwardedWriter:
    """One blob in the spool, sent when it is committed."""

    def __init__(self, path: Path, send: Callable[[Path], Digest]) -> None:
        self._path, self._send = path, send
        self._file: BinaryIO | None = None

    @property
    def path(self) -> Path:
        return self._path

    def append(self, chunk: bytes) -> None:
        if self._file is None:
            self._file = self._path.open("xb")
        self._file.write(chunk)

    def commit(self) -> Digest:
        self.close()
        self._path.touch(mode=0o600)
        return self._send(self._path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _failure(verb: str, key: str, error: grpc.RpcError) -> GristmillError:
    import grpc

    status = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    if status is grpc.StatusCode.NOT_FOUND:
        return NotFound(f"there is no blob {key}")
    return BlobUnavailable(f"cannot {verb} {key}: the storage server answered {status.name}")
