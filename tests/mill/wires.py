"""What the wire's description calls the parts of each protocol: written from it, and not from our tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.system.v1alpha import computation_stage_pb2


@dataclass(frozen=True)
class Wire:
    """A Liquid Legions protocol. Stages up to number 8 are the same in both, but for a suffix of the name."""

    name: str
    member: str
    computation_type: str
    stage_field: str
    system_stage_field: str
    complete: int
    last: int
    """Number of the last stage that is worked on."""
    register: int
    """Bytes."""
    waits: dict[int, int]
    """Description of a message -> number of the stage that waits for it."""

    def stage(self, number: int) -> ComputationStage:
        return ComputationStage(**{self.stage_field: number})  # type: ignore[arg-type]

    def stage_of(self, token: ComputationToken) -> int:
        assert token.computation_stage.WhichOneof("stage") == self.stage_field
        number: int = getattr(token.computation_stage, self.stage_field)
        return number

    def details(self, token: ComputationToken) -> Any:
        return getattr(token.computation_details, self.member)

    def system_stage(self, name: str, number: int) -> computation_stage_pb2.ComputationStage:
        told = computation_stage_pb2.ComputationStage(name=name)
        getattr(told, self.system_stage_field).stage = number
        return told


LLV2 = Wire(
    name="llv2",
    member="liquid_legions_v2",
    computation_type="LIQUID_LEGIONS_SKETCH_AGGREGATION_V2",
    stage_field="liquid_legions_sketch_aggregation_v2",
    system_stage_field="liquid_legions_v2_stage",
    complete=13,
    last=12,
    register=198,
    waits={1: 5, 2: 7, 3: 9, 4: 11},
)
REACH_ONLY = Wire(
    name="reach-only",
    member="reach_only_liquid_legions_v2",
    computation_type="REACH_ONLY_LIQUID_LEGIONS_SKETCH_AGGREGATION_V2",
    stage_field="reach_only_liquid_legions_sketch_aggregation_v2",
    system_stage_field="reach_only_liquid_legions_stage",
    complete=9,
    last=8,
    register=66,
    waits={1: 5, 2: 7},
)
WIRES = {wire.member: wire for wire in (LLV2, REACH_ONLY)}
BOTH = pytest.mark.parametrize("wire", WIRES.values(), ids=lambda wire: wire.name)


def of(token: ComputationToken) -> Wire:
    return WIRES[str(token.computation_details.WhichOneof("protocol"))]
