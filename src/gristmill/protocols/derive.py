"""What follows from a table. Nothing here names a protocol, a stage or a message."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from gristmill.protocols.table import (
    Fact,
    Message,
    Need,
    Participant,
    Protocol,
    Result,
    Ring,
    Role,
    Row,
    Seat,
    Stage,
    Wait,
    Work,
    rings,
    senders,
    sends,
)

_OF_REQUISITIONS = Need.REQUISITIONS | Need.RECORDS


class Slot(NamedTuple):
    """Where one message of one sender goes. The store remembers it per computation, whatever the stage."""

    message: Message
    sender: Participant


# The path: what the store allows, what mills may claim, when data providers may fulfil.


@cache
def transitions(protocol: Protocol) -> dict[tuple[Stage, Role], Stage]:
    """What may follow a stage. COMPLETE is entered by Finish; on failure, from anywhere."""
    return {(a, role): b for role in protocol.paths for a, b in pairwise(protocol.walk(role))}


def position(seat: Seat, stage: Stage) -> int:
    walk = seat.protocol.walk(seat.me.role)
    if stage not in walk:
        raise ValueError(f"{seat.me.duchy} ({seat.me.role.name}) is never in {stage} of {seat.protocol.name}")
    return walk.index(stage)


def row_of(seat: Seat, stage: Stage) -> Row | None:
    """The row of a stage; none once complete."""
    return (*seat.path, None)[position(seat, stage)]


def claimable(protocol: Protocol) -> tuple[Stage, ...]:
    """In order of priority: the first stage of a path before all others."""
    works = {row.stage for path in protocol.paths.values() for row in path if isinstance(row, Work)}
    firsts = {path[0].stage for path in protocol.paths.values()}
    return tuple(sorted(works, key=lambda stage: (stage not in firsts, stage.value)))


def takes_requisitions(protocol: Protocol, role: Role) -> tuple[Stage, ...]:
    """Where fulfilment is still possible: in all stages before the first that reads requisitions."""
    reads = [isinstance(row, Work) and bool(row.needs & _OF_REQUISITIONS) for row in protocol.paths[role]]
    return protocol.walk(role)[: reads.index(True)] if any(reads) else ()


# Slots and blobs: what a stage row contains when it is entered.


class Dependency(Enum):
    """Numbered as on the wire, which has no word for what is kept beside its list."""

    KEPT = 0
    INPUT = 1
    OUTPUT = 2


class Blob(NamedTuple):
    dependency: Dependency
    content: Slot | Stage
    """What a peer sent, or what this duchy made in a stage."""


def slots(seat: Seat, row: Row | None) -> tuple[Slot, ...]:
    """Those that a row waits for."""
    if isinstance(row, Wait) and isinstance(row.until, Message):
        return tuple(Slot(row.until, sender) for sender in senders(seat, row.until))
    return ()


@cache
def blobs(seat: Seat, stage: Stage) -> tuple[Blob, ...]:
    """By blob ID. A row is given what the row before it received or made or, failing that, what that was given."""
    inputs: tuple[Slot | Stage, ...] = ()
    for row in seat.path:
        makes_blob = seat.protocol.output_blobs and isinstance(row, Work) and row.delivers
        outputs = (row.stage,) if makes_blob else slots(seat, row)
        if row.stage is stage:
            return (
                *(Blob(Dependency.INPUT, content) for content in inputs),
                *(Blob(Dependency.OUTPUT, content) for content in outputs),
            )
        inputs = outputs or inputs
    return ()


def kept_beside(seat: Seat, stage: Stage) -> tuple[Blob, ...]:
    """What a stage makes and the wire does not list: kept all the same, with the ID after those of `blobs`."""
    row = row_of(seat, stage)
    if seat.protocol.output_blobs or not isinstance(row, Work) or row.delivers is None or row.repeatable:
        return ()
    return (Blob(Dependency.KEPT, stage),)


def stage_details(seat: Seat, stage: Stage) -> dict[str, int]:
    """Duchy -> blob ID, for the waits that gather from as many duchies as there are; empty for all others."""
    mine = slots(seat, row_of(seat, stage))
    seats = [Seat(seat.protocol, ring, each) for ring in rings(seat.protocol) for each in ring]
    if not any(len(senders(any_seat, slot.message)) > 1 for slot in mine for any_seat in seats):
        return {}
    return {slot.sender.duchy: blobs(seat, stage).index(Blob(Dependency.OUTPUT, slot)) for slot in mine}


def last_use(seat: Seat, content: Slot | Stage) -> Stage:
    """The last stage that is given this blob. Once we are past it, whoever sent it may delete its own copy."""
    given = Blob(Dependency.INPUT, content)
    return [row.stage for row in seat.path if given in blobs(seat, row.stage)][-1]


# Moving on: what the herald does, and when a waiting stage is left.


class Hearing(Enum):
    RECORD = "remember it, whatever the stage"
    IGNORE = "it concerns other roles"
    REFUSE = "the kingdom takes this computation for another protocol's"


def hear(protocol: Protocol, role: Role, fact: Fact) -> Hearing:
    roles = [role for role in protocol.paths if fact in protocol.waits(role)]
    return Hearing.RECORD if role in roles else Hearing.IGNORE if roles else Hearing.REFUSE


def missing(seat: Seat, stage: Stage, facts: Collection[Fact], filled: Collection[Slot]) -> tuple[Fact | Slot, ...]:
    """What a stage still waits for: asked on entering it and after every fact and every slot. If none, move on."""
    row = row_of(seat, stage)
    if isinstance(row, Wait) and isinstance(row.until, Fact) and row.until not in facts:
        return (row.until,)
    return tuple(slot for slot in slots(seat, row) if slot not in filled)


# Peers: what computation control answers, and what a mill does about a peer's stage.


class Verdict(Enum):
    FILL = "OK: write the blob, fill the slot"
    REPEAT = "OK: the slot is filled; drop the body"
    EARLY = "ABORTED: the slot is not open yet; come back"
    OVER = "FAILED_PRECONDITION: the computation has ended here"
    NOT_AWAITED = "FAILED_PRECONDITION: this duchy never gets this message"
    NOT_YOURS = "PERMISSION_DENIED: another duchy sends this message to this duchy"


def judge(seat: Seat, stage: Stage, filled: Collection[Slot], slot: Slot) -> Verdict:
    """A slot opens when the row before its wait is entered. No message of an honest duchy comes before that."""
    wait = seat.protocol.waits(seat.me.role).get(slot.message)
    if wait is None:
        return Verdict.NOT_AWAITED
    if position(seat, stage) < wait - 1:
        return Verdict.EARLY
    if slot.sender not in senders(seat, slot.message):
        return Verdict.NOT_YOURS
    if slot in filled:
        return Verdict.REPEAT
    return Verdict.OVER if stage is seat.protocol.complete else Verdict.FILL


class Peer(Enum):
    BEHIND = "ask again soon"
    WAITING = "send"
    PAST = "it has the message: do not send"


def peer(seat: Seat, stage: Stage, message: Message) -> Peer:
    """How the duchy in that seat, which says it is in that stage, stands with regard to a message for it."""
    ahead = position(seat, stage) - seat.protocol.waits(seat.me.role)[message]
    return Peer.BEHIND if ahead < 0 else Peer.PAST if ahead > 0 else Peer.WAITING


def stage_from_wire(protocol: Protocol, computation_type: int, number: int) -> Stage:
    """A peer's stage is one of the computation's own protocol, or an error."""
    if computation_type != protocol.number:
        raise ValueError(f"a stage of computation type {computation_type} in a computation of {protocol.name}")
    return protocol.stages(number)


# For people: the documentation's tables and diagrams, and the operator's one line.


class StageRow(NamedTuple):
    role: Role
    stage: Stage
    entered_by: str
    inputs: int
    outputs: int
    filled_by: str
    queued: bool
    left_by: str


def stage_rows(protocol: Protocol, ring: Ring) -> Iterator[StageRow]:
    for seat in {each.role: Seat(protocol, ring, each) for each in ring}.values():
        entered_by = "herald"
        for row in seat.path:
            ids = [blob.dependency for blob in blobs(seat, row.stage)]
            inputs, outputs = ids.count(Dependency.INPUT), ids.count(Dependency.OUTPUT)
            filled_by, left_by = "mill" if outputs else "-", "finish" if row is seat.path[-1] else "mill"
            if isinstance(row, Wait):
                left_by = "herald" if isinstance(row.until, Fact) else "control"
                filled_by = row.until.name if outputs else "-"
            yield StageRow(
                seat.me.role, row.stage, entered_by, inputs, outputs, filled_by, isinstance(row, Work), left_by
            )
            entered_by = left_by


def describe(seat: Seat, stage: Stage, facts: Collection[Fact], filled: Collection[Slot]) -> str:
    row = row_of(seat, stage)
    if isinstance(row, Work):
        send = sends(row)
        then = f", then {_words(send.message.name)} to {seat.recipient(send).duchy}" if send else ""
        return f"working: {_words(row.action)}{then}"
    return (
        "waiting for: "
        + ", ".join(
            f"the kingdom to say {lack.value}"
            if isinstance(lack, Fact)
            else f"{_words(lack.message.name)} from {lack.sender.duchy}"
            for lack in missing(seat, stage, facts, filled)
        )
        if row
        else "complete"
    )


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def diagram(protocol: Protocol, role: Role) -> str:
    """In Mermaid's notation."""
    first, *_, last = protocol.walk(role)
    arrows = (
        f"{row.stage.name} --> {transitions(protocol)[row.stage, role].name}: {_cause(row)}"
        for row in protocol.paths[role]
    )
    return "\n    ".join(["stateDiagram-v2", f"[*] --> {first.name}", *arrows, f"{last.name} --> [*]"])


def _cause(row: Row) -> str:
    if isinstance(row, Wait):
        return row.until.value if isinstance(row.until, Fact) else f"{row.until.name} received"
    if send := sends(row):
        return f"{row.action}, {send.message.name} to {send.to.name}"
    return f"{row.action}, result to the kingdom" if row.delivers is Result.RESULT else row.action
