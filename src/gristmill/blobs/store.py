"""What a blob store does, whatever keeps the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gristmill.blobs.digest import BLOCK, Digest
from gristmill.errors import ConfigurationError

if TYPE_CHECKING:
    import grpc


class BlobWriter(Protocol):
    """A blob that is being written. Until it is committed nobody can read it; left uncommitted, it is removed."""

    @property
    def path(self) -> Path:
        """A file that does not exist yet, for functions that make their output themselves."""

    def append(self, chunk: bytes) -> None:
        """Write more bytes. Either this or `path`, not both."""

    def commit(self) -> Digest:
        """Make it durable under its key, in place of what may have been there. BlobUnavailable when that fails."""


class BlobStore(Protocol):
    """Keys are checked by `check_key` (InvalidRequest). BlobUnavailable: the store did not answer; try again."""

    def write(self, key: str) -> AbstractContextManager[BlobWriter]: ...

    def read(self, key: str, expected: Digest | None = None) -> AbstractContextManager[Path]:
        """A file with the blob's bytes. NotFound; BlobCorrupt when it is not what `expected` says."""

    def stream(self, key: str, size: int = BLOCK) -> Iterator[bytes]:
        """The blob's bytes, in blocks of at most `size`. NotFound at the first block."""

    def delete(self, key: str) -> None:
        """Remove the blob; nothing happens when there is none."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`, in order."""


class StorageChoice(Protocol):
    """The flags of a storage family: exactly one of the first two is set."""

    @property
    def directory(self) -> Path | None: ...
    @property
    def forwarded_target(self) -> str | None: ...
    @property
    def forwarded_cert_host(self) -> str | None: ...


def open_blobs(choice: StorageChoice, connect: Callable[[str, str | None], grpc.Channel] | None = None) -> BlobStore:
    """The store that the flags choose. `connect(target, certificate host)` makes the channel of the forwarded kind."""
    from gristmill.blobs.forwarded import ForwardedBlobs
    from gristmill.blobs.local import LocalBlobs

    if choice.directory is not None:
        return LocalBlobs(choice.directory)
    if choice.forwarded_target is None or connect is None:
        raise ConfigurationError("no blob storage is given", cure="Give --file-system-storage-directory=DIR.")
    return ForwardedBlobs(connect(choice.forwarded_target, choice.forwarded_cert_host))
