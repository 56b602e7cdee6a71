"""Forgetting computations, and saying which blobs nobody needs any more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlobKeys:
    """Blobs that nothing refers to any more, each key relative to its store."""

    computations: tuple[str, ...] = ()
    requisitions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Purged:
    """How many computations, all their global IDs, and the blobs to delete (none without force)."""

    count: int
    global_ids: tuple[str, ...]
    blobs: BlobKeys
