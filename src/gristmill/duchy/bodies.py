"""Bodies that strangers stream to this duchy: bounded, checked, and kept only when they are whole.

gRPC delivers small chunks (32 KiB from the existing system); they are gathered into blocks before they go to the blob
store, whose calls block and therefore run in a thread. Memory stays at a few blocks whatever the body's size.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

from gristmill.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore, Digest

T = TypeVar("T")

BLOCK: Final = 1024 * 1024
"""Bytes handed to the blob store at once."""
PATIENCE: Final = 120.0
"""Seconds without a new chunk after which a sender has stalled."""
POLITENESS: Final = 64 * 1024 * 1024
"""Bytes of an unwanted body that are read before the answer is given all the same."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What the sender says about its body in the call's metadata; None where it says nothing."""

    length: int | None = None
    sha256: bytes | None = None


def read_promise(metadata: Mapping[str, str]) -> Promise:
    """From `gristmill-length` and `gristmill-sha256` (hex). InvalidRequest when they are malformed."""
    length, digest = metadata.get("gristmill-length"), metadata.get("gristmill-sha256")
    if length is not None and not re.fullmatch(r"[0-9]{1,18}", length):
        raise InvalidRequest("metadata gristmill-length is not a number of bytes")
    if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise InvalidRequest("metadata gristmill-sha256 is not 64 lower-case hex digits")
    return Promise(int(length) if length is not None else None, bytes.fromhex(digest) if digest is not None else None)


async def opening(stream: AsyncIterator[T]) -> T | None:
    """The first message of a stream; None if it is empty. Unavailable when the caller says nothing."""
    async with _patience():
        return await anext(stream, None)


async def keep(
    blobs: BlobStore,
    key: str,
    chunks: AsyncIterator[bytes],
    *,
    unit: int,
    limit: int,
    promise: Promise,
    what: str,
    shortest: int = 0,
    may_be_empty: bool = False,
) -> Digest:
    """Write a body to the blob store and return its length and hash. Nothing stays behind when it is refused.

    Args:
        unit: the body must be a positive multiple of this many bytes.
        limit: the body may have this many bytes at most.
        shortest: and this many at least, unless it may be empty.
        what: its name in messages, such as "the body of SETUP_PHASE_INPUT".
        may_be_empty: an empty body is taken if it was announced as empty.

    Raises:
        InvalidRequest: empty, too long, not in whole units, or not what was promised.
        Unavailable: the sender stalled.
    """
    if promise.length is not None and promise.length > limit:
        raise InvalidRequest(f"{what} is announced with {promise.length} bytes; {limit} is the most")
    running, length = sha256(), 0
    writer_context = blobs.write(key)
    writer = await _finished(writer_context.__enter__)

    def append(block: bytes) -> None:
        running.update(block)
        writer.append(block)

    try:
        async with _patience() as more:
            async for block in _blocks(chunks, more):
                length += len(block)
                if length > limit:
                    raise InvalidRequest(f"{what} has more than {limit} bytes")
                await _finished(append, block)
        if not length and not (may_be_empty and promise.length == 0):
            raise InvalidRequest(f"{what} is empty")
        if promise.length is not None and promise.length != length:
            raise InvalidRequest(f"{what} ended after {length} of {promise.length} bytes")
        if 0 < length < shortest:
            raise InvalidRequest(f"{what} has only {length} bytes; {shortest} is the least")
        if length % unit:
            raise InvalidRequest(f"{what} has {length} bytes, which is not a multiple of {unit}")
        if promise.sha256 is not None and not hmac.compare_digest(promise.sha256, running.digest()):
            raise InvalidRequest(f"{what} differs from the SHA-256 that was sent with it")
        try:
            return await _finished(writer.commit)
        except asyncio.CancelledError:
            # It was committed all the same, or not: nobody will record it.
            await _finished(blobs.delete, key)
            raise
    finally:
        # Not committed: the writer removes what it has written, also when the sender's stream breaks (CancelledError).
        await _finished(writer_context.__exit__, None, None, None)


async def _finished(step: Callable[..., T], *arguments: object) -> T:
    """What `step` gives, in a thread. A cancellation waits for its end: no two steps may work on one file at once."""
    task = asyncio.ensure_future(asyncio.to_thread(step, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen: who cancelled is told nothing else
        raise


async def drop(chunks: AsyncIterator[bytes]) -> None:
    """Read an unwanted body, up to a bound, so that an honest sender is not interrupted in the middle of it."""
    dropped = 0
    async with _patience() as more:
        async for chunk in chunks:
            if chunk:
                more()
            dropped += len(chunk)
            if dropped > POLITENESS:
                return


@asynccontextmanager
async def _patience() -> AsyncIterator[Callable[[], None]]:
    """A time limit that follows progress: it starts anew whenever the function that it gives is called."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE) as limit:
            yield lambda: limit.reschedule(loop.time() + PATIENCE)
    except TimeoutError:
        raise Unavailable(f"nothing came for {PATIENCE:.0f} s", cure="Send it again.") from None


async def _blocks(chunks: AsyncIterator[bytes], more: Callable[[], None]) -> AsyncIterator[bytes]:
    """The chunks gathered into blocks; `more` is called for each chunk that has bytes: others are no progress."""
    gathered, size = [], 0
    async for chunk in chunks:
        if not chunk:
            continue
        more()
        gathered.append(chunk)
        size += len(chunk)
        if size >= BLOCK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)
