"""Share shuffle whose mills are killed at every point of every stage: the same bytes are sent, the result is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from faults.scene import wait_until
from gristmill.consortium.consortium import Consortium, Options
from gristmill.consortium.inspection import Inspection
from gristmill.consumer.request import MeasurementRequest, Privacy
from gristmill.edp.events import EventFile
from gristmill.edp.population import Population
from gristmill.measure.method import Shares
from gristmill.proto.duchy.inspection_pb2 import Event

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(240)]

DYING = str(Path(__file__).with_name("dying_mill.py"))
PEOPLE = Population([(1, 200)])
SEEN = {"one": [*range(1, 51)] * 2, "two": [*range(41, 81)], "three": [200]}
"""81 people: 49 to 51 of them more than once."""
POINTS = [
    *(
        f"{worker} {stage}"
        for worker in ("worker1", "worker2")
        for stage in ("SETUP_PHASE:kept", "SETUP_PHASE:delivered")
    ),
    *(
        f"{worker} SHUFFLE_PHASE:{point}"
        for worker in ("worker1", "worker2")
        for point in ("made", "kept", "delivered")
    ),
    *(f"aggregator AGGREGATION_PHASE:{point}" for point in ("made", "kept", "delivered")),
]


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[Consortium]:
    """Without mills."""
    events = {}
    for name, vids in SEEN.items():
        file = tmp_path / f"{name}.csv"
        file.write_text("id\n" + "".join(f"{vid}\n" for vid in vids))
        events[name] = EventFile(file, population=PEOPLE)
    options = Options(lease=timedelta(seconds=2), mills=0, flags={"kingdom": Shares().flags()})
    with Consortium(tmp_path / "consortium", events, options) as running:
        yield running


def survive(consortium: Consortium, *deaths: str) -> None:
    """Measure with noise while these mills die, each followed by another one."""
    told = dict(death.split() for death in deaths)
    dying = {duchy: consortium.start_mill(duchy, program=[DYING], flags=[f"--die={at}"]) for duchy, at in told.items()}
    for duchy in consortium.wiring.ports.keys() - told:
        consortium.start_mill(duchy)
    with consortium.consumer() as consumer:
        name = consumer.create(
            MeasurementRequest(
                data_providers=tuple(party.resource for party in consortium.keys.data_providers),
                reach=Privacy(10.0, 0.1),
                frequency=Privacy(10.0, 0.1),
                maximum_frequency=3,
            )
        )
        for duchy, child in dying.items():
            assert child.process.wait(60) == -9
            consortium.processes.discard(child)
            consortium.start_mill(duchy)
        result = consumer.wait(name, timeout_seconds=60)
    assert abs(result.reach - 81) < 30
    computation = name.rpartition("/")[2]
    histories = {}
    for duchy in consortium.wiring.ports:
        with consortium.inspection(duchy) as inspection:
            wait_until(partial(ended, inspection), seconds=60)
            histories[duchy] = inspection.events(computation)
    for duchy, at in told.items():
        assert [event.stage for event in histories[duchy] if event.kind == "worker lost"] == [at.partition(":")[0]]
    for worker in ("worker1", "worker2"):
        (kept,) = hashes(histories[worker], "output recorded")
        assert kept in hashes([event for event in histories["aggregator"] if event.actor == worker], "slot filled")
    assert len(hashes(histories["aggregator"], "slot filled")) == 2


def ended(inspection: Inspection) -> bool | None:
    """The duchy itself, and not only the kingdom."""
    return all(each.ending_state == "SUCCEEDED" for each in inspection.computations()) or None


def hashes(events: list[Event], kind: str) -> list[str]:
    return [re.findall("SHA-256 ([0-9a-f]{64})", event.detail)[0] for event in events if event.kind == kind]


def test_two_mills_killed_between_keeping_and_sending_send_what_was_kept(consortium: Consortium) -> None:
    survive(consortium, "worker1 SHUFFLE_PHASE:kept", "worker2 SETUP_PHASE:delivered")


@pytest.mark.long
@pytest.mark.parametrize("death", POINTS)
def test_a_kill_at_any_point_is_survived(consortium: Consortium, death: str) -> None:
    survive(consortium, death)
