"""What the wire's description calls the parts of each protocol: written from it, and not from our tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.system.v1alpha import computation_stage_pb2


@dataclass(frozen=True)
class Wire:
    """A protocol. Stages up to number 8 are the same in both of Liquid Legions, but for a suffix of the name."""

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
    mill: str = "llv2"
    gathers: int = 5
    """Number of the stage that waits for messages of several duchies."""
    after_wait: Mapping[int, int] = field(default_factory=dict)
    """Number of a stage that waits for messages -> of the one that comes next, where that is not the next number."""
    lists_outputs: bool = True

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
SHARE_SHUFFLE = Wire(
    name="share shuffle",
    member="honest_majority_share_shuffle",
    computation_type="HONEST_MAJORITY_SHARE_SHUFFLE",
    stage_field="honest_majority_share_shuffle",
    system_stage_field="honest_majority_share_shuffle_stage",
    complete=9,
    last=8,
    register=1,
    waits={1: 3, 2: 5, 3: 6},
    mill="hmss",
    gathers=6,
    after_wait={5: 7, 6: 8},
    lists_outputs=False,
)
WIRES = {wire.member: wire for wire in (LLV2, REACH_ONLY, SHARE_SHUFFLE)}
BOTH = pytest.mark.parametrize("wire", [LLV2, REACH_ONLY], ids=lambda wire: wire.name)
"""Of Liquid Legions."""


def of(token: ComputationToken) -> Wire:
    return WIRES[str(token.computation_details.WhichOneof("protocol"))]
