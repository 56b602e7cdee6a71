"""The fault proxy breaks connections as it says, and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from faults.proxy import Link, proxying

CALL = b"c" * 200


class Echo:
    """A server that answers each call with as many bytes, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1 << 16):
                    self.asked += len(data)
                    connection.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def link(echo: Echo) -> Iterator[Link]:
    with proxying() as proxy:
        yield proxy.link("echo", echo.port)


@pytest.fixture
def client(link: Link) -> Iterator[socket.socket]:
    """A connection that has been used, and is old enough to be past any handshake."""
    with socket.create_connection(("127.0.0.1", link.port), timeout=5) as opened:
        assert exchange(opened) == len(CALL)
        time.sleep(0.6)
        yield opened


def exchange(opened: socket.socket) -> int:
    """How many bytes of the answer arrive."""
    opened.sendall(CALL)
    received = 0
    while received < len(CALL) and (data := opened.recv(1 << 16)):
        received += len(data)
    return received


def test_a_reply_is_lost_after_the_server_has_had_the_call(client: socket.socket, link: Link, echo: Echo) -> None:
    link.lose_a_reply()
    time.sleep(0.05)
    with pytest.raises(ConnectionResetError):
        exchange(client)
    assert echo.asked == 2 * len(CALL)
    assert link.replies_lost == 1


def test_a_connection_is_reset_in_the_middle_of_a_call(client: socket.socket, link: Link, echo: Echo) -> None:
    link.reset_after(100)
    time.sleep(0.05)
    with pytest.raises(ConnectionResetError):
        exchange(client)
    assert echo.asked < 2 * len(CALL)
    assert link.connections_reset == 1


def test_after_a_fault_new_connections_pass_untouched(client: socket.socket, link: Link) -> None:
    link.reset_after(0)
    time.sleep(0.05)
    with pytest.raises(ConnectionResetError):
        exchange(client)
    with socket.create_connection(("127.0.0.1", link.port), timeout=5) as another:
        time.sleep(0.6)
        assert exchange(another) == len(CALL)


def test_who_is_away_resets_old_and_new_connections_until_it_is_back(client: socket.socket, link: Link) -> None:
    link.refuse(0.5)
    time.sleep(0.05)
    with pytest.raises(ConnectionResetError):
        exchange(client)
    with socket.create_connection(("127.0.0.1", link.port), timeout=5) as refused, pytest.raises(ConnectionError):
        exchange(refused)
    time.sleep(0.5)
    with socket.create_connection(("127.0.0.1", link.port), timeout=5) as back:
        assert exchange(back) == len(CALL)


def test_what_is_held_passes_when_it_is_over(client: socket.socket, link: Link) -> None:
    link.hold(0.5)
    time.sleep(0.05)
    began = time.monotonic()
    assert exchange(client) == len(CALL)
    assert time.monotonic() - began > 0.4


def test_a_slow_link_takes_its_time_for_bytes(client: socket.socket, link: Link) -> None:
    link.slow(5.0, bytes_per_second=1000, delay_seconds=0.1)
    time.sleep(0.05)
    began = time.monotonic()
    assert exchange(client) == len(CALL)
    assert time.monotonic() - began >= 2 * (0.1 + len(CALL) / 1000)
