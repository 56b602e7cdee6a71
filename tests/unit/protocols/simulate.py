"""Whole computations in memory, moved by the tables alone, in a world where whatever can go wrong does.

Messages are late, doubled or answered in vain; mills die at any moment, or lose their lease and go on; the kingdom
says everything twice, early or late; half of the duchies refuse messages that come before their wait, and half send
without asking first, as the existing system does; and duchies try to fill slots that are not theirs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from enum import Enum, auto
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from gristmill.protocols.derive import (
    Dependency,
    Hearing,
    Peer,
    Slot,
    Verdict,
    blobs,
    hear,
    judge,
    missing,
    peer,
    row_of,
    slots,
    stage_from_wire,
    transitions,
)
from gristmill.protocols.table import (
    Fact,
    Message,
    Participant,
    Protocol,
    Result,
    Ring,
    Seat,
    Send,
    Stage,
    Wait,
    Work,
    comes_before,
    rings,
    senders,
    sends,
)


class Defect(Enum):
    """What goes wrong in the existing system. Each can be put back, to see that it is found."""

    EARLY_START_IS_LOST = auto()
    PEER_BEHIND_KILLS = auto()
    COMPLETE_IS_MISREAD = auto()
    ANYBODY_FILLS_A_SLOT = auto()


class Failed(Exception):
    pass


class Body(NamedTuple):
    maker: Participant
    draw: float
    """The randomness in it: no two runs of a stage make the same body."""


Process = Iterator[float]
"""Something that goes on by itself; between its steps it waits for about as long as it says."""


class World:
    def __init__(self, protocol: Protocol, ring: Ring, seed: int, defect: Defect | None = None) -> None:
        self.protocol, self.ring, self.defect, self.random = protocol, ring, defect, Random(seed)
        self.agenda: list[tuple[float, int, Process]] = []
        self.now, self.steps = 0.0, 0
        self.done: set[tuple[Participant, Stage]] = set()
        self.results: set[Body] = set()
        self.sent: defaultdict[tuple[Participant, Slot], set[Body]] = defaultdict(set)
        self.happened: Counter[str] = Counter()
        self.duchies = {me: Duchy(self, me) for me in ring}
        self.start(self.kingdom())
        self.start(self.thief())

    def start(self, process: Process, delay: float = 0) -> None:
        self.steps += 1
        heappush(self.agenda, (self.now + delay, self.steps, process))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def run(self) -> Counter[str]:
        while self.agenda and self.steps < 20_000:
            self.now, _, process = heappop(self.agenda)
            if pause := next(process, None):
                self.start(process, self.random.expovariate(1 / pause))
        for me, duchy in self.duchies.items():
            work = [row.stage for row in self.protocol.paths[me.role] if isinstance(row, Work)]
            require(duchy.stage is self.protocol.complete, f"{me.duchy} is stuck in {duchy.stage.name}")
            require(duchy.advanced == work, f"{me.duchy} advanced from {duchy.advanced}")
        require(len(self.results) == 1, f"{len(self.results)} results")
        require(all(len(bodies) == 1 for bodies in self.sent.values()), "a retry sent something else")
        return self.happened

    def kingdom(self) -> Process:
        """Says each fact to all heralds, twice, once every duchy has done what comes before it."""
        for fact in Fact:
            before = comes_before(self.protocol, self.ring, fact)
            while not before <= self.done:
                yield 1
            for duchy in [*self.duchies.values()] * 2 if before else []:
                self.start(duchy.herald(fact))

    def thief(self) -> Process:
        """Sends what is not the sender's to send."""
        for _ in range(8 if [*self.protocol.messages] else 0):
            yield 5
            duchy, sender = self.random.choice([*self.duchies.values()]), self.random.choice(self.ring)
            message = self.random.choice([*self.protocol.messages])
            if sender not in senders(duchy.seat, message):
                duchy.receive(Slot(message, sender), Body(sender, 0))


class Duchy:
    """One computation's row in one duchy's store, with the services and the mills around it."""

    def __init__(self, world: World, me: Participant) -> None:
        self.world, self.me, self.protocol = world, me, world.protocol
        self.seat = Seat(world.protocol, world.ring, me)
        self.stage = self.protocol.walk(me.role)[0]
        self.facts: set[Fact] = set()
        self.slots: dict[Slot, Body] = {}
        self.kept: dict[Stage, Body] = {}
        self.advanced: list[Stage] = []
        self.keeps_early_messages = world.chance(0.5)
        self.asks_before_sending = world.chance(0.5)
        world.start(self.mills(self.stage))

    # The store

    def enter(self, stage: Stage) -> None:
        self.stage = stage
        if isinstance(row_of(self.seat, stage), Work):
            self.world.start(self.mills(stage))
        self.settle()

    def settle(self) -> None:
        """Level-triggered: it does not matter which came first, the stage or what it waits for."""
        lacks = missing(self.seat, self.stage, self.facts, self.slots)
        if isinstance(row_of(self.seat, self.stage), Wait) and not lacks:
            self.enter(transitions(self.protocol)[self.stage, self.me.role])

    def advance(self, stage: Stage) -> None:
        """Repeated after a lost reply, it changes nothing."""
        if self.stage is stage:
            self.advanced.append(stage)
            self.enter(transitions(self.protocol)[stage, self.me.role])

    # Herald and computation control

    def herald(self, fact: Fact) -> Process:
        yield self.world.random.choice((0.1, 1, 1, 50))
        row = row_of(self.seat, self.stage)
        in_time = fact in self.facts or (isinstance(row, Wait) and row.until is fact)
        if hear(self.protocol, self.me.role, fact) is Hearing.RECORD:
            self.world.happened["early fact"] += not in_time
            if in_time or self.world.defect is not Defect.EARLY_START_IS_LOST:
                self.facts.add(fact)
                self.settle()

    def receive(self, slot: Slot, body: Body) -> Verdict:
        rightful = senders(self.seat, slot.message)
        if rightful and self.world.defect is Defect.ANYBODY_FILLS_A_SLOT:
            slot = Slot(slot.message, rightful[0])
        verdict = judge(self.seat, self.stage, self.slots, slot)
        require(verdict is not Verdict.EARLY or slot.sender not in rightful, f"{slot} is filled before its time")
        waiting = slot in slots(self.seat, row_of(self.seat, self.stage))
        if verdict is Verdict.FILL and not waiting and not self.keeps_early_messages:
            verdict = Verdict.EARLY
        if verdict is Verdict.FILL:
            self.slots[slot] = body
            self.settle()
        self.world.happened[verdict.name] += 1
        return verdict

    # Mills

    def mills(self, stage: Stage) -> Process:
        """One after the other, until one has got through. Some of the lost are only slow, and go on later."""
        while self.stage is stage:
            yield 1
            attempt = self.attempt(stage)
            for pause in attempt:
                if self.world.chance(0.05):
                    self.world.happened["mill lost"] += 1
                    if self.world.chance(0.5):
                        self.world.start(attempt, delay=10)
                    break
                yield pause

    def attempt(self, stage: Stage) -> Process:
        """Compute, keep, deliver, advance: the one rule for every stage of every protocol."""
        row = row_of(self.seat, stage)
        assert isinstance(row, Work)
        if stage not in self.kept:
            body = self.compute(stage)
            yield 2
            self.kept.setdefault(stage, body)
        yield 1
        self.world.done.add((self.me, stage))
        if send := sends(row):
            yield from self.send(send, self.kept[stage])
        elif row.delivers is Result.RESULT:
            self.world.results.add(self.kept[stage])
        yield 1
        self.advance(stage)
        yield 1
        self.advance(stage)

    def compute(self, stage: Stage) -> Body:
        for dependency, content in blobs(self.seat, stage):
            if dependency is Dependency.INPUT and isinstance(content, Slot):
                require(self.slots[content].maker == content.sender, f"{self.me.duchy} computes with a foreign blob")
        return Body(self.me, self.world.random.random())

    def send(self, send: Send, body: Body) -> Process:
        to = self.world.duchies[self.seat.recipient(send)]
        while True:
            if self.asks_before_sending:
                state = self.ask(to, send.message)
                yield 1
                if state is Peer.PAST:
                    return
                if state is Peer.BEHIND:
                    continue
            replies: list[Verdict] = []
            for _ in range(self.world.random.choice((1, 1, 2))):
                self.world.start(self.carry(to, Slot(send.message, self.me), body, replies))
            yield 3
            if replies and self.world.chance(0.8):
                if replies[0] in (Verdict.FILL, Verdict.REPEAT):
                    return
                patient = self.world.defect is not Defect.PEER_BEHIND_KILLS
                require(patient and replies[0] is Verdict.EARLY, f"{self.me.duchy} gives up: {replies[0].value}")

    def ask(self, to: Duchy, message: Message) -> Peer:
        if to.stage is self.protocol.complete and self.world.defect is Defect.COMPLETE_IS_MISREAD:
            return Peer.BEHIND
        return peer(to.seat, stage_from_wire(self.protocol, self.protocol.number, to.stage.value), message)

    def carry(self, to: Duchy, slot: Slot, body: Body, replies: list[Verdict]) -> Process:
        yield self.world.random.choice((0.1, 1, 1, 50))
        self.world.sent[to.me, slot].add(body)
        replies.append(to.receive(slot, body))


def require(condition: bool, fault: str) -> None:
    if not condition:
        raise Failed(fault)


def simulate(protocol: Protocol, seeds: range, defect: Defect | None = None) -> Counter[str]:
    """What happened on the way, over all seeds. The first that goes wrong raises Failed."""
    happened: Counter[str] = Counter()
    sizes = [*rings(protocol)]
    for seed in seeds:
        try:
            happened += World(protocol, sizes[seed % len(sizes)], seed, defect).run()
        except Failed as failure:
            raise Failed(f"seed {seed}: {failure}") from None
    return happened
