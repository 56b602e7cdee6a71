"""Parties find each other again soon after one of them was away."""

from __future__ import annotations

import socket
import threading
import time
from itertools import pairwise
from pathlib import Path

import grpc
import pytest

from gristmill.trust import development
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, channel, client_credentials

AWAY_SECONDS = 32.0


@pytest.mark.long
def test_a_channel_tries_every_few_seconds_however_long_the_server_is_away(tmp_path: Path) -> None:
    tries: list[float] = []

    def slam_the_door() -> None:
        while True:
            try:
                listening.accept()[0].close()
            except OSError:
                return
            tries.append(time.monotonic())

    keys = development.make(tmp_path / "keys", duchies=("worker1", "aggregator"), data_providers=())
    duchy = keys.duchy("worker1")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=slam_the_door, daemon=True).start()
        target = Target(f"127.0.0.1:{listening.getsockname()[1]}", duchy.cert_host)
        with channel(target, client_credentials([read_certificate(duchy.root_file)], duchy.tls)) as opened:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = opened.unary_unary("/service/Method")
            until = time.monotonic() + AWAY_SECONDS
            while time.monotonic() < until:
                with pytest.raises(grpc.RpcError):
                    call(b"", timeout=0.5)
                time.sleep(0.2)
        listening.shutdown(socket.SHUT_RDWR)
    assert max(later - earlier for earlier, later in pairwise(tries)) < 7.5
