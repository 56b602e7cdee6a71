"""What the herald does about one computation, by what the kingdom says of it.

Facts are recorded through our extension of the internal API, which remembers them whatever the stage. An internal API
without it gets the wire's own calls (`by_wire`), each in the stage where it belongs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import grpc

from gristmill.duchy import by_wire, names
from gristmill.duchy.creation import create_request
from gristmill.duchy.key_sets import fulfilled_requisitions, with_participants
from gristmill.duchy.status import LONGEST_MESSAGE, MESSAGE_KEY, where
from gristmill.errors import GristmillError, KingdomContradicts, Transient
from gristmill.observe.logs import logger
from gristmill.proto.duchy import orchestration_pb2
from gristmill.protocols import registry
from wfa.measurement.internal.duchy import computations_service_pb2 as computations
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.system.v1alpha import computation_participants_service_pb2 as participants
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

if TYPE_CHECKING:
    from gristmill.duchy.key_pairs import Creator
    from gristmill.proto.duchy.orchestration_pb2_grpc import OrchestrationStub
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
    from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
    from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig
    from wfa.measurement.system.v1alpha.computation_participants_service_pb2_grpc import ComputationParticipantsStub

log = logger("herald")

_CODE = grpc.StatusCode
DOWN: Final = frozenset({_CODE.UNAVAILABLE, _CODE.DEADLINE_EXCEEDED, _CODE.RESOURCE_EXHAUSTED})
"""A service that does not answer says nothing about the computation: tried again for as long as the herald runs. (The
existing herald fails the computation after three tries, so that a restart of its own internal API can cost it.)"""
TRANSIENT: Final = frozenset({_CODE.ABORTED, _CODE.UNKNOWN, _CODE.INTERNAL})
"""Worth a few more tries, with everything read afresh: a mill may have written between."""
ATTEMPTS: Final = 5
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.5, 1.5, 30.0
"""Seconds, factor, seconds."""
DEADLINE: Final = 30.0

TERMINAL: Final = frozenset({Computation.SUCCEEDED, Computation.FAILED, Computation.CANCELLED})


class Stopped(Exception):  # not an error: the herald was told to
    """The herald is being stopped; what it was doing stays undone and comes again after the next start."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the herald calls. `pause(seconds)` sleeps, and raises Stopped when the herald is told to end."""

    computations: ComputationsStub
    orchestration: OrchestrationStub
    participants: ComputationParticipantsStub
    creator: Creator
    pause: Callable[[float], None]


class Hearing:
    """Handles computations, one call at a time each; several threads may handle several."""

    def __init__(
        self,
        duchy: str,
        reference: str,
        setup: ProtocolsSetupConfig,
        services: Services,
        deletable: frozenset[int] = frozenset(),
    ) -> None:
        self._duchy, self._reference, self._setup = duchy, reference, setup
        self._services, self._deletable = services, deletable

    def handle(self, computation: Computation) -> None:
        """Do what the state asks for. What cannot be done fails the computation here and at the kingdom."""
        computation_id = computation.name.removeprefix("computations/")
        told = log.bind(computation=computation_id, state=_name(computation.state))
        try:
            if computation.state in TERMINAL:
                self._ended(computation)
            else:
                self._persist(lambda: self._act(computation))
            told.info("handled")
        except GristmillError as error:
            told.error("the computation cannot go on", reason=str(error))
            self._fail(computation_id, str(error))
        except grpc.RpcError as error:
            told.error("the computation cannot go on", status=error.code().name, reason=error.details())
            self._fail(computation_id, f"{error.code().name}: {error.details()}")
        except Stopped:
            raise
        except Exception as error:
            # A fault of ours. Were it left undone, the herald would come back to it for ever.
            told.error("the computation cannot go on", error=type(error).__name__, where=where(error))
            self._fail(computation_id, "internal error of the herald; its log has it")

    def _act(self, computation: Computation) -> None:
        match computation.state:
            case Computation.PENDING_REQUISITION_PARAMS:
                self._create(computation)
            case Computation.PENDING_PARTICIPANT_CONFIRMATION:
                self._keys_set(computation)
            case Computation.PENDING_COMPUTATION:
                self._started(computation)
            case _:
                log.warning("the kingdom's stream should not have this state", computation=computation.name)

    def _create(self, computation: Computation) -> None:
        try:
            request = create_request(self._duchy, self._setup, computation)
            self._services.creator.create(request)
        except grpc.RpcError as error:
            if error.code() is not _CODE.ALREADY_EXISTS:
                raise

    def _keys_set(self, computation: Computation) -> ComputationToken:
        token = self._token(names.parse_computation(computation.name))
        protocol = registry.of(token.computation_details)
        if not registry.learns_ring(protocol):
            raise KingdomContradicts(f"{protocol.name} has no state {_name(computation.state)}")
        mine = getattr(self._setup, registry.member(token.computation_details))
        details = with_participants(token.computation_details, computation, mine.external_aggregator_duchy_id)
        request = orchestration_pb2.RecordFactRequest(
            global_computation_id=token.global_computation_id,
            fact=orchestration_pb2.KEYS_SET,
            details=details,
            requisitions=fulfilled_requisitions(token, computation),
        )
        registry.clear_secrets(request.details)  # nobody needs them on the way
        try:
            return self._services.orchestration.RecordFact(request, timeout=DEADLINE).token
        except grpc.RpcError as error:
            if error.code() is not _CODE.UNIMPLEMENTED:
                raise
            return by_wire.keys_set(self._services.computations, token, details, request.requisitions)

    def _started(self, computation: Computation) -> None:
        token = self._token(names.parse_computation(computation.name))
        if registry.lacks_ring(token.computation_details, self._duchy):
            # The stream gives the latest state only; the one before it was never seen.
            token = self._keys_set(computation)
        request = orchestration_pb2.RecordFactRequest(
            global_computation_id=token.global_computation_id, fact=orchestration_pb2.STARTED
        )
        try:
            self._services.orchestration.RecordFact(request, timeout=DEADLINE)
        except grpc.RpcError as error:
            if error.code() is not _CODE.UNIMPLEMENTED:
                raise
            by_wire.started(self._services.computations, token)

    def _ended(self, computation: Computation) -> None:
        """The kingdom has ended it: end it here too, then forget it where its state is among the deletable."""
        computation_id = names.parse_computation(computation.name)
        if computation.state != Computation.SUCCEEDED:
            self._finish_failed(computation_id, f"the kingdom says that it is {_name(computation.state)}")
        if computation.state in self._deletable:
            self._best_effort("delete", lambda: self._persist(lambda: self._delete(computation_id)))

    def _fail(self, computation_id: str, message: str) -> None:
        """Tell the kingdom that this duchy cannot go on, and end it here; each as far as it can be done."""
        failure = participants.FailComputationParticipantRequest(name=names.participant(computation_id, self._duchy))
        failure.failure.participant_child_reference_id = self._reference
        failure.failure.error_message = message
        failure.failure.error_time.FromDatetime(datetime.now(UTC))
        self._best_effort(
            "fail at the kingdom",
            lambda: self._persist(
                lambda: self._services.participants.FailComputationParticipant(failure, timeout=DEADLINE)
            ),
        )
        self._finish_failed(computation_id, message)

    def _finish_failed(self, computation_id: str, why: str) -> None:
        self._best_effort("finish", lambda: self._persist(lambda: self._finish(computation_id, why)))

    def _finish(self, computation_id: str, why: str) -> None:
        token = self._token(computation_id)
        computation_type, number = registry.stage_of(token.computation_stage)
        complete = registry.complete(computation_type)
        if number == complete:
            return
        request = computations.FinishComputationRequest(
            token=token,
            ending_computation_stage=registry.wire_stage_of(computation_type, complete),
            reason=ComputationDetails.FAILED,
        )
        said = ((MESSAGE_KEY, why[:LONGEST_MESSAGE].encode()),)
        self._services.computations.FinishComputation(request, timeout=DEADLINE, metadata=said)

    def _delete(self, computation_id: str) -> None:
        local_id = self._token(computation_id).local_computation_id
        request = computations.DeleteComputationRequest(local_computation_id=local_id)
        self._services.computations.DeleteComputation(request, timeout=DEADLINE)

    def _token(self, computation_id: str) -> ComputationToken:
        request = computations.GetComputationTokenRequest(global_computation_id=computation_id)
        return self._services.computations.GetComputationToken(request, timeout=DEADLINE).token

    def _best_effort(self, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except grpc.RpcError as error:
            if error.code() is not _CODE.NOT_FOUND:
                log.warning(f"could not {what}", status=error.code().name, reason=error.details())

    def _persist(self, call: Callable[[], object]) -> None:
        """Call until it works: for ever while a service is down, a few times while others write or it is unclear."""
        failures, pauses = 0, 0
        while True:
            try:
                call()
                return
            except by_wire.NotYet as error:
                failures += 1
                if failures >= ATTEMPTS:
                    raise
                log.info("not yet", reason=error.message)
            except Transient as error:
                log.warning("trying again", reason=error.message)
            except grpc.RpcError as error:
                code = error.code()
                failures += code not in DOWN
                if code not in DOWN | TRANSIENT or failures >= ATTEMPTS:
                    raise
                log.warning("trying again", status=code.name, reason=error.details())
            self._services.pause(back_off(pauses))
            pauses += 1


def _name(state: Computation.State.ValueType) -> str:
    """A newer kingdom may have states that we do not know."""
    return Computation.State.Name(state) if state in Computation.State.values() else f"unknown state {state}"


def back_off(attempt: int) -> float:
    """Seconds to wait before the next try; `attempt` counts from 0."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(attempt, 20))
    return pause * random.uniform(0.5, 1.5)  # noqa: S311
