from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from gristmill.consortium.processes import Processes, free_ports, listens
from gristmill.errors import PartyFailed


def test_a_child_that_ends_is_named_with_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path / "logs", os.environ) as processes:
        child = processes.start("mill worker1", ["no-such-command"])
        with pytest.raises(PartyFailed, match="mill worker1 ended with exit code 2") as caught:
            processes.wait_for("mill worker1", lambda: False)
        assert str(child.log) in caught.value.cure
        assert "no-such-command" in str(caught.value)


def test_leaving_the_block_ends_every_child(tmp_path: Path) -> None:
    with Processes(tmp_path / "logs", os.environ) as processes:
        child = processes.start("idle", ["--version"])
        stopped = processes.start("stopped", ["--version"])
        os.kill(stopped.pid, signal.SIGSTOP)  # cannot answer SIGTERM, so it must be killed
        processes.stop(grace_seconds=0.5)
    assert child.process.poll() is not None
    assert stopped.process.poll() is not None


def test_what_does_not_become_ready_in_time_is_named(tmp_path: Path) -> None:
    started = time.monotonic()
    with (
        Processes(tmp_path / "logs", os.environ) as processes,
        pytest.raises(PartyFailed, match="kingdom was not ready"),
    ):
        processes.wait_for("kingdom", lambda: False, seconds=0.2)
    assert time.monotonic() - started < 5


def test_free_ports_differ_and_nothing_listens_there() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not listens(ports[:1])


def test_free_ports_are_none_that_connections_get_so_that_a_server_finds_its_own_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as chosen_by_the_system:
        assert max(free_ports(50)) < 32768 <= chosen_by_the_system.getsockname()[1]
