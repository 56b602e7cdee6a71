"""A whole measurement whose disk is full for a while: it waits, and its answer is right."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from full_disk import Disk
from gristmill import _native as native

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("e2e")]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SECONDS_FULL = 8


def parties(measurement: int) -> list[int]:
    """The processes that the measurement has started."""
    told = Path(f"/proc/{measurement}/task/{measurement}/children").read_text()
    return [int(process) for process in told.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the parties in /proc")
def test_a_measurement_goes_on_when_there_is_room_again(disk: Disk) -> None:
    kept = disk.directory / "kept"
    measuring = subprocess.Popen(
        [
            *(sys.executable, "-m", "gristmill", "measure", "--json", "--truth", f"--keep={kept}"),
            *(f"--events={name}={EXAMPLES / name}.csv" for name in ("news", "video")),
            "--id-column=person",
            *("--reach-epsilon=100", "--reach-delta=0.5", "--frequency-epsilon=100", "--frequency-delta=0.5"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert measuring.stderr
        for line in measuring.stderr:
            if "phase" in line:  # it was asked, and is being worked on
                break
        disk.fill(*parties(measuring.pid), room=4096)
        time.sleep(SECONDS_FULL)
        assert measuring.poll() is None, measuring.communicate()
        disk.make_room(*parties(measuring.pid))
        output, said = measuring.communicate(timeout=240)
    finally:
        measuring.kill()
        measuring.communicate()
    assert measuring.returncode == 0, said
    reach = json.loads(output)["reach"]
    # The noise is 0, and these people are in registers of their own.
    assert reach["value"] == native.estimate_reach(
        decay_rate=12.0, size=100_000, active=reach["exact"], sampling_width=1.0
    )
