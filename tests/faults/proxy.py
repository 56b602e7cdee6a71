"""A TCP proxy between the parties that breaks their connections on demand. TLS passes through it untouched.

It runs an event loop in a thread of its own. What a link does to its connections may be asked for from any thread.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
CHUNK: Final = 64 << 10
A_CALL: Final = 80
"""Bytes. What is shorter, sealed by TLS, is a ping, a window or an acknowledgement, not a call or its answer."""
SETTLED_SECONDS: Final = 0.5
"""A connection that is younger may still be shaking hands: a lost answer there loses no reply to a call."""


@dataclass(eq=False, slots=True)
class Connection:
    """One client's connection, with its other half to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    since: float
    asked: bool = False
    """Its replies are swallowed: a call has gone through since that was asked for."""

    def reset(self) -> None:
        """Both ends get a reset, and nothing that is still on its way arrives."""
        reset(self.client)
        reset(self.server)


def reset(writer: asyncio.StreamWriter) -> None:
    opened = writer.get_extra_info("socket")
    with suppress(OSError):
        if opened is not None and opened.family != socket.AF_UNIX:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass(eq=False, slots=True)
class Link:
    """A port that leads to a server. Each fault ends by itself; several may overlap."""

    name: str
    port: int
    upstream: int | Path
    loop: asyncio.AbstractEventLoop
    connections: set[Connection] = field(default_factory=set)
    replies_lost: int = 0
    connections_reset: int = 0
    _losing: bool = False
    _reset_after: int | None = None
    _refusing_until: float = 0.0
    _held_until: float = 0.0
    _slow_until: float = 0.0
    _bytes_per_second: float = 0.0
    _delay_seconds: float = 0.0

    def lose_a_reply(self) -> None:
        """The next call goes through to the server, which answers; the answer is swallowed and the connection reset."""
        self._soon(lambda: setattr(self, "_losing", True))

    def reset_after(self, count: int) -> None:
        """The connections are reset in mid-stream: as soon as clients have sent this many bytes more."""
        self._soon(lambda: setattr(self, "_reset_after", count))

    def slow(self, seconds: float, *, bytes_per_second: float, delay_seconds: float) -> None:
        def begin() -> None:
            self._slow_until = self.loop.time() + seconds
            self._bytes_per_second, self._delay_seconds = bytes_per_second, delay_seconds

        self._soon(begin)

    def hold(self, seconds: float) -> None:
        """Nothing passes, nobody is told: a network that is parted, and heals."""
        self._soon(lambda: setattr(self, "_held_until", self.loop.time() + seconds))

    def refuse(self, seconds: float) -> None:
        """Connections are reset, and new ones too: a server that is away."""

        def begin() -> None:
            self._refusing_until = self.loop.time() + seconds
            self._reset_all()

        self._soon(begin)

    def _soon(self, act: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(act)

    def _reset_all(self) -> None:
        for connection in list(self.connections):
            connection.reset()

    async def serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One connection from a client, until either side ends it."""
        if self.loop.time() < self._refusing_until:
            reset(client)
            return
        try:
            if isinstance(self.upstream, Path):
                answers, server = await asyncio.open_unix_connection(str(self.upstream))
            else:
                answers, server = await asyncio.open_connection(HOST, self.upstream)
        except OSError:
            reset(client)
            return
        connection = Connection(client, server, self.loop.time())
        self.connections.add(connection)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._calls(connection, reader))
                both.create_task(self._answers(connection, answers))
        except* OSError:
            pass
        finally:
            self.connections.discard(connection)
            for writer in (client, server):
                writer.close()

    async def _calls(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            await self._pass(len(data))
            settled = self.loop.time() - connection.since > SETTLED_SECONDS
            if self._losing and settled and len(data) >= A_CALL:
                connection.asked = True
            if self._reset_after is not None and settled:
                self._reset_after -= len(data)
                if self._reset_after < 0:
                    self._reset_after, self.connections_reset = None, self.connections_reset + 1
                    connection.server.write(data[: len(data) // 2])
                    connection.reset()
                    return
            connection.server.write(data)
            await connection.server.drain()
        connection.server.write_eof()

    async def _answers(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            await self._pass(len(data))
            if connection.asked:
                if len(data) >= A_CALL and self._losing:
                    self._losing, self.replies_lost = False, self.replies_lost + 1
                    connection.reset()
                    return
                if self._losing:
                    continue
                connection.asked = False  # another connection has lost its reply
                connection.reset()  # bytes of this one may be missing
                return
            connection.client.write(data)
            await connection.client.drain()
        connection.client.write_eof()

    async def _pass(self, count: int) -> None:
        """Return when this many bytes may go on."""
        await asyncio.sleep(max(0.0, self._held_until - self.loop.time()))
        if self.loop.time() < self._slow_until:
            await asyncio.sleep(self._delay_seconds + count / self._bytes_per_second)


class Proxy:
    """Links, in a thread of its own. Made by `proxying`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._servers: list[asyncio.Server] = []
        self.links: dict[str, Link] = {}

    def link(self, name: str, upstream: int | Path) -> Link:
        """A new port that leads to a port on this machine, or to a Unix socket."""
        return asyncio.run_coroutine_threadsafe(self._link(name, upstream), self._loop).result(10)

    async def _link(self, name: str, upstream: int | Path) -> Link:
        link = Link(name, 0, upstream, self._loop)
        server = await asyncio.start_server(link.serve, HOST, 0)
        link.port = server.sockets[0].getsockname()[1]
        self._servers.append(server)
        self.links[name] = link
        return link

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for link in self.links.values():
            for connection in list(link.connections):
                connection.reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def proxying() -> Iterator[Proxy]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    proxy = Proxy(loop)
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
