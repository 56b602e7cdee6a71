"""Random histories of two computations at one duchy, the store held against a plain model after every step.

Two mills claim, renew, lose their leases and go on all the same; some speak as the wire's mills do, with versions;
replies are lost and every write comes again, at once or much later; the herald, the peers, the data providers and the
operator say their part at any moment, also too early, too late and twice, and some do so at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from itertools import count
from typing import Any, TypeVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from conformance.store.computations import (
    NO_TIME,
    NONCE,
    OpenStore,
    body,
    requisition,
    requisition_key,
)
from conformance.store.model import Model, Outcome
from gristmill.errors import Conflict, GristmillError, LeaseLost, PermissionDenied, PreconditionFailed
from gristmill.proto.duchy.leases_pb2 import PutBackRequest
from gristmill.proto.duchy.orchestration_pb2 import FILL, REPEAT, SlotMessage
from gristmill.protocols import registry
from gristmill.protocols.derive import Dependency, blobs
from gristmill.protocols.llv2 import LLV2, LLV2_REACH
from gristmill.protocols.reach_only import REACH_ONLY
from gristmill.protocols.table import Fact, Message, Participant, Protocol, Role, Seat, Stage, Wait, Work
from gristmill.store import Fence, Guard, Operator, Store, Version
from gristmill.store.refusals import ComputationExists
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2 import (
    AdvanceComputationStageRequest,
    CreateComputationRequest,
)

TABLES = (LLV2, LLV2_REACH, REACH_ONLY)
HOUR = timedelta(hours=1)
RING = tuple(
    Participant(duchy, Role.AGGREGATOR if duchy == "aggregator" else Role.NON_AGGREGATOR)
    for duchy in ("worker2", "worker1", "aggregator")
)
NAMES = ("first", "second")
WHY_CANCELED = "enough"
REASONS = {
    PutBackRequest.FAILURE: "failures",
    PutBackRequest.STALLED: "failures",
    PutBackRequest.OUT_OF_MEMORY: "out_of_memory",
    PutBackRequest.SHUTDOWN: "",
    PutBackRequest.PEER_BEHIND: "",
}
AfterTransition = AdvanceComputationStageRequest.AfterTransition
_histories = count(1)
Answer = TypeVar("Answer")
Step = TypeVar("Step", bound=Callable[..., None])

name = st.sampled_from([*NAMES, NAMES[0]])
mill = st.sampled_from(["mill1", "mill2"])
live = st.sampled_from([True, True, False])
back = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 5, 8])
"""Which claim writes: the latest of all, or one before it, a zombie perhaps."""
by_version = st.sampled_from([False, False, True])


@dataclass(slots=True)
class Claimed:
    """What a mill knows: it never learns of what others did since."""

    name: str
    token: ComputationToken
    fence: Fence
    stage: Stage

    def guard(self, by_version: bool) -> Guard:
        return Version(self.token.version) if by_version else self.fence


def with_claims(step: Step) -> Step:
    """A step that does nothing before anything was claimed.

    Not a precondition: who wins a race is chance, and which steps there are to choose from must not depend on it.
    """

    @wraps(step)
    def taken(self: History, *given: Any, **chosen: Any) -> None:
        if self.claims:
            step(self, *given, **chosen)

    return cast(Step, taken)


class History(RuleBasedStateMachine):
    """`stores` and `loop` are set by whoever runs it; they outlive a history."""

    stores: dict[str, Store]
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.number = next(_histories)
        self.models: dict[str, Model] = {}
        self.tokens: dict[str, ComputationToken] = {}
        self.claims: list[Claimed] = []
        self.touched: set[str] = set()

    def run(self, call: Awaitable[Answer]) -> Answer:
        async def awaited() -> Answer:
            return await call

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result(60)

    def id(self, name: str) -> str:
        return f"{name}-{self.number}"

    @initialize(duchy=st.sampled_from(["worker1", "aggregator"]), protocol=st.sampled_from(TABLES))
    def begin(self, duchy: str, protocol: Protocol) -> None:
        self.store = self.stores[duchy]
        (me,) = (each for each in RING if each.duchy == duchy)
        self.seat = Seat(protocol, RING, me)
        self.create(NAMES[0])

    @property
    def type(self) -> int:
        return self.seat.protocol.number

    def wire_stage(self, stage: Stage) -> ComputationStage:
        return registry.wire_stage(self.seat.protocol, stage)

    def details(self, *, with_ring: bool = False) -> ComputationDetails:
        """What the herald writes, first without and then with the ring."""
        made = ComputationDetails()
        part = getattr(made, registry.by_number(self.type).member)
        part.role = self.seat.me.role.value
        if self.seat.protocol is not REACH_ONLY:
            part.parameters.maximum_frequency = 10 if self.seat.protocol is LLV2 else 1
        for each in RING if with_ring else ():
            part.participant.add(duchy_id=each.duchy)
        return made

    @rule(name=name)
    def create(self, name: str) -> None:
        request = CreateComputationRequest(
            computation_type=self.type,  # type: ignore[arg-type]
            global_computation_id=self.id(name),
            computation_details=self.details(),
            requisitions=[requisition(self.id(name))],
        )
        if name in self.models:
            self.refused(name, ComputationExists, self.store.create(request))
            return
        self.models[name] = Model(self.seat)
        self.run(self.store.create(request))
        self.touched.add(name)

    def teardown(self) -> None:
        try:
            for name, model in self.models.items():
                self.check_events(name, model)
        finally:  # the next history claims from the same store
            for token in self.tokens.values():
                self.run(self.store.delete(token.local_computation_id))

    # What is asked, and what comes back

    def expect(
        self, name: str, outcome: Outcome, call: Coroutine[Any, Any, Answer], *, taken: type[GristmillError]
    ) -> Answer | None:
        """`taken`: how a caller is refused that does not hold what it thinks it holds."""
        if outcome in ("done", "repeat"):
            self.touched.add(name)
            if outcome == "repeat":
                return self.unchanged(name, call)
            return self.run(call)
        self.refused(name, taken if outcome == "not yours" else PreconditionFailed, call)
        return None

    def unchanged(self, name: str, call: Coroutine[Any, Any, Answer]) -> Answer:
        answer = self.run(call)
        assert self.run(self.store.token(self.id(name))) == self.tokens[name]
        return answer

    def refused(self, name: str, error: type[GristmillError], call: Coroutine[Any, Any, Any]) -> None:
        with pytest.raises(error):
            self.run(call)
        assert self.run(self.store.token(self.id(name))) == self.tokens[name], "a refused write changed something"

    def refusal_of(self, guard: Guard) -> type[GristmillError]:
        return LeaseLost if isinstance(guard, Fence) else Conflict

    # Mills

    @rule(owner=mill, live=live, prioritized=st.booleans(), lost=st.sampled_from([False, False, False, True]))
    def claim(self, owner: str, live: bool, prioritized: bool, lost: bool) -> None:
        expected = self.next_claim(prioritized)
        first = [self.wire_stage(self.seat.path[0].stage)] if prioritized else []
        token = self.run(self.store.claim(self.type, owner, HOUR if live else NO_TIME, first))
        assert (token and token.global_computation_id) == (expected and self.id(expected))
        if expected and token:
            self.claimed(expected, token, owner, live, lost)

    def next_claim(self, prioritized: bool) -> str | None:
        """The first stage of a path before all others, if they are prioritized; then the oldest computation."""
        claimable = [name for name in self.models if self.models[name].claimable]
        return min(claimable, key=lambda name: prioritized and self.models[name].at != 0, default=None)

    def claimed(self, name: str, token: ComputationToken, owner: str, live: bool, lost: bool = False) -> None:
        model = self.models[name]
        model.claim(owner, live=live)
        self.touched.add(name)
        if not lost:
            self.claims.append(Claimed(name, token, Fence(model.fence, owner), model.stage))

    @rule(owners=st.sampled_from([("mill1", "mill2"), ("mill1", "mill2", "mill1")]))
    def race_to_claim(self, owners: tuple[str, ...]) -> None:
        """Nobody gets what another gets, and nobody leaves empty-handed while there is something."""
        claimable = {name for name, model in self.models.items() if model.claimable}

        async def race() -> list[ComputationToken | None]:
            return await asyncio.gather(*(self.store.claim(self.type, owner, HOUR) for owner in owners))

        tokens = self.run(race())
        got = [token.global_computation_id for token in tokens if token]
        assert len(got) == min(len(owners), len(claimable))
        assert len({*got}) == len(got)
        for token, owner in zip(tokens, owners, strict=True):
            if token:
                self.claimed(token.global_computation_id.partition("-")[0], token, owner, live=True)

    @rule(back=back, live=live)
    @with_claims
    def renew(self, back: int, live: bool) -> None:
        """With next to no time it is an expiry, of which the mill may know nothing."""
        claim = self.claims[-1 - back % len(self.claims)]
        outcome = self.models[claim.name].renew(claim.fence, live=live)
        call = self.store.renew(self.id(claim.name), claim.fence, HOUR if live else NO_TIME)
        self.expect(claim.name, outcome, call, taken=LeaseLost)

    @rule(back=back)
    @with_claims
    def record_output(self, back: int) -> None:
        claim = self.claims[-1 - back % len(self.claims)]
        model = self.models[claim.name]
        blob_id = next(
            (at for at, blob in enumerate(blobs(self.seat, claim.stage)) if blob.dependency is Dependency.OUTPUT), 0
        )
        made = body()
        outcome = model.record(claim.fence, made.path)
        call = self.store.record_output(self.id(claim.name), claim.fence, blob_id, made)
        reply = self.expect(claim.name, outcome, call, taken=LeaseLost)
        if reply is not None:
            assert reply.recorded.digest.path == model.outputs[claim.stage]
            claim.token = reply.token

    @rule(back=back, by_version=by_version)
    @with_claims
    def update_details(self, back: int, by_version: bool) -> None:
        claim = self.claims[-1 - back % len(self.claims)]
        guard = claim.guard(by_version)
        outcome = self.models[claim.name].update(guard)
        call = self.store.update_details(claim.token, claim.token.computation_details, (), guard)
        updated = self.expect(claim.name, outcome, call, taken=self.refusal_of(guard))
        claim.token = updated or claim.token

    @rule(back=back, by_version=by_version, listed=st.booleans())
    @with_claims
    def advance(self, back: int, by_version: bool, listed: bool) -> None:
        claim = self.claims[-1 - back % len(self.claims)]
        model, guard = self.models[claim.name], claim.guard(by_version)
        request = self.advance_request(claim, listed=listed or by_version)
        outcome = model.advance(claim.stage, guard)
        self.expect(claim.name, outcome, self.store.advance(request, guard), taken=self.refusal_of(guard))

    def advance_request(self, claim: Claimed, *, listed: bool) -> AdvanceComputationStageRequest:
        walk = self.seat.protocol.walk(self.seat.me.role)
        to = walk[walk.index(claim.stage) + 1]
        request = AdvanceComputationStageRequest(token=claim.token, next_computation_stage=self.wire_stage(to))
        if listed and to is not self.seat.protocol.complete:
            row = self.seat.path[walk.index(to)]
            waits = isinstance(row, Wait)
            request.after_transition = (
                AfterTransition.DO_NOT_ADD_TO_QUEUE if waits else AfterTransition.ADD_UNCLAIMED_TO_QUEUE
            )
            for blob in blobs(self.seat, to):
                if blob.dependency is Dependency.INPUT:
                    request.input_blobs.append(self.models[claim.name].path_of(blob))
                else:
                    request.outputBlobs += 1
        return request

    @rule()
    @with_claims
    def work(self) -> None:
        """All that a mill does in a stage, so that histories get far."""
        self.record_output(0)
        claim = self.claims[-1]
        if isinstance(row := self.models[claim.name].row, Work) and row is self.seat.path[-1]:
            self.finish(0, True, False)
        else:
            self.advance(0, False, False)

    @rule(back=back, succeeded=st.sampled_from([True, True, True, False]), by_version=by_version)
    @with_claims
    def finish(self, back: int, succeeded: bool, by_version: bool) -> None:
        claim = self.claims[-1 - back % len(self.claims)]
        guard, reason = claim.guard(by_version), "SUCCEEDED" if succeeded else "FAILED"
        outcome = self.models[claim.name].finish(claim.stage, reason, guard)
        complete = self.wire_stage(self.seat.protocol.complete)
        call = self.store.finish(claim.token, complete, ComputationDetails.CompletedReason.Value(reason), guard)
        self.expect(claim.name, outcome, call, taken=self.refusal_of(guard))

    @rule(back=back, reason=st.sampled_from([*REASONS]), later=st.sampled_from([False, False, False, True]))
    @with_claims
    def put_back(self, back: int, reason: int, later: bool) -> None:
        claim = self.claims[-1 - back % len(self.claims)]
        outcome = self.models[claim.name].put_back(claim.fence, REASONS[reason], later=later)  # type: ignore[index]
        call = self.store.put_back(self.id(claim.name), claim.fence, HOUR if later else timedelta(0), reason)
        self.expect(claim.name, outcome, call, taken=LeaseLost)

    @rule(back=back)
    @with_claims
    def enqueue(self, back: int) -> None:
        claim = self.claims[-1 - back % len(self.claims)]
        guard = claim.guard(by_version=True)
        outcome = self.models[claim.name].put_back(guard, "failures", later=False)
        call = self.store.enqueue(claim.token, timedelta(0), claim.fence.owner, guard)
        self.expect(claim.name, outcome, call, taken=Conflict)

    @rule(back=back)
    @with_claims
    def race_to_leave(self, back: int) -> None:
        """A mill puts back what its own second thread, or a late call of its, advances: one of the two counts."""
        claim = self.claims[-1 - back % len(self.claims)]
        model, global_id = self.models[claim.name], self.id(claim.name)
        request = self.advance_request(claim, listed=False)

        async def race() -> list[object]:
            advance, again = (self.store.advance(request, claim.fence) for _ in range(2))
            putting = self.store.put_back(global_id, claim.fence, timedelta(0), PutBackRequest.SHUTDOWN)
            return [*await asyncio.gather(advance, putting, again, return_exceptions=True)]

        advanced, returned, again = self.run(race())
        put_back_first = (
            not isinstance(returned, BaseException)
            and claim.fence not in model.put_back_by
            and model.holds(claim.fence)
        )
        if put_back_first:
            model.put_back(claim.fence, "", later=False)
        for answer in (advanced, again):
            outcome = model.advance(claim.stage, claim.fence)
            assert (outcome in ("done", "repeat")) == isinstance(answer, ComputationToken), (outcome, answer)
        if not put_back_first:
            outcome = model.put_back(claim.fence, "", later=False)
            assert (outcome == "repeat") == (returned is None), (outcome, returned)
        self.touched.add(claim.name)

    # Everyone else

    @rule(name=name, fact=st.sampled_from([*Fact]))
    def hear(self, name: str, fact: Fact) -> None:
        if name not in self.models:
            return
        learned, entries = None, []
        if fact is Fact.KEYS_SET:
            learned = self.details(with_ring=True)
            entries = [requisition(self.id(name), NONCE)]
        outcome = self.models[name].hear(fact)
        call = self.store.record_fact(self.id(name), fact, learned, entries)
        self.expect(name, outcome, call, taken=Conflict)

    @rule(
        name=name,
        kind=st.integers(0, 3),
        sender=st.sampled_from([*(each.duchy for each in RING), "stranger"]),
        deliveries=st.sampled_from([1, 1, 2]),
    )
    def deliver(self, name: str, kind: int, sender: str, deliveries: int) -> None:
        if name in self.models:
            messages = [*self.seat.protocol.messages]
            self.deliver_to(name, messages[kind % len(messages)], sender, deliveries)

    @rule(at=st.integers(0, 5), deliveries=st.sampled_from([1, 1, 2]))
    def deliver_what_is_awaited(self, at: int, deliveries: int) -> None:
        awaited = self.awaited()
        if not awaited:
            return
        self.deliver_to(*awaited[at % len(awaited)], deliveries)

    def awaited(self) -> list[tuple[str, Message, str]]:
        found = []
        for name, model in self.models.items():
            if isinstance(model.row, Wait) and isinstance(model.row.until, Message):
                kind = model.row.until
                found += [
                    (name, kind, sender) for sender in sorted(model.senders(kind)) if (kind, sender) not in model.slots
                ]
        return found

    def deliver_to(self, name: str, kind: Message, sender: str, deliveries: int) -> None:
        """At once when there are several; then each comes a second time, because its reply was lost."""
        told = SlotMessage(
            global_computation_id=self.id(name), computation_type=self.type, message=kind.value, sender=sender
        )
        model = self.models[name]
        bodies = [body() for _ in range(deliveries)]

        async def race() -> list[object]:
            filling = (self.store.fill_slot(told, each) for each in bodies)
            return [*await asyncio.gather(*filling, return_exceptions=True)]

        answers = self.run(race())
        filled = [
            each.path for each, answer in zip(bodies, answers, strict=True) if getattr(answer, "verdict", 0) == FILL
        ]
        refusals = {"early": Conflict, "stranger": PermissionDenied, "never": PreconditionFailed}
        outcome = model.fill(kind, sender, filled[0] if filled else "")
        self.touched.add(name)
        if outcome in refusals:
            assert {type(answer) for answer in answers} == {refusals[outcome]}, (outcome, answers)
            return
        assert len(filled) == (outcome == "done"), (outcome, answers)
        assert sum(getattr(answer, "verdict", 0) == REPEAT for answer in answers) == deliveries - len(filled)
        for each in bodies:
            again = self.run(self.store.fill_slot(told, each)).verdict
            assert again == (FILL if each.path in filled else REPEAT)

    @rule(name=name)
    def fulfill(self, name: str) -> None:
        if name not in self.models:
            return
        path = body().path
        outcome = self.models[name].fulfill(path)
        local_id = self.tokens[name].local_computation_id if name in self.tokens else 0
        call = self.store.record_requisition(local_id, requisition_key(self.id(name)), path, "v2alpha")
        self.expect(name, outcome, call, taken=Conflict)

    @rule(
        name=name, attempt=st.sampled_from(["latest", "latest", "before"]), reason=st.sampled_from(["why", "because"])
    )
    def retry(self, name: str, attempt: str, reason: str) -> None:
        if name not in self.models:
            return
        model = self.models[name]
        told = self.shown_attempt(model) - (attempt == "before")
        outcome = model.retry(model.stage, told, reason)
        call = self.store.retry(self.id(name), model.stage.name, told, Operator("ann", reason))
        self.expect(name, outcome, call, taken=Conflict)

    @rule(name=name, really=st.sampled_from([False, False, True]))
    def cancel(self, name: str, really: bool) -> None:
        if name in self.models and (really or self.models[name].ended):
            outcome = self.models[name].cancel()
            self.expect(name, outcome, self.store.cancel(self.id(name), Operator("ann", WHY_CANCELED)), taken=Conflict)

    # What must always hold

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        for name in self.touched:
            token, model = self.run(self.store.token(self.id(name))), self.models[name]
            assert token.computation_stage == self.wire_stage(model.stage), model
            assert (token.version, token.lock_owner) == (model.version, model.owner), model
            assert token.attempt == self.shown_attempt(model), model
            assert token.HasField("lock_expiration_time") == (model.leased != "nobody's"), model
            shown = [(Dependency(blob.dependency_type), blob.path) for blob in token.blobs]
            assert shown == model.blobs(), model
            assert [each.path for each in token.requisitions] == [model.requisition]
            known = [each.duchy_id for each in registry.part(token.computation_details).participant]
            assert known == ([each.duchy for each in RING] if Fact.KEYS_SET in model.facts else [])
            ending = token.computation_details.ending_state
            assert (ComputationDetails.CompletedReason.Name(ending) if ending else "") == model.ending
            if model.owner:
                lease = self.run(self.store.lease(self.id(name), model.owner))
                assert (lease.fence, lease.owner) == (model.fence, model.owner)
                assert {count: getattr(lease.counts, count) for count in model.counts} == model.counts
            self.tokens[name] = token
        self.touched.clear()

    def shown_attempt(self, model: Model) -> int:
        """The wire shows a wait as attempted once."""
        return 1 if isinstance(model.row, Wait) else model.attempt

    def check_events(self, name: str, model: Model) -> None:
        """Each stage entered once, each fence given once, nothing filled or heard twice, one end."""
        events = self.run(self.store.events(self.id(name))).events
        kinds = [event.kind for event in events]
        assert [event.stage for event in events if event.kind == "stage entered"] == model.entered
        assert [event.fence for event in events if event.kind == "claimed"] == [*range(1, model.fence + 1)]
        assert kinds.count("worker lost") == model.losses
        assert kinds.count("slot filled") == len(model.slots)
        assert sorted(event.detail for event in events if event.kind == "fact recorded") == sorted(
            fact.name for fact in model.facts
        )
        ending = f"CANCELED: {WHY_CANCELED}" if model.ending == "CANCELED" else model.ending
        assert [event.detail for event in events if event.kind == "ended"] == ([ending] if ending else [])


@pytest.mark.parametrize(
    ("examples", "steps"),
    [
        pytest.param(15, 50, id="some"),
        pytest.param(300, 100, id="many", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
async def test_any_history_leaves_the_store_as_the_model_says(open_as: OpenStore, examples: int, steps: int) -> None:
    History.stores = {duchy: await open_as(duchy) for duchy in ("worker1", "aggregator")}
    History.loop = asyncio.get_running_loop()
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[*HealthCheck],
        print_blob=True,
    )
    await asyncio.to_thread(run_state_machine_as_test, History, settings=chosen)
