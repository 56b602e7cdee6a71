"""What operators do to computations: tried again, or ended here and at the kingdom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import grpc

from gristmill.duchy import names
from gristmill.duchy.status import Context
from gristmill.observe.logs import logger
from gristmill.proto.duchy import interventions_pb2 as wire
from gristmill.proto.duchy.inspection_pb2 import ComputationSummary
from gristmill.proto.duchy.interventions_pb2_grpc import InterventionsServicer
from gristmill.protocols import registry
from gristmill.store import Canceled, Operator, Store
from wfa.measurement.system.v1alpha.computation_participants_service_pb2 import FailComputationParticipantRequest

if TYPE_CHECKING:
    from wfa.measurement.system.v1alpha.computation_participants_service_pb2_grpc import (
        ComputationParticipantsAsyncStub,
    )

Response = wire.CancelComputationResponse
log = logger("internal-api")

KINGDOM_TIMEOUT: Final = 10.0
"""Seconds in which the kingdom must answer, so that the operator gets an answer too."""
_NOTHING_TO_END = frozenset({grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND})


class Interventions(InterventionsServicer):
    """`participants` is the kingdom's service; without one the kingdom is not told."""

    def __init__(self, store: Store, participants: ComputationParticipantsAsyncStub | None) -> None:
        self._store, self._participants = store, participants

    async def RetryComputation(  # noqa: N802
        self, request: wire.RetryComputationRequest, context: Context
    ) -> ComputationSummary:
        operator = Operator(request.actor, request.reason)
        summary = await self._store.retry(request.global_computation_id, request.stage, request.attempt, operator)
        told = log.bind(computation=request.global_computation_id, stage=request.stage, attempt=request.attempt)
        told.warning("an operator has the stage tried again", actor=operator.actor, reason=operator.reason)
        return summary

    async def CancelComputation(  # noqa: N802
        self, request: wire.CancelComputationRequest, context: Context
    ) -> wire.CancelComputationResponse:
        """Here first: a kingdom that does not answer must not keep a duchy from stopping."""
        computation, operator = request.global_computation_id, Operator(request.actor, request.reason)
        canceled = await self._store.cancel(computation, operator)
        told = log.bind(computation=computation, actor=operator.actor)
        told.warning("an operator has canceled the computation", reason=operator.reason)
        outcome, answer = await self._tell(computation, canceled)
        what = "kingdom not told" if outcome == Response.NOT_TOLD else "kingdom told"
        await self._store.note_told(computation, what, answer, operator.actor)
        return Response(computation=await self._store.summary(computation), kingdom=outcome, kingdom_answer=answer)

    async def _tell(self, computation: str, canceled: Canceled) -> tuple[Response.Kingdom.ValueType, str]:
        if self._participants is None:
            return Response.NOT_TOLD, "this internal API has no channel to the kingdom"
        try:
            await self._participants.FailComputationParticipant(
                self._failure(computation, canceled), timeout=KINGDOM_TIMEOUT
            )
        except grpc.aio.AioRpcError as error:
            answer = f"{error.code().name}: {error.details()}"
            log.warning("the kingdom did not take the failure", computation=computation, answer=answer)
            return (Response.NOTHING_TO_END if error.code() in _NOTHING_TO_END else Response.NOT_TOLD), answer
        return Response.TOLD, "OK"

    def _failure(self, computation: str, canceled: Canceled) -> FailComputationParticipantRequest:
        """Who canceled stays in this duchy; the reason goes along."""
        request = FailComputationParticipantRequest(name=names.participant(computation, self._store.duchy))
        failure = request.failure
        failure.participant_child_reference_id = "operator"
        failure.error_message = f"canceled by an operator of {self._store.duchy}: {canceled.operator.reason}"
        failure.error_time.FromDatetime(datetime.now(UTC))
        attempt = failure.stage_attempt
        attempt.stage, attempt.attempt_number = canceled.stage, canceled.attempt
        attempt.stage_name = registry.stage_name(canceled.computation_type, canceled.stage)
        attempt.stage_start_time.FromDatetime(datetime.now(UTC))
        return request
