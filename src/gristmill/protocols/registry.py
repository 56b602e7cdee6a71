"""From the wire's messages to the tables and back: the one place that knows where each protocol keeps what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from google.protobuf.descriptor import EnumDescriptor

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.protocols import llv2
from gristmill.protocols.table import Fact, Participant, Protocol, Role, Seat, Stage, Wait
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails, ComputationStageDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage, ComputationTypeEnum

SECRET_FIELDS: tuple[tuple[str, ...], ...] = (
    ("liquid_legions_v2", "local_elgamal_key", "secret_key"),
    ("reach_only_liquid_legions_v2", "local_elgamal_key", "secret_key"),
    ("honest_majority_share_shuffle", "random_seed"),
)
"""Paths in ComputationDetails that are never stored in the clear."""


def supported() -> tuple[int, ...]:
    """The computation types that this version has a table for."""
    return (llv2.LLV2.number,)


def of(details: ComputationDetails) -> Protocol:
    """The table of a computation, for all its life.

    Raises InvalidRequest if the details name no protocol, PreconditionFailed if this version has no table for it.
    """
    match details.WhichOneof("protocol"):
        case "liquid_legions_v2":
            return llv2.protocol(details.liquid_legions_v2.parameters.maximum_frequency)
        case None:
            raise InvalidRequest("computation_details.protocol is not set")
        case other:
            raise PreconditionFailed(f"this version cannot compute {other}", cure="Use a version that supports it.")


def role(details: ComputationDetails) -> Role:
    """This duchy's role, as the herald wrote it when it created the computation. Raises InvalidRequest if unset."""
    protocol = of(details)
    number = details.liquid_legions_v2.role
    for mine in protocol.paths:
        if mine.value == number:
            return mine
    raise InvalidRequest(f"role {number} is no role of {protocol.name}")


def seat(details: ComputationDetails, my_duchy: str) -> Seat | None:
    """This duchy's place in the ring; none until the participants are known.

    Raises PreconditionFailed if the participants contradict the role: the aggregator is the last of the ring.
    """
    duchies = [participant.duchy_id for participant in details.liquid_legions_v2.participant]
    protocol, mine = of(details), role(details)
    if not duchies:
        return None
    roles = [*[Role.NON_AGGREGATOR] * (len(duchies) - 1), Role.AGGREGATOR]
    ring = tuple(map(Participant, duchies, roles))
    me = Participant(my_duchy, mine)
    if len({*duchies}) < len(duchies) or len(duchies) < 2 or me not in ring:
        raise PreconditionFailed(
            f"the participants {', '.join(duchies)} are no ring in which {my_duchy} is {mine.name}",
            cure="Compare the duchies' protocols setup configuration: every duchy must name the same aggregator.",
        )
    return Seat(protocol, ring, me)


def seat_so_far(details: ComputationDetails, my_duchy: str) -> Seat:
    """Like `seat`; before the participants are known a ring of this duchy alone, good for the rows up to that fact."""
    alone = Participant(my_duchy, role(details))
    return seat(details, my_duchy) or Seat(of(details), (alone,), alone)


def needs_ring(protocol: Protocol, role: Role, stage: Stage) -> bool:
    """Whether a stage may be entered only when the participants are known: all after the wait for them."""
    known_after = next((row.stage for row in protocol.paths[role] if _waits_for_keys(row)), None)
    walk = protocol.walk(role)
    return known_after is not None and walk.index(stage) > walk.index(known_after)


def _waits_for_keys(row: object) -> bool:
    return isinstance(row, Wait) and row.until is Fact.KEYS_SET


def learn_participants(known: ComputationDetails, heard: ComputationDetails) -> ComputationDetails:
    """What is known, with the participants that the herald heard of. Nothing else is taken from a herald's copy."""
    learned = ComputationDetails()
    learned.CopyFrom(known)
    del learned.liquid_legions_v2.participant[:]
    learned.liquid_legions_v2.participant.extend(heard.liquid_legions_v2.participant)
    return learned


def keep_participants(known: ComputationDetails, given: ComputationDetails) -> ComputationDetails:
    """The given details, with the participants that are known already. Raises PreconditionFailed if they differ."""
    before = [participant.duchy_id for participant in known.liquid_legions_v2.participant]
    after = [participant.duchy_id for participant in given.liquid_legions_v2.participant]
    if not after:
        return learn_participants(given, known)
    if before and before != after:
        raise PreconditionFailed(f"the participants are {', '.join(before)}; they cannot become {', '.join(after)}")
    return given


def with_reach(details: ComputationDetails, reach: int) -> ComputationDetails:
    """The details with the reach where a mill that resumes looks for it."""
    found = ComputationDetails()
    found.CopyFrom(details)
    found.liquid_legions_v2.reach_estimate.reach = reach
    return found


# Stages on the wire


def stage_of(stage: ComputationStage) -> tuple[int, int]:
    """(computation type, stage number). Raises InvalidRequest if the stage is not set or not of its protocol."""
    name = stage.WhichOneof("stage")
    if name is None:
        raise InvalidRequest("computation_stage is not set")
    field = ComputationStage.DESCRIPTOR.fields_by_name[name]
    number: int = getattr(stage, name)
    enum = field.enum_type
    if enum is None or not number or number not in enum.values_by_number:
        raise InvalidRequest(f"{number} is no stage of {name}")
    return field.number, number


def wire_stage(protocol: Protocol, stage: Stage) -> ComputationStage:
    return wire_stage_of(protocol.number, stage.value)


def wire_stage_of(computation_type: int, number: int) -> ComputationStage:
    """The fields of ComputationStage bear the numbers of the computation types."""
    wire = ComputationStage()
    setattr(wire, ComputationStage.DESCRIPTOR.fields_by_number[computation_type].name, number)
    return wire


def stage_name(computation_type: int, number: int) -> str:
    """As in the wire's enum; for people, events and blob keys."""
    return str(_stages(computation_type).values_by_number[number].name)


def complete(computation_type: int) -> int:
    """The number of a computation type's last stage, also for types without a table."""
    return int(_stages(computation_type).values_by_name["COMPLETE"].number)


def _stages(computation_type: int) -> EnumDescriptor:
    return cast("EnumDescriptor", ComputationStage.DESCRIPTOR.fields_by_number[computation_type].enum_type)


def type_name(computation_type: int) -> str:
    return ComputationTypeEnum.ComputationType.Name(computation_type)  # type: ignore[arg-type]


def wire_stage_details(protocol: Protocol, blob_ids: Mapping[str, int]) -> ComputationStageDetails:
    """Duchy -> blob ID, where the wire has such a map; empty otherwise."""
    details = ComputationStageDetails()
    if blob_ids and protocol.number == llv2.LLV2.number:
        gathered = details.liquid_legions_v2.wait_setup_phase_inputs_details
        gathered.external_duchy_local_blob_id.update(blob_ids)
    return details
