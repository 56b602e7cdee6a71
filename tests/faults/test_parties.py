"""A party whose process ends by itself is named, with its log, and everything else is stopped."""

from __future__ import annotations

import os
import signal
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from e2e.expected import some_departures
from gristmill.consortium.consortium import Consortium, Options
from gristmill.demo.run import measure
from gristmill.errors import PartyFailed

pytestmark = pytest.mark.xdist_group("faults")


def test_a_duchy_that_dies_during_a_measurement_is_named_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Consortium] = []
    start = Consortium.start

    def start_and_kill(self: Consortium) -> None:
        start(self)
        started.append(self)
        (server,) = [child for child in self.processes.children if child.name == "worker2"]
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()

    monkeypatch.setattr(Consortium, "start", start_and_kill)
    with pytest.raises(PartyFailed, match="worker2 was ended by signal 9") as failure:
        measure(some_departures(30), tmp_path, Console(file=StringIO()), options=Options(mills=0))
    assert str(tmp_path / "logs" / "worker2.log") in failure.value.cure
    assert started[0].processes.children == []
