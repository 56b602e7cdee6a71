"""What our record of a delivery and its receiver's own stage say together."""

from __future__ import annotations

import pytest

from gristmill.errors import BadInput
from gristmill.operations.peers import PeerStage, name_the_unnamed, read_stage, receipt
from gristmill.proto.duchy.inspection_pb2 import ComputationSummary, Delivery
from gristmill.protocols.llv2 import Stage
from wfa.measurement.system.v1alpha.computation_stage_pb2 import ComputationStage

TYPE = "LIQUID_LEGIONS_SKETCH_AGGREGATION_V2"
WAIT = Stage.WAIT_EXECUTION_PHASE_ONE_INPUTS


def delivery(state: Delivery.State.ValueType, senders: int = 1) -> Delivery:
    return Delivery(
        state=state,
        awaited_in=WAIT.name,
        awaited_in_number=WAIT.value,
        taken_from_number=Stage.SETUP_PHASE.value,
        senders=senders,
    )


def at(stage: Stage) -> PeerStage:
    return PeerStage("worker2", stage.value, stage.name, ended=stage is Stage.COMPLETE)


@pytest.mark.parametrize(
    ("state", "peer", "received"),
    [
        (Delivery.ACKNOWLEDGED, at(Stage.EXECUTION_PHASE_ONE), True),
        (Delivery.ACKNOWLEDGED, at(Stage.SETUP_PHASE), True),
        (Delivery.ACKNOWLEDGED, at(Stage.COMPLETE), True),
        (Delivery.ACKNOWLEDGED, PeerStage("worker2", error="away"), True),
        (Delivery.ACKNOWLEDGED, None, True),
        (Delivery.UNDER_WAY, at(Stage.EXECUTION_PHASE_ONE), True),
        (Delivery.UNDER_WAY, at(WAIT), False),
        (Delivery.UNDER_WAY, at(Stage.WAIT_TO_START), False),
        (Delivery.UNDER_WAY, at(Stage.SETUP_PHASE), None),
        (Delivery.UNDER_WAY, at(Stage.COMPLETE), None),
        (Delivery.UNDER_WAY, None, None),
        (Delivery.NOT_YET, at(WAIT), False),
        (Delivery.NEVER, at(WAIT), False),
    ],
)
def test_a_message_was_received_or_not_or_nobody_can_tell(
    state: Delivery.State.ValueType, peer: PeerStage | None, received: bool | None
) -> None:
    assert receipt(delivery(state), peer).received is received


@pytest.mark.parametrize("stage", [WAIT, Stage.WAIT_TO_START])
def test_a_peer_that_has_lost_what_it_acknowledged_is_noticed(stage: Stage) -> None:
    found = receipt(delivery(Delivery.ACKNOWLEDGED), at(stage))
    assert found.received is False
    assert "lost its database" in found.words


def test_a_peer_that_waits_for_several_may_have_ours() -> None:
    assert receipt(delivery(Delivery.ACKNOWLEDGED, senders=2), at(WAIT)).received is True
    assert receipt(delivery(Delivery.UNDER_WAY, senders=2), at(WAIT)).received is None


def test_a_stage_of_another_protocol_is_malformed() -> None:
    stage = ComputationStage()
    stage.honest_majority_share_shuffle_stage.stage = 4  # type: ignore[assignment]
    for wire in (stage, ComputationStage()):
        with pytest.raises(BadInput):
            read_stage("worker2", wire, TYPE)


@pytest.mark.parametrize(
    "duchies", [("worker1", "worker2", "leader"), ("worker1", "worker2"), ("worker1", "a", "b", "c")]
)
def test_the_aggregator_that_workers_do_not_record_is_the_duchy_that_is_left_over(duchies: tuple[str, ...]) -> None:
    told = ComputationSummary(deliveries=[Delivery(receiver="worker2"), Delivery()])
    for duchy in ("worker1", "worker2", ""):
        told.participants.add(duchy=duchy)
    name_the_unnamed(told, duchies)
    leader = "leader" if "leader" in duchies else ""
    assert [each.duchy for each in told.participants] == ["worker1", "worker2", leader]
    assert [each.receiver for each in told.deliveries] == ["worker2", leader]
