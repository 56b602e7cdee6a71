"""Parties that end by themselves are started again, ever more rarely while they keep ending."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.consortium.processes import Child, Processes
from gristmill.standing.supervisor import Restarts

LASTING = ("-c", "import sys, time; time.sleep(60)")
"""In the place of the party; what is started again is `gristmill --version`, which ends at once."""


@pytest.fixture
def restarts(tmp_path: Path) -> Iterator[Restarts]:
    with Processes(tmp_path / "logs", os.environ) as processes:
        processes.start("mill", ["--version"])
        yield Restarts(processes)


def the_child(restarts: Restarts, *, ended: bool = True) -> Child:
    [child] = restarts.processes.children
    if ended:
        child.process.wait()
    return child


def times_started_again(restarts: Restarts, *, until: float, since: float = 0.0) -> list[float]:
    """At which times, looked at every half second."""
    found, count = [], restarts.counts.get("mill", 0)
    for half_seconds in range(round(2 * since), round(2 * until) + 1):
        the_child(restarts)
        restarts.tend(half_seconds / 2)
        if restarts.counts.get("mill", 0) > count:
            count = restarts.counts["mill"]
            found.append(half_seconds / 2)
    return found


def test_a_party_that_runs_is_left_alone(restarts: Restarts) -> None:
    restarts.processes.discard(the_child(restarts))
    restarts.processes.start("mill", [], LASTING)
    assert not restarts.tend(0.0)
    assert not restarts.tend(1000.0)
    assert restarts.counts == {}


def test_a_killed_party_is_started_again_after_a_second_with_the_same_flags(restarts: Restarts) -> None:
    restarts.processes.discard(the_child(restarts))
    killed = restarts.processes.start("mill", ["--version"], LASTING)
    os.kill(killed.pid, signal.SIGKILL)
    the_child(restarts)
    assert restarts.tend(10.0)
    assert not restarts.tend(10.9)
    assert restarts.tend(11.0)
    again = the_child(restarts, ended=False)
    assert (again.name, again.arguments, again.pid != killed.pid) == ("mill", ("--version",), True)
    assert restarts.counts == {"mill": 1}


def test_pauses_double_while_it_keeps_ending(restarts: Restarts) -> None:
    assert times_started_again(restarts, until=17) == [1.0, 3.5, 8.0, 16.5]


def test_a_party_that_ran_for_a_minute_is_started_again_as_soon_as_the_first_time(restarts: Restarts) -> None:
    assert times_started_again(restarts, until=8) == [1.0, 3.5, 8.0]
    assert times_started_again(restarts, since=100, until=102) == [101.0]


def test_no_room_for_another_process_now_is_tried_again_later(
    restarts: Restarts, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_child(restarts)
    restarts.tend(0.0)
    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", _no_memory)
        assert not restarts.tend(1.0)
    assert restarts.counts == {}
    assert not restarts.tend(30.0)
    assert restarts.tend(31.0)


def _no_memory(*_: object, **__: object) -> None:
    raise OSError(12, "Cannot allocate memory")
