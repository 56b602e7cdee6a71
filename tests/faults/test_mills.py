"""Mills that are killed, stopped past their lease, or hang: the measurement ends with the right result all the same."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from e2e.expected import providers, some_departures
from faults.scene import assert_right, computation, events, measuring, wait_for_claim, wait_until
from gristmill.consortium.consortium import Consortium, Options
from gristmill.consortium.processes import Child
from gristmill.demo.flights import departures

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

LEASE = timedelta(seconds=2)
SOME = providers(some_departures(700))


def mill(consortium: Consortium, duchy: str) -> Child:
    (child,) = [child for child in consortium.processes.children if child.name == f"{duchy} mill 1"]
    return child


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param((("worker1", "EXECUTION_PHASE_ONE"), ("aggregator", "EXECUTION_PHASE_TWO")), id="llv2"),
        pytest.param((("worker2", "SETUP_PHASE"), ("worker1", "EXECUTION_PHASE")), id="reach-only"),
        *(
            pytest.param(((duchy, stage),), id=f"reach-only {duchy} {stage}", marks=pytest.mark.long)
            for duchy in ("worker1", "worker2", "aggregator")
            for stage in ("INITIALIZATION_PHASE", "CONFIRMATION_PHASE", "SETUP_PHASE", "EXECUTION_PHASE")
        ),
    ],
)
def test_the_demos_measurement_survives_the_kill_of_a_mill_in_a_stage(
    tmp_path: Path, request: pytest.FixtureRequest, kills: tuple[tuple[str, str], ...]
) -> None:
    reach_only = "reach-only" in request.node.name
    week = providers(departures("week"))
    with measuring(tmp_path, week, Options(lease=LEASE), reach_only=reach_only) as (consortium, consumer, name):
        for duchy, stage in kills:
            wait_for_claim(consortium, duchy, stage)
            killed = mill(consortium, duchy)
            os.kill(killed.pid, signal.SIGKILL)
            consortium.processes.discard(killed)
            killed.process.wait()
            consortium.start_mill(duchy)
        assert_right(consumer, name, week)
        for duchy, stage in kills:
            assert [event.stage for event in events(consortium, duchy) if event.kind == "worker lost"] == [stage]


def test_a_mill_stopped_past_its_lease_writes_nothing_when_it_wakes(tmp_path: Path) -> None:
    with measuring(tmp_path, SOME, Options(lease=LEASE, parallelism=1)) as (consortium, consumer, name):
        stopped = mill(consortium, "worker2")
        wait_for_claim(consortium, "worker2", "EXECUTION_PHASE_ONE")
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            consortium.start_mill("worker2")
            assert_right(consumer, name, SOME)
            _settled(consortium)
            before, files = events(consortium, "worker2"), _files(consortium, "worker2")
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        time.sleep(2 * LEASE.total_seconds())
        assert stopped.process.poll() is None, "it goes on looking for work"
        assert events(consortium, "worker2") == before
        assert _files(consortium, "worker2") == files
        lost = [event for event in before if event.kind == "worker lost"]
        assert [event.actor for event in lost] == ["worker2-mill-1"]
        late = before[before.index(lost[0]) :]
        assert "worker2-mill-1" not in {event.actor for event in late[1:]}


def test_a_stage_that_hangs_loses_its_lease_and_is_finished_by_another_mill(tmp_path: Path) -> None:
    hanging = str(Path(__file__).with_name("hanging_mill.py"))
    options = Options(lease=LEASE, mills=0)
    with measuring(tmp_path, SOME, options) as (consortium, consumer, name):
        for duchy in ("worker2", "aggregator"):
            consortium.start_mill(duchy)
        consortium.start_mill("worker1", program=[hanging], flags=["--stall-timeout=1s"])
        wait_for_claim(consortium, "worker1", "EXECUTION_PHASE_ONE")
        consortium.start_mill("worker1")
        assert_right(consumer, name, SOME)
        attempts = [event.actor for event in events(consortium, "worker1")
                    if event.kind == "claimed" and event.stage == "EXECUTION_PHASE_ONE"]  # fmt: skip
        assert attempts == ["worker1-mill-1", "worker1-mill-2"]


def _settled(consortium: Consortium) -> None:
    """Every duchy has ended its computation, not only the kingdom."""

    def ended() -> bool | None:
        found = [computation(consortium, duchy) for duchy in consortium.wiring.ports]
        return all(each and each.ending_state for each in found) or None

    wait_until(ended, seconds=30)


def _files(consortium: Consortium, duchy: str) -> dict[str, int]:
    """Blobs and when they were written. An unfinished temporary file, which its own mill removes, is none."""
    blobs = [path for path in consortium.wiring.blobs(duchy).rglob("*") if path.suffix != ".partial"]
    return {str(path): path.stat().st_mtime_ns for path in blobs if path.is_file()}
