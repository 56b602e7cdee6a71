"""What a duchy's store should remember of one computation, in plain Python: what the stateful test holds it against.

Written from the documentation of the store and from the protocol's page, not from the store's code: a path is a list of
rows, a lease is one of five words, and every write says what it changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gristmill.protocols.derive import Blob, Dependency, Slot, blobs
from gristmill.protocols.table import Fact, Message, Role, Seat, Stage, Wait, Work
from gristmill.store import Fence, Guard, Version

Leased = Literal["nobody's", "free", "held", "expired", "delayed"]
"""A wait is nobody's; free, expired: claimable; delayed: put back for later."""
Outcome = Literal["done", "repeat", "not yours", "another end", "not now"]


@dataclass(slots=True)
class Model:
    """One computation at the duchy in `seat`, whose ring it learns with KEYS_SET."""

    seat: Seat
    at: int = 0
    version: int = 1
    fence: int = 0
    owner: str = ""
    leased: Leased = "free"
    attempt: int = 0
    ending: str = ""
    counts: dict[str, int] = field(default_factory=lambda: {"failures": 0, "workers_lost": 0, "out_of_memory": 0})
    facts: set[Fact] = field(default_factory=set)
    slots: dict[tuple[Message, str], str] = field(default_factory=dict)
    outputs: dict[Stage, str] = field(default_factory=dict)
    requisition: str = ""
    entered: list[str] = field(default_factory=list)
    left: dict[Stage, tuple[Stage, int | None, int]] = field(default_factory=dict)
    """Stage -> where to, by which fence, at which version; of the stages that a caller left."""
    put_back_by: set[Guard] = field(default_factory=set)
    retries: set[tuple[Stage, int, str]] = field(default_factory=set)
    losses: int = 0

    @property
    def stage(self) -> Stage:
        return self.seat.protocol.walk(self.seat.me.role)[self.at]

    @property
    def row(self) -> Work | Wait | None:
        return (*self.seat.path, None)[self.at]

    @property
    def following(self) -> Stage:
        return self.seat.protocol.walk(self.seat.me.role)[self.at + 1]

    @property
    def ended(self) -> bool:
        return self.row is None

    @property
    def is_last(self) -> bool:
        return self.at == len(self.seat.path) - 1

    @property
    def claimable(self) -> bool:
        return self.leased in ("free", "expired")

    def holds(self, guard: Guard) -> bool:
        if isinstance(guard, Fence):
            return (self.fence, self.owner) == (guard.number, guard.owner)
        return self.version == guard.number

    def blobs(self) -> list[tuple[Dependency, str]]:
        """By ID, with paths; empty where there is nothing yet."""
        if self.ended:
            return []
        return [(blob.dependency, self.path_of(blob)) for blob in blobs(self.seat, self.stage)]

    def path_of(self, blob: Blob) -> str:
        if isinstance(blob.content, Slot):
            return self.slots.get((blob.content.message, blob.content.sender.duchy), "")
        return self.outputs.get(blob.content, "")

    def waits_for(self, message: Message) -> int | None:
        """How far along the path."""
        found = [at for at, row in enumerate(self.seat.path) if isinstance(row, Wait) and row.until is message]
        return found[0] if found else None

    def senders(self, message: Message) -> set[str]:
        """Setup inputs come from everyone to the aggregator, all others from the duchy before in the ring."""
        ring, me = self.seat.ring, self.seat.me
        if self.waits_for(message) is None:
            return set()
        if message.value == 1:
            return {each.duchy for each in ring if each.role is not Role.AGGREGATOR}
        return {ring[ring.index(me) - 1].duchy}

    # Writes. Each returns what the store should answer; only "done" changes anything.

    def claim(self, owner: str, *, live: bool) -> None:
        if self.leased == "expired":
            self.counts["workers_lost"] += 1
            self.losses += 1
        self.owner, self.fence, self.attempt = owner, self.fence + 1, self.attempt + 1
        self.leased = "held" if live else "expired"
        self.version += 1

    def renew(self, fence: Fence, *, live: bool) -> Outcome:
        if not self.holds(fence):
            return "not yours"
        self.leased = "held" if live else "expired"
        return "done"

    def update(self, guard: Guard) -> Outcome:
        if not self.holds(guard):
            return "not yours"
        if self.ended:
            return "not now"
        self.version += 1
        return "done"

    def record(self, fence: Fence, path: str) -> Outcome:
        if not self.holds(fence):
            return "not yours"
        row = self.row
        if not isinstance(row, Work) or row.delivers is None:
            return "not now"
        if row.stage in self.outputs:
            return "repeat"
        self.outputs[row.stage] = path
        self.version += 1
        return "done"

    def advance(self, stage: Stage, guard: Guard) -> Outcome:
        """Leave the stage that the caller believes to be in."""
        to = self._after(stage)
        if self._was_left(stage, to, guard):
            return "repeat"
        if not self.holds(guard):
            return "not yours"
        if self.ended or stage is not self.stage or to is self.seat.protocol.complete or self._unwritten():
            return "not now"
        self._leave(self.owner)
        self._settle()
        self.version += 1
        return "done"

    def finish(self, stage: Stage, reason: str, guard: Guard) -> Outcome:
        if self.ended:
            if not self.holds(guard) and not self._was_left(stage, self.seat.protocol.complete, guard):
                return "not yours"
            return "repeat" if reason == self.ending else "another end"
        if not self.holds(guard):
            return "not yours"
        if reason == "SUCCEEDED" and not self.is_last:
            return "not now"
        self._end(reason, self.fence if self.owner else None)
        return "done"

    def put_back(self, guard: Guard, count: str, *, later: bool) -> Outcome:
        if not self.holds(guard):
            return "repeat" if guard in self.put_back_by else "not yours"
        if not isinstance(self.row, Work):
            return "not now"
        if self.owner:
            self.put_back_by |= {Fence(self.fence, self.owner), Version(self.version)}
        if count:
            self.counts[count] += 1
        self._free(later=later)
        return "done"

    def retry(self, stage: Stage, attempt: int, reason: str) -> Outcome:
        if (stage, attempt, reason) in self.retries:
            return "repeat"
        if not isinstance(self.row, Work):
            return "not now"
        if (stage, attempt) != (self.stage, self.attempt):
            return "not yours"
        self.retries.add((stage, attempt, reason))
        self.counts = dict.fromkeys(self.counts, 0)
        self._free(later=False)
        return "done"

    def cancel(self) -> Outcome:
        if self.ended:
            return "repeat" if self.ending == "CANCELED" else "another end"
        self._end("CANCELED", None)
        return "done"

    def hear(self, fact: Fact) -> Outcome:
        if (fact is Fact.STARTED and self.seat.me.role is Role.AGGREGATOR) or fact in self.facts:
            return "repeat"
        if self.ended:
            return "not now"
        self.facts.add(fact)
        # The participants are part of a token; a start is not, unless it moves the computation.
        self.version += 1 if self._settle() or fact is Fact.KEYS_SET else 0
        return "done"

    def fill(self, message: Message, sender: str, path: str) -> Literal["done", "repeat", "early", "never", "stranger"]:
        wait = self.waits_for(message)
        if wait is None or (self.ended and Fact.KEYS_SET not in self.facts):
            return "never"
        if self.at < wait - 1:
            return "early"
        if sender not in self.senders(message):
            return "stranger"
        if (message, sender) in self.slots:
            return "repeat"
        if self.ended:
            return "never"
        self.slots[message, sender] = path
        if self.at == wait:
            self._settle()
            self.version += 1
        return "done"

    def fulfill(self, path: str) -> Outcome:
        if self.requisition:
            return "repeat"
        if self.ended or self.stage.name not in ("INITIALIZATION_PHASE", "WAIT_REQUISITIONS_AND_KEY_SET"):
            return "not now"
        self.requisition = path
        self.version += 1
        return "done"

    # What writes have in common

    def _after(self, stage: Stage) -> Stage:
        walk = self.seat.protocol.walk(self.seat.me.role)
        return walk[walk.index(stage) + 1]

    def _was_left(self, stage: Stage, to: Stage, guard: Guard) -> bool:
        if stage not in self.left or self.left[stage][0] is not to:
            return False
        _, fence, version = self.left[stage]
        return guard.number == (fence if isinstance(guard, Fence) else version)

    def _unwritten(self) -> bool:
        row = self.row
        return isinstance(row, Work) and row.delivers is not None and row.stage not in self.outputs

    def _leave(self, owner: str) -> None:
        self.left[self.stage] = (self.following, self.fence if owner else None, self.version)
        self._enter()

    def _enter(self) -> None:
        self.at += 1
        self.owner, self.attempt = "", 0
        self.counts = dict.fromkeys(self.counts, 0)
        self.leased = "free" if isinstance(self.row, Work) else "nobody's"
        self.entered.append(self.stage.name)

    def _settle(self) -> bool:
        """A wait that lacks nothing is left at once."""
        row = self.row
        if not isinstance(row, Wait):
            return False
        if isinstance(row.until, Fact):
            there = row.until in self.facts
        else:
            there = {(row.until, sender) for sender in self.senders(row.until)} <= self.slots.keys()
        if there:
            self._enter()
        return there

    def _free(self, *, later: bool) -> None:
        self.owner, self.leased = "", "delayed" if later else "free"
        self.version += 1

    def _end(self, reason: str, fence: int | None) -> None:
        self.left[self.stage] = (self.seat.protocol.complete, fence, self.version)
        self.ending, self.owner, self.leased, self.attempt = reason, "", "nobody's", 0
        self.at = len(self.seat.path)
        self.version += 1
