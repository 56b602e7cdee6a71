"""Length and SHA-256 of a blob, and the check of a file against them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gristmill.errors import BlobCorrupt

BLOCK = 1024 * 1024
"""Bytes read at a time."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What identifies a blob's content."""

    length: int
    sha256: bytes


def blocks(path: Path, size: int = BLOCK) -> Iterator[bytes]:
    """The file's bytes in blocks of `size`; the last may be shorter. OSError when it cannot be read."""
    with path.open("rb", buffering=0) as file:
        while block := file.read(size):
            yield block


def digest_of(path: Path) -> Digest:
    """Length and SHA-256 of a file. OSError when it cannot be read."""
    running, length = hashlib.sha256(), 0
    for block in blocks(path):
        running.update(block)
        length += len(block)
    return Digest(length, running.digest())


def verify(path: Path, key: str, expected: Digest) -> None:
    """BlobCorrupt unless the file is what was recorded for the blob `key`."""
    if (length := path.stat().st_size) != expected.length:
        raise BlobCorrupt(f"the blob {key} has {length} bytes, but {expected.length} were recorded")
    if digest_of(path) != expected:
        raise BlobCorrupt(f"the blob {key} differs from what was recorded: its SHA-256 is another")
