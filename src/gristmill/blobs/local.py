"""Blobs as files of a local directory, written so that they survive a crash or are not there at all.

A blob is written to a temporary name in its own directory, flushed, renamed, and its directory flushed. Temporary names
begin with a dot, which no key's part does.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gristmill.blobs.digest import BLOCK, Digest, blocks, digest_of, verify
from gristmill.blobs.keys import check_key
from gristmill.errors import MAKE_ROOM, NO_ROOM, BlobUnavailable, FileUnusable, GristmillError, NotFound, StorageFull


class LocalBlobs:
    """A store in one directory, which is made when it is missing (0700; files 0600); else ConfigurationError."""

    def __init__(self, directory: Path) -> None:
        self._root = Path(directory).absolute()
        try:
            _make_directories(self._root)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise _failure("make", str(self._root), error) from error
            raise FileUnusable(
                f"the blob store's directory {self._root} cannot be made: {error.strerror}",
                cure="Give a directory, and give this user the right to write there.",
            ) from None

    @contextmanager
    def write(self, key: str) -> Iterator[LocalWriter]:
        target = self._path(key)
        temporary = target.with_name(f".{secrets.token_hex(8)}.partial")
        writer = LocalWriter(key, temporary, target)
        try:
            _make_directories(target.parent)
            yield writer
        except OSError as error:
            raise _failure("write", key, error) from error
        finally:
            writer.discard()

    @contextmanager
    def read(self, key: str, expected: Digest | None = None) -> Iterator[Path]:
        path = self._path(key)
        try:
            if not path.is_file():
                raise FileNotFoundError(errno.ENOENT, "no such blob", str(path))
            if expected is not None:
                verify(path, key, expected)
        except OSError as error:
            raise _failure("read", key, error) from error
        yield path

    def stream(self, key: str, size: int = BLOCK) -> Iterator[bytes]:
        try:
            yield from blocks(self._path(key), size)
        except OSError as error:
            raise _failure("read", key, error) from error

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise _failure("delete", key, error) from error

    def list(self, prefix: str) -> Iterator[str]:
        start = self._root / prefix.rpartition("/")[0]
        if self._root not in (start, *start.parents) or ".." in start.parts:
            return
        keys = (path.relative_to(self._root).as_posix() for path in start.rglob("*") if path.is_file())
        yield from sorted(key for key in keys if key.startswith(prefix) and "/." not in f"/{key}")

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)


class LocalWriter:
    """One blob on its way to its name."""

    def __init__(self, key: str, temporary: Path, target: Path) -> None:
        self._key, self._temporary, self._target = key, temporary, target
        self._descriptor: int | None = None

    @property
    def path(self) -> Path:
        return self._temporary

    def append(self, chunk: bytes) -> None:
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise _failure("write", self._key, error) from error

    def commit(self) -> Digest:
        try:
            if not self._temporary.exists():
                self.append(b"")
            self._close()
            self._temporary.chmod(0o600)
            digest = digest_of(self._temporary)
            _flush(self._temporary)
            self._temporary.replace(self._target)
            _flush(self._target.parent)
        except OSError as error:
            raise _failure("write", self._key, error) from error
        return digest

    def discard(self) -> None:
        """Remove what was not committed."""
        self._close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _make_directories(directory: Path) -> None:
    """Make a directory and its missing parents durably, each 0700."""
    if directory.is_dir():
        return
    _make_directories(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    _flush(directory.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(verb: str, key: str, error: OSError) -> GristmillError:
    if isinstance(error, FileNotFoundError | NotADirectoryError) and verb == "read":
        return NotFound(f"there is no blob {key}")
    message = f"cannot {verb} {key}: {error.strerror or type(error).__name__}"
    if error.errno in NO_ROOM:
        return StorageFull(message, cure=MAKE_ROOM)
    return BlobUnavailable(message, cure="Check the storage directory.")
