"""Mills that are killed, stopped past their lease, or hang: the measurement ends with the right result all the same."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from faults.scene import assert_right, computation, events, measuring, wait_for_claim, wait_until
from gristmill.consortium.consortium import Consortium, Options
from gristmill.consortium.processes import Child

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(240)]

LEASE = timedelta(seconds=2)
SLOW = Options(lease=LEASE, parallelism=1)


def mill(consortium: Consortium, duchy: str) -> Child:
    (child,) = [child for child in consortium.processes.children if child.name == f"{duchy} mill 1"]
    return child


@pytest.mark.parametrize(
    ("duchy", "stage"), [("worker1", "EXECUTION_PHASE_ONE"), ("aggregator", "EXECUTION_PHASE_TWO")]
)
def test_a_measurement_survives_the_kill_of_a_mill(tmp_path: Path, duchy: str, stage: str) -> None:
    with measuring(tmp_path, SLOW) as (consortium, consumer, name):
        wait_for_claim(consortium, duchy, stage)
        killed = mill(consortium, duchy)
        os.kill(killed.pid, signal.SIGKILL)
        consortium.processes.discard(killed)
        killed.process.wait()
        consortium.start_mill(duchy)
        assert_right(consumer, name)
        lost = [event.stage for event in events(consortium, duchy) if event.kind == "worker lost"]
        assert lost == [stage]


def test_a_mill_stopped_past_its_lease_writes_nothing_when_it_wakes(tmp_path: Path) -> None:
    with measuring(tmp_path, SLOW) as (consortium, consumer, name):
        stopped = mill(consortium, "worker2")
        wait_for_claim(consortium, "worker2", "EXECUTION_PHASE_ONE")
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            consortium.start_mill("worker2")
            assert_right(consumer, name)
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
    with measuring(tmp_path, options) as (consortium, consumer, name):
        for duchy in ("worker2", "aggregator"):
            consortium.start_mill(duchy)
        consortium.start_mill("worker1", program=[hanging], flags=["--stall-timeout=1s"])
        wait_for_claim(consortium, "worker1", "EXECUTION_PHASE_ONE")
        consortium.start_mill("worker1")
        assert_right(consumer, name)
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
    folder = consortium.wiring.blobs(duchy)
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
