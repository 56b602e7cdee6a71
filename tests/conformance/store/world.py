"""Whole computations among real stores, in a world where whatever can go wrong does.

Messages are doubled or come at once; mills die at any moment, or lose their lease and go on; half of them speak as the
wire's mills do, with versions; the kingdom says everything twice and as early as it may; a thief fills others' slots.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from hashlib import sha256
from random import Random

from conformance.store.computations import MINUTE, NO_TIME, SUCCEEDED, fence_of, requisition, version_of
from gristmill.errors import Conflict, LeaseLost, Refused
from gristmill.proto.duchy.leases_pb2 import BlobDigest, Lease
from gristmill.proto.duchy.orchestration_pb2 import FILL, REPEAT, SlotMessage
from gristmill.protocols import registry
from gristmill.protocols.derive import Blob, Dependency, Slot, blobs, kept_beside, row_of, transitions
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
    senders,
    sends,
)
from gristmill.store import Guard, Store
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import INPUT, OUTPUT
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2 import (
    AdvanceComputationStageRequest,
    CreateComputationRequest,
)

Process = AsyncIterator[None]
ID = "walk"
AfterTransition = AdvanceComputationStageRequest.AfterTransition


class World:
    def __init__(
        self, stores: dict[str, Store], protocol: Protocol, ring: Ring, seed: int, maximum_frequency: int
    ) -> None:
        self.stores, self.ring, self.random = stores, ring, Random(seed)
        self.maximum_frequency, self.protocol = maximum_frequency, protocol
        self.complete = registry.wire_stage(protocol, protocol.complete)
        self.processes: list[Process] = []
        self.done: set[tuple[Participant, Stage]] = set()
        self.kept: dict[tuple[str, Stage], bytes] = {}
        self.sent: defaultdict[tuple[str, Slot], set[bytes]] = defaultdict(set)
        self.results: set[bytes] = set()
        self.happened: Counter[str] = Counter()
        self.ended: set[Participant] = set()
        self.mills = 0

    async def run(self) -> Counter[str]:
        for me in self.ring:
            store = self.stores[me.duchy]
            request = CreateComputationRequest(global_computation_id=ID)
            request.computation_type = self.protocol.number  # type: ignore[assignment]
            request.computation_details.CopyFrom(self.details(me))
            request.requisitions.append(requisition(ID))
            await store.create(request)
            self.processes += [self.mill(me), self.mill(me)]
        self.processes += [self.kingdom(), self.thief()]
        for _ in range(5_000):
            if not self.processes:
                break
            process = self.random.choice(self.processes)
            if not await self.step(process):
                self.processes.remove(process)
        await self.check_end()
        return self.happened

    def details(self, me: Participant, *, with_ring: bool = False) -> ComputationDetails:
        """What the herald of `me` writes, first without and then with the ring, where that is learned."""
        made = ComputationDetails()
        part = getattr(made, registry.by_number(self.protocol.number).member)
        part.role = me.role.value
        if "maximum_frequency" in part.parameters.DESCRIPTOR.fields_by_name:
            part.parameters.maximum_frequency = self.maximum_frequency
        if not registry.learns_ring(self.protocol):
            part.non_aggregators.extend(each.duchy for each in self.ring[:-1])
        elif with_ring:
            for each in self.ring:
                part.participant.add(duchy_id=each.duchy)
        return made

    def where(self, token: ComputationToken) -> Stage:
        return self.protocol.stages(registry.stage_of(token.computation_stage)[1])

    def message(self, kind: Message, sender: Participant) -> SlotMessage:
        return SlotMessage(
            global_computation_id=ID, computation_type=self.protocol.number, message=kind.value, sender=sender.duchy
        )

    async def step(self, process: Process) -> bool:
        try:
            await anext(process)
        except StopAsyncIteration:
            return False
        return True

    async def check_end(self) -> None:
        for me in self.ring:
            token = await self.stores[me.duchy].token(ID)
            assert self.where(token) is self.protocol.complete, f"{me.duchy} is stuck in {self.where(token).name}"
            assert token.computation_details.ending_state == SUCCEEDED
            events = (await self.stores[me.duchy].events(ID)).events
            entered = [event.stage for event in events if event.kind == "stage entered"]
            assert entered == [each.name for each in self.protocol.walk(me.role)[1:-1]]
        assert len(self.results) == 1
        assert all(len(bodies) == 1 for bodies in self.sent.values()), "a retry sent something else"

    async def kingdom(self) -> Process:
        for fact in (fact for fact in Fact if comes_before(self.protocol, self.ring, fact)):
            while not comes_before(self.protocol, self.ring, fact) <= self.done:
                yield
            self.processes += [self.herald(me, fact) for me in (*self.ring, *self.ring)]

    async def herald(self, me: Participant, fact: Fact) -> Process:
        yield
        store = self.stores[me.duchy]
        before = await store.token(ID)
        row = row_of(Seat(self.protocol, self.ring, me), self.where(before))
        self.happened["early fact"] += isinstance(row, Work)
        await store.record_fact(ID, fact, self.details(me, with_ring=True) if fact is Fact.KEYS_SET else None)

    async def thief(self) -> Process:
        for _ in range(20):
            yield
            receiver, thief = self.random.choice(self.ring), self.random.choice(self.ring)
            kind = self.random.choice([*self.protocol.messages])
            if thief in senders(Seat(self.protocol, self.ring, receiver), kind):
                continue
            try:
                await self.stores[receiver.duchy].fill_slot(self.message(kind, thief), digest(b"stolen", "stolen"))
            except Refused as refused:
                self.happened[f"thief: {refused.status}"] += 1
            else:
                raise AssertionError(f"{thief.duchy} filled a slot of {receiver.duchy}")

    async def mill(self, me: Participant) -> Process:
        store = self.stores[me.duchy]
        while me not in self.ended:
            yield
            self.mills += 1
            owner = f"mill{self.mills}"
            token = await store.claim(self.protocol.number, owner, MINUTE)
            if token is None:
                for _ in range(8):
                    yield
                continue
            held = await store.lease(ID, owner)
            attempt = self.attempt(me, store, token, held)
            while await self.step(attempt):
                if self.random.random() < 0.1:
                    await self.lose(store, held)
                    if self.random.random() < 0.5:
                        self.processes.append(attempt)
                    break
                yield

    async def lose(self, store: Store, held: Lease) -> None:
        """Its lease runs out."""
        try:
            await store.renew(ID, fence_of(held), NO_TIME)
            self.happened["mill lost"] += 1
        except LeaseLost:
            pass

    async def attempt(self, me: Participant, store: Store, token: ComputationToken, held: Lease) -> Process:
        """Compute, keep, deliver, advance; a lease or a version that is lost ends it."""
        try:
            async for _ in self.work(me, store, token, held):
                yield
        except LeaseLost:
            self.happened["zombie stopped"] += 1
        except Conflict:
            self.happened["version conflict"] += 1
            await self.lose(store, held)

    async def work(self, me: Participant, store: Store, token: ComputationToken, held: Lease) -> Process:
        seat = Seat(self.protocol, self.ring, me)
        at = self.where(token)
        row = row_of(seat, at)
        assert isinstance(row, Work)
        self.check_blobs(seat, at, token, held)
        as_on_the_wire = self.random.random() < 0.3
        outputs = [
            blob.blob_id
            for blob in token.blobs
            if blob.dependency_type == OUTPUT and (not blob.path or not as_on_the_wire)
        ]
        if kept_beside(seat, at):
            outputs.append(len(token.blobs))
        if row.repeatable:
            self.kept[me.duchy, at] = sha256(f"{me.duchy} {at.name}".encode()).digest()
        for blob_id in outputs:
            yield
            drawn = self.random.randbytes(8)
            reply = await store.record_output(ID, fence_of(held), blob_id, digest(drawn, drawn.hex()))
            token = reply.token
            self.kept.setdefault((me.duchy, at), reply.recorded.digest.sha256)
            assert self.kept[me.duchy, at] == reply.recorded.digest.sha256
        yield
        self.done.add((me, at))
        if send := sends(row):
            async for _ in self.deliver(seat, send, self.kept[me.duchy, at]):
                yield
        elif row.delivers is Result.RESULT:
            self.results.add(self.kept[me.duchy, at])
        yield
        guard: Guard = version_of(token) if as_on_the_wire else fence_of(held)
        for _ in range(self.random.choice((1, 1, 2))):
            await self.leave(seat, at, store, token, guard, listed=as_on_the_wire)
            yield

    def check_blobs(self, seat: Seat, at: Stage, token: ComputationToken, held: Lease) -> None:
        """What the stage is given is what the sender, or this duchy, kept."""
        layout = blobs(seat, at)
        wire = {Dependency.INPUT: INPUT, Dependency.OUTPUT: OUTPUT}
        assert [blob.dependency_type for blob in token.blobs] == [wire[blob.dependency] for blob in layout]
        given = [blob.content for blob in layout if blob.dependency is Dependency.INPUT]
        for content, known in zip(given, held.digests, strict=True):
            assert isinstance(content, Slot)
            assert self.sent[seat.me.duchy, content] == {known.sha256}

    async def deliver(self, seat: Seat, send: Send, kept: bytes) -> Process:
        to = seat.recipient(send)
        receiver, slot = self.stores[to.duchy], Slot(send.message, seat.me)
        message = self.message(send.message, seat.me)
        for _ in range(self.random.choice((1, 1, 2))):
            while True:
                yield
                try:
                    judged = await receiver.judge(message)
                except Conflict:
                    self.happened["early message"] += 1
                    continue
                break
            self.happened[f"verdict {judged.verdict}"] += 1
            if judged.verdict == FILL:
                yield
                self.sent[to.duchy, slot].add(kept)
                carried = BlobDigest(path=judged.blob_path, length=8, sha256=kept)
                assert (await receiver.fill_slot(message, carried)).verdict in (FILL, REPEAT)

    async def leave(
        self, seat: Seat, at: Stage, store: Store, token: ComputationToken, guard: Guard, *, listed: bool
    ) -> None:
        following = transitions(self.protocol)[at, seat.me.role]
        if following is self.protocol.complete:
            await store.finish(token, self.complete, SUCCEEDED, guard)
            self.ended.add(seat.me)
            return
        request = AdvanceComputationStageRequest(
            token=token, next_computation_stage=registry.wire_stage(self.protocol, following)
        )
        if listed:
            waits = isinstance(row_of(seat, following), Wait)
            after = AfterTransition.DO_NOT_ADD_TO_QUEUE if waits else AfterTransition.ADD_UNCLAIMED_TO_QUEUE
            layout = blobs(seat, following)
            request.after_transition = after
            request.outputBlobs = [blob.dependency for blob in layout].count(Dependency.OUTPUT)
            if Blob(Dependency.INPUT, at) in layout:
                request.input_blobs.extend(blob.path for blob in token.blobs if blob.dependency_type == OUTPUT)
            elif any(blob.dependency is Dependency.INPUT for blob in layout):
                request.input_blobs.extend(blob.path for blob in token.blobs if blob.dependency_type == INPUT)
        await store.advance(request, guard)


def digest(content: bytes, path: str) -> BlobDigest:
    return BlobDigest(path=path, length=len(content), sha256=sha256(content).digest())
