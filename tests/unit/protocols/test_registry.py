"""From the wire's messages to the tables and back."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.protocols import registry
from gristmill.protocols.llv2 import LLV2, LLV2_REACH, Stage
from gristmill.protocols.table import Role
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as WireStages,
)


def details(role: Role, *ring: str, maximum_frequency: int = 10) -> ComputationDetails:
    made = ComputationDetails()
    made.liquid_legions_v2.role = role.value  # type: ignore[assignment]
    made.liquid_legions_v2.parameters.maximum_frequency = maximum_frequency
    for duchy in ring:
        made.liquid_legions_v2.participant.add(duchy_id=duchy)
    return made


def test_the_maximum_frequency_chooses_the_table() -> None:
    chosen = [registry.of(details(Role.AGGREGATOR, maximum_frequency=maximum)) for maximum in (0, 1, 2)]
    assert chosen == [LLV2_REACH, LLV2_REACH, LLV2]


def test_a_seat_is_known_with_the_participants() -> None:
    assert registry.seat(details(Role.AGGREGATOR), "a") is None
    seat = registry.seat(details(Role.NON_AGGREGATOR, "w2", "w1", "a"), "w1")
    assert seat is not None
    assert [(each.duchy, each.role) for each in seat.ring] == [
        ("w2", Role.NON_AGGREGATOR),
        ("w1", Role.NON_AGGREGATOR),
        ("a", Role.AGGREGATOR),
    ]
    assert seat.me.duchy == "w1"


@pytest.mark.parametrize("ring", [["w1", "a", "w2"], ["w1", "w1", "a"], ["a"], ["w1", "w2"]])
def test_participants_that_are_no_ring_around_this_aggregator_are_refused(ring: list[str]) -> None:
    with pytest.raises(PreconditionFailed, match="no ring"):
        registry.seat(details(Role.AGGREGATOR, *ring), "a")


def test_every_wire_stage_goes_there_and_back() -> None:
    for stage in Stage:
        assert registry.stage_of(registry.wire_stage(LLV2, stage)) == (1, stage.value)
        assert WireStages.Stage.Value(stage.name) == stage.value
        assert registry.stage_name(1, stage.value) == stage.name
    assert [registry.complete(computation_type) for computation_type in (1, 2, 3, 4)] == [13, 9, 9, 4]


def test_an_unset_stage_is_refused() -> None:
    for stage in (ComputationStage(), ComputationStage(trus_tee=0)):  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest):
            registry.stage_of(stage)


def test_secret_paths_exist_in_the_wire_message() -> None:
    for path in registry.SECRET_FIELDS:
        descriptor: Any = ComputationDetails.DESCRIPTOR
        for name in path[:-1]:
            descriptor = descriptor.fields_by_name[name].message_type
        assert descriptor.fields_by_name[path[-1]].type == descriptor.fields_by_name[path[-1]].TYPE_BYTES
