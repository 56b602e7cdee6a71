"""A service as a process: logs, metrics, no core dumps, SIGTERM drains and ends with exit code 0."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from gristmill.observe import logs, metrics
from gristmill.trust.process import disable_core_dumps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


def run(
    name: str,
    service: AbstractAsyncContextManager[T],
    *,
    level: str,
    metrics_port: int | None,
    failed: Callable[[T], Awaitable[object]] | None = None,
) -> int:
    """Run a service until SIGTERM or SIGINT; returns the exit code.

    Args:
        failed: gives what ends, with an error, if the service cannot go on by itself.
    """
    logs.configure(level=level)
    disable_core_dumps()
    return asyncio.run(_run(name, service, metrics_port, failed))


async def _run(
    name: str,
    service: AbstractAsyncContextManager[T],
    metrics_port: int | None,
    failed: Callable[[T], Awaitable[object]] | None,
) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with nullcontext() if metrics_port is None else metrics.serve(metrics_port):
        async with service as serving:
            if isinstance(serving, int):
                logs.logger(name).info("listening", port=serving)
            stopped = asyncio.ensure_future(stop.wait())
            ends: set[asyncio.Future[object]] = {stopped}  # type: ignore[arg-type]
            if failed:
                ends.add(asyncio.ensure_future(failed(serving)))
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            logs.logger(name).info("draining")
            for end in done:
                if error := end.exception():
                    # It came up and then could not go on: a failure (1), not wrong usage (2).
                    logs.logger(name).error("giving up", reason=str(error))
                    return 1
    return 0
