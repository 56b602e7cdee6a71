"""From the wire's messages to the tables and back."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.protocols import registry
from gristmill.protocols.llv2 import LLV2, LLV2_REACH
from gristmill.protocols.reach_only import REACH_ONLY
from gristmill.protocols.table import Role
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails, ComputationStageDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig
from wfa.measurement.system.v1alpha.computation_control_service_pb2 import AdvanceComputationRequest
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.computation_stage_pb2 import ComputationStage as SystemStage

Header = AdvanceComputationRequest.Header
MpcConfig = Computation.MpcProtocolConfig
Params = ComputationParticipant.RequisitionParams


RINGS = ["liquid_legions_v2", "reach_only_liquid_legions_v2"]
"""Protocols whose participants the herald learns of."""


def details(role: Role, *ring: str, member: str = "liquid_legions_v2") -> ComputationDetails:
    made = ComputationDetails()
    part = getattr(made, member)
    part.role = role.value
    for duchy in ring:
        part.participant.add(duchy_id=duchy)
    return made


def test_the_details_choose_the_table() -> None:
    assert registry.of(details(Role.AGGREGATOR, member="reach_only_liquid_legions_v2")) is REACH_ONLY
    made, chosen = details(Role.AGGREGATOR), []
    for maximum in (0, 1, 2):
        made.liquid_legions_v2.parameters.maximum_frequency = maximum
        chosen.append(registry.of(made))
    assert chosen == [LLV2_REACH, LLV2_REACH, LLV2]


def test_a_protocol_has_one_name_and_number_on_the_wire() -> None:
    for wire in registry.WIRES:
        assert registry.by_member(wire.member) is registry.by_number(wire.number) is wire
        assert {table.name for table in wire.tables} == {registry.type_name(wire.number)}
        for message in (ComputationDetails, ComputationStageDetails, ProtocolsSetupConfig, MpcConfig, Header, Params):
            assert wire.member in message.DESCRIPTOR.fields_by_name, message


def test_peers_are_told_a_stage_of_its_own_protocol() -> None:
    for wire in registry.WIRES:
        for stage in wire.tables[0].stages:
            told = registry.system_stage(wire.number, stage.value)
            assert told is not None
            assert registry.system_stage_of(told) == (wire.number, stage.value)
    assert registry.system_stage(4, 1) is None
    assert registry.system_stage_of(SystemStage()) == (0, 0)


@pytest.mark.parametrize("member", RINGS)
def test_only_participants_are_taken_from_a_herald(member: str) -> None:
    known, heard = details(Role.AGGREGATOR, member=member), details(Role.NON_AGGREGATOR, "w", "a", member=member)
    learned = registry.learn_participants(known, heard)
    assert learned == details(Role.AGGREGATOR, "w", "a", member=member)
    assert registry.keep_participants(learned, known) == learned
    with pytest.raises(PreconditionFailed, match="cannot become"):
        registry.keep_participants(learned, details(Role.AGGREGATOR, "a", "w", member=member))


@pytest.mark.parametrize("member", RINGS)
def test_a_reach_comes_back(member: str) -> None:
    made = details(Role.AGGREGATOR, member=member)
    assert registry.reach(made) is None
    assert registry.reach(registry.with_reach(made, 0)) == 0


def test_what_is_told_on_the_way_has_no_secret() -> None:
    made = details(Role.AGGREGATOR, member="reach_only_liquid_legions_v2")
    made.reach_only_liquid_legions_v2.local_elgamal_key.secret_key = b"secret"
    registry.clear_secrets(made)
    assert b"secret" not in made.SerializeToString()


@pytest.mark.parametrize("member", RINGS)
def test_a_seat_is_known_with_the_participants(member: str) -> None:
    assert registry.seat(details(Role.AGGREGATOR, member=member), "a") is None
    seat = registry.seat(details(Role.NON_AGGREGATOR, "w2", "w1", "a", member=member), "w1")
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
    for wire in registry.WIRES:
        for stage in wire.tables[0].stages:
            assert registry.stage_of(registry.wire_stage(wire.tables[0], stage)) == (wire.number, stage.value)
            assert registry.stage_name(wire.number, stage.value) == stage.name
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
