"""A whole measurement through real services, all of them processes of their own that talk over mutual TLS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.expected import WITHOUT_NOISE, expected, providers, some_departures
from gristmill.consortium.consortium import Consortium, Options
from gristmill.consortium.inspection import Inspection
from gristmill.consumer.request import MeasurementRequest
from gristmill.consumer.result import MeasurementResult
from gristmill.errors import MeasurementFailed

pytestmark = pytest.mark.xdist_group("e2e")


EVENTS = providers(some_departures(300))
OPENING = ["INITIALIZATION_PHASE", "CONFIRMATION_PHASE", "SETUP_PHASE"]
HOSTILE_PROVIDER = Path(__file__).with_name("hostile_provider.py")


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    with Consortium(tmp_path_factory.mktemp("consortium"), EVENTS) as running:
        yield running


@pytest.fixture(scope="module")
def result(consortium: Consortium) -> MeasurementResult:
    """Of reach and frequency."""
    with consortium.consumer() as consumer:
        return consumer.wait(consumer.create(request(consortium)), timeout_seconds=200)


def request(consortium: Consortium) -> MeasurementRequest:
    return MeasurementRequest(
        data_providers=tuple(party.resource for party in consortium.keys.data_providers),
        reach=WITHOUT_NOISE,
        frequency=WITHOUT_NOISE,
        maximum_frequency=10,
    )


def test_reach_and_frequency_are_those_of_the_joined_sketches(result: MeasurementResult) -> None:
    reach, frequency = expected(EVENTS, 10)
    assert result.reach == reach
    assert dict(result.frequency) == pytest.approx(frequency)


def test_every_duchy_has_worked_every_stage_once(consortium: Consortium, result: MeasurementResult) -> None:
    phases = ["EXECUTION_PHASE_ONE", "EXECUTION_PHASE_TWO", "EXECUTION_PHASE_THREE"]
    assert stages(consortium, result) == [*OPENING, *phases]


def test_reach_alone_is_measured_by_the_reach_only_protocol(consortium: Consortium) -> None:
    result = measured_reach(consortium)
    assert result.protocol == "reach_only_liquid_legions_v2"
    assert stages(consortium, result) == [*OPENING, "EXECUTION_PHASE"]


def test_without_that_protocol_reach_alone_is_measured_with_maximum_frequency_1(tmp_path: Path) -> None:
    options = Options(flags={"kingdom": ("--enable-ro-llv2-protocol=false",)})
    with Consortium(tmp_path, EVENTS, options) as consortium:
        result = measured_reach(consortium)
        assert result.protocol == "liquid_legions_v2"
        assert stages(consortium, result) == [*OPENING, "EXECUTION_PHASE_ONE", "EXECUTION_PHASE_TWO"]


def measured_reach(consortium: Consortium) -> MeasurementResult:
    """Of a measurement of reach alone, seen to be the right one."""
    with consortium.consumer() as consumer:
        asked = replace(request(consortium), frequency=None)
        result = consumer.wait(consumer.create(asked), timeout_seconds=200)
    assert result.reach == expected(EVENTS, 10)[0]
    assert result.frequency == {}
    return result


def stages(consortium: Consortium, result: MeasurementResult) -> list[str]:
    """What the mills claimed, in order and the same at every duchy."""
    found = []
    for duchy in consortium.wiring.ports:
        with consortium.inspection(duchy) as inspection:
            events = inspection.events(result.measurement.rpartition("/")[2])
        found.append([event.stage for event in events if event.kind == "claimed"])
    assert found == [found[0]] * len(found)
    return found[0]


def test_a_data_provider_that_sends_no_points_fails_its_measurement_only(consortium: Consortium) -> None:
    name = next(iter(EVENTS))
    (honest,) = (child for child in consortium.processes.children if child.name == name)
    consortium.processes.stop([honest])
    hostile = consortium.processes.start(name, honest.arguments, [str(HOSTILE_PROVIDER)])
    with consortium.consumer() as consumer:
        spoilt = consumer.create(request(consortium))
        with pytest.raises(MeasurementFailed, match=r"the data of requisition .{11}: record 2 has a point that is not"):
            consumer.wait(spoilt, timeout_seconds=100)
        consortium.check()
        for duchy in consortium.wiring.ports:
            with consortium.inspection(duchy) as inspection:
                assert ended(inspection, spoilt)
        consortium.processes.stop([hostile])
        consortium.processes.start(name, honest.arguments)
        result = consumer.wait(consumer.create(request(consortium)), timeout_seconds=200)
    assert result.reach == expected(EVENTS, 10)[0]


def ended(inspection: Inspection, measurement: str) -> bool:
    """Within ten seconds: the other duchies hear of it from the kingdom."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if inspection.events(measurement.rpartition("/")[2])[-1].stage == "COMPLETE":
            return True
        time.sleep(0.1)
    return False
