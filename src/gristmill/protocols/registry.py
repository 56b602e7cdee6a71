"""From the wire's messages to the tables and back. What is particular to a protocol, its own module says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from google.protobuf.descriptor import EnumDescriptor

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.protocols import llv2, reach_only, share_shuffle
from gristmill.protocols.table import Fact, Participant, Protocol, Role, Seat, Stage, Wait
from gristmill.protocols.wire import Wire
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails, ComputationStageDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage, ComputationTypeEnum
from wfa.measurement.system.v1alpha.computation_stage_pb2 import ComputationStage as SystemStage

WIRES: Final[tuple[Wire, ...]] = (
    llv2.WIRE,
    reach_only.WIRE,
    share_shuffle.WIRE,
)
"""The protocols that this version computes. Whoever adds one, adds it here."""

_BY_MEMBER: Final = {wire.member: wire for wire in WIRES}
_BY_NUMBER: Final = {wire.number: wire for wire in WIRES}

SECRET_FIELDS: Final = tuple((wire.member, *path) for wire in WIRES for path in wire.secrets)
"""Paths in ComputationDetails that are never stored in the clear."""


def supported() -> tuple[int, ...]:
    """The computation types that this version has a table for."""
    return tuple(_BY_NUMBER)


def by_member(member: str) -> Wire | None:
    """The protocol that is called so in the wire's messages."""
    return _BY_MEMBER.get(member)


def by_number(computation_type: int) -> Wire:
    """The protocol of a computation type; KeyError for one that this version cannot compute."""
    return _BY_NUMBER[computation_type]


def member(details: ComputationDetails) -> str:
    """What the computation's protocol is called in the wire's messages. Raises InvalidRequest if there is none."""
    name = details.WhichOneof("protocol")
    if name is None:
        raise InvalidRequest("computation_details.protocol is not set")
    return name


def part(details: ComputationDetails) -> Any:
    """The protocol's own part of the details, to read or to write."""
    return getattr(details, member(details))


def of(details: ComputationDetails) -> Protocol:
    """The table of a computation, for all its life.

    Raises InvalidRequest if the details name no protocol, PreconditionFailed if this version has no table for it.
    """
    return _wire(details).choose(part(details))


def _wire(details: ComputationDetails) -> Wire:
    wire = by_member(member(details))
    if wire is None:
        raise PreconditionFailed(
            f"this version cannot compute {member(details)}", cure="Use a version that supports it."
        )
    return wire


def role(details: ComputationDetails) -> Role:
    """This duchy's role, as the herald wrote it when it created the computation. Raises InvalidRequest if unset."""
    protocol = of(details)
    number = part(details).role
    for mine in protocol.paths:
        if mine.value == number:
            return mine
    raise InvalidRequest(f"role {number} is no role of {protocol.name}")


def seat(details: ComputationDetails, my_duchy: str) -> Seat | None:
    """This duchy's place in the ring; none until the participants are known.

    Raises PreconditionFailed if the participants contradict the role: the aggregator is the last of the ring.
    """
    protocol, me = of(details), Participant(my_duchy, role(details))
    ring = _wire(details).ring(part(details), me)
    if not ring:
        return None
    duchies = [each.duchy for each in ring]
    if len({*duchies}) < len(duchies) or len(duchies) < 2 or me not in ring:
        raise PreconditionFailed(
            f"the participants {', '.join(duchies)} are no ring in which {my_duchy} is {me.role.name}",
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


# Participants: only of protocols whose ring is learned from the kingdom.


def learns_ring(protocol: Protocol) -> bool:
    """Whether the kingdom says who takes part, and in which order, only when all keys are set."""
    return any(_waits_for_keys(row) for path in protocol.paths.values() for row in path)


def lacks_ring(details: ComputationDetails, my_duchy: str) -> bool:
    """Whether who takes part is still to be heard from the kingdom."""
    return learns_ring(of(details)) and seat(details, my_duchy) is None


def learn_participants(known: ComputationDetails, heard: ComputationDetails) -> ComputationDetails:
    """What is known, with the participants that the herald heard of. Nothing else is taken from a herald's copy."""
    learned = ComputationDetails()
    learned.CopyFrom(known)
    if learns_ring(of(known)):
        heard_part = getattr(heard, member(known))
        del part(learned).participant[:]
        part(learned).participant.extend(heard_part.participant)
    return learned


def keep_participants(known: ComputationDetails, given: ComputationDetails) -> ComputationDetails:
    """The given details, with the participants that are known already. Raises PreconditionFailed if they differ."""
    if not learns_ring(of(known)):
        return given
    before = [participant.duchy_id for participant in part(known).participant]
    after = [participant.duchy_id for participant in part(given).participant]
    if not after:
        return learn_participants(given, known)
    if before and before != after:
        raise PreconditionFailed(f"the participants are {', '.join(before)}; they cannot become {', '.join(after)}")
    return given


def clear_secrets(details: ComputationDetails) -> None:
    """Take out what is never stored in the clear."""
    for *parents, name in _wire(details).secrets:
        message = part(details)
        for parent in parents:
            message = getattr(message, parent)
        message.ClearField(name)


def with_reach(details: ComputationDetails, reach: int) -> ComputationDetails:
    """The details with the reach where a mill that resumes looks for it, if they have a place for one."""
    found = ComputationDetails()
    found.CopyFrom(details)
    if "reach_estimate" in part(found).DESCRIPTOR.fields_by_name:
        part(found).reach_estimate.reach = reach
    return found


def reach(details: ComputationDetails) -> int | None:
    """What `with_reach` wrote."""
    mine = part(details)
    if "reach_estimate" not in mine.DESCRIPTOR.fields_by_name or not mine.HasField("reach_estimate"):
        return None
    return int(mine.reach_estimate.reach)


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


def system_stage(computation_type: int, number: int) -> SystemStage | None:
    """The stage as peers are told it; none for a protocol without peers. The numbers of the stages are the same."""
    field = SystemStage.DESCRIPTOR.fields_by_number.get(computation_type + 1)
    if field is None or field.containing_oneof is None:
        return None
    stage = SystemStage()
    getattr(stage, field.name).stage = number
    return stage


def system_stage_of(stage: SystemStage) -> tuple[int, int]:
    """(computation type, stage number) of what a peer says; (0, 0) if it says none.

    The fields are numbered one more than the computation types.
    """
    name = stage.WhichOneof("stage")
    if name is None:
        return 0, 0
    return SystemStage.DESCRIPTOR.fields_by_name[name].number - 1, getattr(stage, name).stage


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
    """Duchy -> blob ID, where the wire has such a map; empty otherwise. No protocol has more than one."""
    details = ComputationStageDetails()
    if blob_ids:
        mine = getattr(details, by_number(protocol.number).member)
        (gathering,) = mine.DESCRIPTOR.oneofs_by_name["detail"].fields
        getattr(mine, gathering.name).external_duchy_local_blob_id.update(blob_ids)
    return details
