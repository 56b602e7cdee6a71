"""Bodies that break off or do not go on, at the worst moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gristmill.blobs import LocalBlobs
from gristmill.blobs.local import LocalWriter
from gristmill.duchy import bodies
from gristmill.errors import Unavailable


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def keep(blobs: LocalBlobs, body: AsyncIterator[bytes]) -> Any:
    return bodies.keep(blobs, "computations/x", body, unit=1, limit=10**9, promise=bodies.Promise(), what="the body")


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.mark.parametrize("step", ["append", "commit"])
async def test_a_sender_that_breaks_off_while_the_disk_works_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    started, may_go_on = threading.Event(), threading.Event()
    real: Callable[..., Any] = getattr(LocalWriter, step)

    def slow(writer: LocalWriter, *arguments: Any) -> Any:
        started.set()
        assert may_go_on.wait(10)
        return real(writer, *arguments)

    monkeypatch.setattr(LocalWriter, step, slow)
    task = asyncio.ensure_future(keep(LocalBlobs(tmp_path), chunks(bytes(10))))
    assert await asyncio.to_thread(started.wait, 10)
    task.cancel()
    asyncio.get_running_loop().call_later(0.2, may_go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.5)  # were the disk still at work, it would be done by now
    assert files(tmp_path) == []


@pytest.mark.parametrize("read", [keep, lambda _, body: bodies.drop(body)], ids=["keep", "drop"])
async def test_empty_chunks_are_no_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Any) -> None:
    monkeypatch.setattr(bodies, "PATIENCE", 0.2)

    async def nothing() -> AsyncIterator[bytes]:
        yield b"1"
        while True:
            await asyncio.sleep(0.01)
            yield b""

    with pytest.raises(Unavailable):
        async with asyncio.timeout(5):
            await read(LocalBlobs(tmp_path), nothing())
