"""What a protocol is.

Each duchy of a computation walks the straight path of stages that its role prescribes:

    Work   a mill claims the stage, computes, delivers what it made, and moves on
    Wait   nobody works; the computation moves on by itself as soon as what it waits for is there

A path never branches; what depends on the role is another path. A message fills a slot that belongs to
one sender and is filled once. A fact is never taken back. So nothing that happens can make impossible
what was possible before, and the order of events cannot matter: if one run of a table completes, all do.
Every table makes that one run, in rings of several sizes, when it is created.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, Flag
from functools import cache
from itertools import pairwise
from typing import NamedTuple


class Role(Enum):
    AGGREGATOR = 1
    NON_AGGREGATOR = 2
    FIRST_NON_AGGREGATOR = 3
    SECOND_NON_AGGREGATOR = 4


class Stage(Enum):
    """A protocol's stages, numbered as on the wire. Not integers: 9 is another stage elsewhere."""


class Message(Enum):
    """What the duchies of a protocol send each other, numbered as in the header that announces it."""


class Fact(Enum):
    """What the herald hears from the kingdom, by the state of the computation that says it."""

    KEYS_SET = "PENDING_PARTICIPANT_CONFIRMATION"
    STARTED = "PENDING_COMPUTATION"


class Need(Flag):
    """What a stage opens besides its input blobs. Nothing else is unsealed for it."""

    NOTHING = 0
    REQUISITIONS = 1
    SECRETS = 2
    RECORDS = 4
    """What was recorded of the requisitions; their data stay closed."""


class Neighbour(Enum):
    NEXT = "the next duchy in the ring"


class Result(Enum):
    RESULT = "the result, to the kingdom"


class Send(NamedTuple):
    message: Message
    to: Role | Neighbour


@dataclass(frozen=True, slots=True)
class Work:
    stage: Stage
    action: str
    needs: Need = Need.NOTHING
    delivers: Send | Result | None = None
    repeatable: bool = False
    """Whether it makes the same bytes each time, so that nothing need be kept before it is delivered."""


@dataclass(frozen=True, slots=True)
class Wait:
    stage: Stage
    until: Fact | Message


Row = Work | Wait
Path = tuple[Row, ...]


class Participant(NamedTuple):
    duchy: str
    role: Role


Ring = tuple[Participant, ...]
"""In ring order, the aggregator last."""


class TableError(ValueError):
    """The table contradicts itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Protocol:
    name: str
    number: int
    stages: type[Stage]
    messages: type[Message]
    paths: Mapping[Role, Path]
    """By role, in ring order."""
    units: Mapping[Message, int]
    """The size in bytes of what a message is a sequence of; 1 where it is of one piece."""
    limits: Mapping[Message, int] = field(default_factory=dict)
    """The greatest size in bytes of messages that are of one piece."""
    requisition_unit: int = 1
    """The same of what a data provider hands in."""
    many: Role | None = None
    """The one role, if any, that several duchies hold. Their order is known only once the keys are set."""
    output_blobs: bool = True
    """Whether the wire lists what a stage delivers among the blobs of that stage."""
    omits: frozenset[Stage | Message] = frozenset()
    """What the wire has and this table does without."""

    def __post_init__(self) -> None:
        for role in self.paths:
            _check_path(self, role)
        _check_names(self)
        for ring in rings(self):
            _check_ring(self, ring)

    @property
    def complete(self) -> Stage:
        return self.stages["COMPLETE"]

    def walk(self, role: Role) -> tuple[Stage, ...]:
        """The stages of a role's path, up to and with COMPLETE."""
        return (*(row.stage for row in self.paths[role]), self.complete)

    def waits(self, role: Role) -> dict[Fact | Message, int]:
        """What a role waits for, and how far along its path."""
        return {row.until: at for at, row in enumerate(self.paths[role]) if isinstance(row, Wait)}


class Seat(NamedTuple):
    """A participant's place in the ring of a computation: all that a duchy need know to use the table."""

    protocol: Protocol
    ring: Ring
    me: Participant

    @property
    def path(self) -> Path:
        return self.protocol.paths[self.me.role]

    def recipient(self, send: Send) -> Participant:
        if send.to is Neighbour.NEXT:
            return self.ring[(self.ring.index(self.me) + 1) % len(self.ring)]
        (holder,) = (participant for participant in self.ring if participant.role is send.to)
        return holder


def sends(row: Row) -> Send | None:
    return row.delivers if isinstance(row, Work) and isinstance(row.delivers, Send) else None


@cache
def senders(seat: Seat, message: Message) -> tuple[Participant, ...]:
    """Who fills my slots for this message, in ring order: read off from who sends it to me."""
    return tuple(
        other
        for other in seat.ring
        for row in seat.protocol.paths[other.role]
        if (send := sends(row)) and send.message is message and seat._replace(me=other).recipient(send) == seat.me
    )


def comes_before(protocol: Protocol, ring: Ring, fact: Fact) -> set[tuple[Participant, Stage]]:
    """What all duchies have done by the time the kingdom says it: the work before the waits for it."""
    paths = [path[: protocol.waits(role).get(fact, 0)] for role, path in protocol.paths.items()]
    work = {row.stage for path in paths for row in path if isinstance(row, Work)}
    return {(each, stage) for each in ring for stage in work.intersection(protocol.walk(each.role))}


def rings(protocol: Protocol, most: int = 4) -> Iterator[Ring]:
    """A ring of every size up to `most` that the protocol allows."""
    for holders in range(1, most if protocol.many else 2):
        roles = [role for role in protocol.paths for _ in range(holders if role is protocol.many else 1)]
        yield tuple(map(Participant, [*(f"worker{i}" for i in range(1, len(roles))), "aggregator"], roles))


def run(protocol: Protocol, ring: Ring, held: Participant | None = None, before: int = 0) -> dict[Participant, int]:
    """How far everybody gets: to the end, one hopes, or to the given row for the one who is held there."""
    seats = {me: Seat(protocol, ring, me) for me in ring}
    at = dict.fromkeys(ring, 0)
    done: set[tuple[Participant, Stage]] = set()
    sent: set[tuple[Message, Participant, Participant]] = set()

    def may_leave(seat: Seat, row: Row) -> bool:
        if isinstance(row, Work):
            return True
        if isinstance(row.until, Fact):
            return comes_before(protocol, ring, row.until) <= done
        return {(row.until, sender, seat.me) for sender in senders(seat, row.until)} <= sent

    while True:
        so_far = at.copy()
        for me, seat in seats.items():
            for row in seat.path[at[me] : before if me == held else None]:
                if not may_leave(seat, row):
                    break
                if send := sends(row):
                    sent.add((send.message, me, seat.recipient(send)))
                done.add((me, row.stage))
                at[me] += 1
        if at == so_far:
            return at


def _check_path(protocol: Protocol, role: Role) -> None:
    where, path, waits = f"{protocol.name}, {role.name}", protocol.paths[role], protocol.waits(role)
    for stage in protocol.walk(role):
        _require(stage in protocol.stages, f"{where}: {stage} is another protocol's stage")
    for a, b in pairwise(protocol.walk(role)):
        _require(a.value < b.value, f"{where}: stage numbers must grow, but {b.name} follows {a.name}")
    for row, following in pairwise([None, *path, None]):
        _require(isinstance(row, Work) or isinstance(following, Work), f"{where}: a wait must stand between two works")
    _require(len(waits) == sum(isinstance(row, Wait) for row in path), f"{where}: waits twice for the same")
    if protocol.many and any(isinstance(until, Message) for until in waits):
        _require(next(iter(waits)) is Fact.KEYS_SET, f"{where}: a slot opens before the order of the ring is known")


def _check_names(protocol: Protocol) -> None:
    rows = [row for path in protocol.paths.values() for row in path]
    works = {row.stage for row in rows if isinstance(row, Work)}
    waits = {row.stage for row in rows if isinstance(row, Wait)}
    used = works | waits | {send.message for row in rows if (send := sends(row))} | {protocol.complete}
    published = [row for row in rows if isinstance(row, Work) and row.delivers is Result.RESULT]
    _none(protocol, works & waits, "work for one role and a wait for another")
    _none(protocol, {*protocol.stages, *protocol.messages} - used - protocol.omits, "never used")
    _none(protocol, used & protocol.omits, "used, yet said to be left out")
    _none(protocol, {*protocol.messages} ^ {*protocol.units}, "a message without a unit, or the reverse")
    _require(
        len(published) == 1 and published[0] in [path[-1] for path in protocol.paths.values()],
        f"{protocol.name}: exactly one path must end with the result",
    )


def _check_ring(protocol: Protocol, ring: Ring) -> None:
    where = f"{protocol.name} among {len(ring)}"
    for me in ring:
        for message in protocol.messages:
            sending = senders(Seat(protocol, ring, me), message)
            _require(len(sending) == len({*sending}), f"{where}: {message.name} is sent twice to {me.duchy}")
            _require(
                bool(sending) == (message in protocol.waits(me.role)),
                f"{where}: {message.name} is sent to {me.duchy}, which has no slot for it, or the reverse",
            )
    for me, at in run(protocol, ring).items():
        stage = protocol.walk(me.role)[at]
        _require(stage is protocol.complete, f"{where}: {me.duchy} never leaves {stage.name}")


def _none(protocol: Protocol, names: Collection[Stage | Message], fault: str) -> None:
    _require(not names, f"{protocol.name}: {fault}: {', '.join(sorted(name.name for name in names))}")


def _require(condition: bool, fault: str) -> None:
    if not condition:
        raise TableError(fault)
