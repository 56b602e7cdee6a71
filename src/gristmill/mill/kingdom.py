"""The kingdom's system API as a mill uses it (system API, "RPC semantics").

Participants are read before they are written, with their etag, so that a repeat after a lost answer does no harm. A
result is read back when setting it failed, because the kingdom does not take it twice. Log entries are best effort.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc

from gristmill.errors import GristmillError, Unavailable
from gristmill.mill.calls import TRANSIENT, calling, code_of, details_of, translate
from gristmill.observe.logs import logger
from gristmill.protocols import registry
from wfa.measurement.system.v1alpha import computation_log_entries_service_pb2 as logs
from wfa.measurement.system.v1alpha import computation_participants_service_pb2 as participants
from wfa.measurement.system.v1alpha import computations_service_pb2 as computations
from wfa.measurement.system.v1alpha.computation_log_entries_service_pb2_grpc import ComputationLogEntriesStub
from wfa.measurement.system.v1alpha.computation_log_entry_pb2 import ComputationLogEntry
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_participants_service_pb2_grpc import ComputationParticipantsStub
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.system.v1alpha.stage_attempt_pb2 import StageAttempt

if TYPE_CHECKING:
    from gristmill.mill.activity import Activity
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

CALLEE = "the kingdom"
DEADLINE = 30.0
LOG_DEADLINE = 5.0
PARTICIPANT_ATTEMPTS = 3
LONGEST_MESSAGE = 1000

log = logger("mill")


class Kingdom:
    """Calls on a channel to the kingdom, as `duchy`, by the mill `mill`."""

    def __init__(self, channel: grpc.Channel, duchy: str, mill: str) -> None:
        self._duchy, self._mill = duchy, mill
        self._metadata = (("duchy-identity", duchy),)
        self._computations = ComputationsStub(channel)
        self._participants = ComputationParticipantsStub(channel)
        self._logs = ComputationLogEntriesStub(channel)

    def set_requisition_params(
        self, computation: str, params: ComputationParticipant.RequisitionParams, activity: Activity
    ) -> None:
        """Publish this duchy's key, unless that was done before."""

        def write(participant: ComputationParticipant) -> None:
            request = participants.SetParticipantRequisitionParamsRequest(
                name=participant.name, requisition_params=params, etag=participant.etag
            )
            activity.call(
                self._participants.SetParticipantRequisitionParams, request, timeout=DEADLINE, metadata=self._metadata
            )

        self._read_then_write(computation, "SetParticipantRequisitionParams", _has_published, write, activity)

    def confirm(self, computation: str, activity: Activity) -> None:
        """Confirm that this duchy takes part, unless that was done before."""

        def write(participant: ComputationParticipant) -> None:
            request = participants.ConfirmComputationParticipantRequest(name=participant.name, etag=participant.etag)
            activity.call(
                self._participants.ConfirmComputationParticipant, request, timeout=DEADLINE, metadata=self._metadata
            )

        self._read_then_write(computation, "ConfirmComputationParticipant", _is_ready, write, activity)

    def fail(self, token: ComputationToken, message: str, activity: Activity) -> None:
        """Say that the computation cannot succeed here. Nothing happens when it has ended already."""
        failure = ComputationParticipant.Failure(
            participant_child_reference_id=self._mill,
            error_message=message[:LONGEST_MESSAGE],
            stage_attempt=stage_attempt(token),
        )
        failure.error_time.FromDatetime(datetime.now(UTC))

        def write(participant: ComputationParticipant) -> None:
            request = participants.FailComputationParticipantRequest(
                name=participant.name, failure=failure, etag=participant.etag
            )
            try:
                activity.call(
                    self._participants.FailComputationParticipant, request, timeout=DEADLINE, metadata=self._metadata
                )
            except grpc.RpcError as error:
                if code_of(error) is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                log.info("the kingdom has ended the computation before", reason=details_of(error))

        self._read_then_write(token.global_computation_id, "FailComputationParticipant", _has_failed, write, activity)

    def _read_then_write(
        self,
        computation: str,
        action: str,
        done: Callable[[ComputationParticipant], bool],
        write: Callable[[ComputationParticipant], None],
        activity: Activity,
    ) -> None:
        """Read the participant and, unless `done`, write with its etag; anew after an answer that may be transient."""
        request = participants.GetComputationParticipantRequest(name=self.participant_name(computation))
        for attempt in range(1, PARTICIPANT_ATTEMPTS + 1):
            try:
                participant = activity.call(
                    self._participants.GetComputationParticipant, request, timeout=DEADLINE, metadata=self._metadata
                )
                if not done(participant):
                    write(participant)
                return
            except grpc.RpcError as error:
                if code_of(error) not in TRANSIENT or attempt == PARTICIPANT_ATTEMPTS:
                    raise translate(error, CALLEE, action) from error
                log.warning("the kingdom did not take it, trying again", action=action, status=code_of(error).name)
            activity.sleep(0.5 * 1.5 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311

    def set_result(self, request: computations.SetComputationResultRequest, activity: Activity) -> None:
        """Hand the result in. After an error the computation is read: SUCCEEDED means that it had arrived."""
        try:
            activity.call(self._computations.SetComputationResult, request, timeout=DEADLINE, metadata=self._metadata)
        except grpc.RpcError as error:
            if self._state(request.name, activity) == Computation.SUCCEEDED:
                log.info("the result had arrived", status=code_of(error).name)
                return
            raise translate(error, CALLEE, "SetComputationResult") from error

    def _state(self, name: str, activity: Activity) -> Computation.State.ValueType:
        """Unavailable when the kingdom does not say: then nobody knows whether a result has arrived."""
        request = computations.GetComputationRequest(name=name)
        try:
            with calling(CALLEE, "GetComputation"):
                return activity.call(
                    self._computations.GetComputation, request, timeout=DEADLINE, metadata=self._metadata
                ).state
        except GristmillError as error:
            raise Unavailable(error.message) from error

    def log_transient(self, token: ComputationToken, message: str) -> None:
        """Note a transient error in the kingdom's log of this participant; best effort."""
        entry = ComputationLogEntry(
            participant_child_reference_id=self._mill,
            log_message=message[:LONGEST_MESSAGE] or "transient error",
            stage_attempt=stage_attempt(token),
        )
        entry.error_details.type = ComputationLogEntry.ErrorDetails.TRANSIENT
        entry.error_details.error_time.FromDatetime(datetime.now(UTC))
        request = logs.CreateComputationLogEntryRequest(
            parent=self.participant_name(token.global_computation_id), computation_log_entry=entry
        )
        try:
            self._logs.CreateComputationLogEntry(request, timeout=LOG_DEADLINE, metadata=self._metadata)
        except grpc.RpcError as error:
            log.debug("a log entry was not taken", status=code_of(error).name)

    def participant_name(self, computation: str) -> str:
        return f"computations/{computation}/participants/{self._duchy}"


def _has_published(participant: ComputationParticipant) -> bool:
    return participant.HasField("requisition_params")


def _is_ready(participant: ComputationParticipant) -> bool:
    return participant.state == ComputationParticipant.READY


def _has_failed(participant: ComputationParticipant) -> bool:
    return participant.state == ComputationParticipant.FAILED


def stage_attempt(token: ComputationToken) -> StageAttempt:
    """The stage and attempt of a token, as the kingdom is told of them."""
    computation_type, number = registry.stage_of(token.computation_stage)
    attempt = StageAttempt(
        stage=number, stage_name=registry.stage_name(computation_type, number), attempt_number=token.attempt
    )
    attempt.stage_start_time.FromDatetime(datetime.now(UTC))
    return attempt
