"""Deliveries in front of an internal API that has no Slots: by the wire's own calls."""

from __future__ import annotations

import grpc

from duchy.conftest import Duchy, refusal
from duchy.facts import ID
from duchy.mills import confirm, stage
from duchy.test_computation_control import confirming, initialized, token_of
from gristmill.blobs import Digest
from gristmill.duchy.deliveries import Deliveries
from gristmill.duchy.messages import Announced
from gristmill.proto.duchy.orchestration_pb2_grpc import SlotsStub
from wfa.measurement.internal.duchy.async_computation_control_service_pb2_grpc import AsyncComputationControlStub
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)

__all__ = ["confirming", "initialized"]  # fixtures

SETUP_PHASE_INPUT = Announced(ID, 1, 1, "SETUP_PHASE_INPUT", 198, 1980)


async def test_without_slots_the_wires_own_calls_are_used(confirming: Duchy) -> None:
    # Computation control serves no Slots: as a stub's target it answers UNIMPLEMENTED, like an existing async control.
    slots = SlotsStub(confirming.channel("computation_control"))
    control = AsyncComputationControlStub(confirming.channel("async_computation_control"))
    deliveries = Deliveries("aggregator", slots, control, 10.0)
    early = await refusal(deliveries.judge(SETUP_PHASE_INPUT, "worker1"))
    assert early.code() is grpc.StatusCode.ABORTED
    await confirm(confirming)
    for sender in ("worker1", "worker2"):
        place = await deliveries.judge(SETUP_PHASE_INPUT, sender)
        assert place is not None
        assert await deliveries.fill(SETUP_PHASE_INPUT, sender, place, Digest(198, bytes(32)))
        if sender == "worker1":
            assert await deliveries.judge(SETUP_PHASE_INPUT, sender) is None
    assert (await token_of(confirming)).computation_stage == stage(Llv2.SETUP_PHASE)
