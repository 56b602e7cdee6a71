"""Calls that stream requests to a duchy: by the synchronous client in a thread, as mills and data providers have it.

grpc.aio's client may lose the status of a call that is refused before its last request: the write under way fails in
the core (`Failed "execute_batch": SendMessageOperation`), and grpc/aio/_call.py then puts INTERNAL, "Internal error
from Core", in the place of what the server said. The synchronous client keeps the server's status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any


async def stream(call: Callable[..., Any], requests: Iterable[Any], **options: Any) -> Any:
    """`call` is a method of a stub on a synchronous channel; raises grpc.RpcError with the server's status."""
    return await asyncio.to_thread(call, iter(requests), **options)
