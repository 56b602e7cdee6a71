# ruff: noqa: N802
"""Small stand-ins for what a mill talks to, written from the wire's description and not from our servers.

The internal API has the wire's plain semantics (version = epoch milliseconds of the last write, locks that expire) and
none of our extensions. Everything that a mill asks of anybody is noted, in order, in one journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from gristmill.proto.duchy import leases_pb2
from gristmill.proto.duchy import leases_pb2_grpc as leases_grpc
from mill import transitions, wires
from mill.wires import LLV2, Wire
from wfa.measurement.internal.duchy import computations_service_pb2 as pb
from wfa.measurement.internal.duchy import computations_service_pb2_grpc as pb_grpc
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import INPUT, OUTPUT
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationTypeEnum
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationStageBlobMetadata, ComputationToken
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as control_pb
from wfa.measurement.system.v1alpha import computation_control_service_pb2_grpc as control_grpc
from wfa.measurement.system.v1alpha import computation_log_entries_service_pb2_grpc as logs_grpc
from wfa.measurement.system.v1alpha import computation_log_entry_pb2, computation_pb2
from wfa.measurement.system.v1alpha import computation_participants_service_pb2_grpc as participants_grpc
from wfa.measurement.system.v1alpha import computations_service_pb2_grpc as computations_grpc
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant

Context = grpc.ServicerContext


@dataclass
class Entry:
    method: str
    request: Any
    at: float


@dataclass
class Journal:
    """What was asked, in order, by everybody's methods."""

    entries: list[Entry] = field(default_factory=list)

    def note(self, method: str, request: Any) -> None:
        self.entries.append(Entry(method, request, time.time()))

    def methods(self) -> list[str]:
        return [entry.method for entry in self.entries]

    def of(self, method: str) -> list[Any]:
        return [entry.request for entry in self.entries if entry.method == method]

    def writes(self) -> list[str]:
        """Everything but reading, claiming, and statistics."""
        reads = ("Get", "ClaimWork", "RenewLease", "CreateComputationStat")
        return [method for method in self.methods() if not method.startswith(reads)]


class InternalApi(pb_grpc.ComputationsServicer):
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.tokens: dict[str, ComputationToken] = {}
        self.queue: list[str] = []
        self.lock = threading.RLock()
        self.metadata: dict[str, str] = {}
        self.before_write: Callable[[str], None] = lambda method: None
        self.failures: dict[str, list[grpc.StatusCode]] = {}
        """By method, the statuses with which the next reads or claims fail."""

    def _fail(self, method: str, context: Context) -> None:
        if self.failures.get(method):
            context.abort(self.failures[method].pop(0), "made to fail")

    def add(self, token: ComputationToken, *, owner: str = "", lock: float = 0, queued: bool = False) -> None:
        with self.lock:
            self.tokens[token.global_computation_id] = token
            self._hold(token, owner, lock)
            if queued:
                self.queue.append(token.global_computation_id)

    def _hold(self, token: ComputationToken, owner: str, lock: float) -> None:
        token.lock_owner = owner
        if owner:
            token.lock_expiration_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=lock))
        else:
            token.ClearField("lock_expiration_time")
        self._touch(token)

    def _touch(self, token: ComputationToken) -> None:
        token.version = max(token.version + 1, time.time_ns() // 1_000_000)

    def _edit(self, method: str, request: Any, context: Context) -> ComputationToken:
        self.journal.note(method, request)
        self.metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        self.before_write(method)
        token = self.tokens.get(request.token.global_computation_id)
        if token is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "COMPUTATION_NOT_FOUND")
        if token.version != request.token.version:
            context.abort(grpc.StatusCode.ABORTED, "COMPUTATION_TOKEN_VERSION_MISMATCH")
        return token

    def ClaimWork(self, request: pb.ClaimWorkRequest, context: Context) -> pb.ClaimWorkResponse:
        with self.lock:
            self.journal.note("ClaimWork", request)
            self._fail("ClaimWork", context)
            types = {name: wires.of(self.tokens[name]).computation_type for name in self.queue}
            asked = ComputationTypeEnum.ComputationType.Name(request.computation_type)
            name = next((name for name in self.queue if types[name] == asked), None)
            if name is None:
                return pb.ClaimWorkResponse()
            self.queue.remove(name)
            token = self.tokens[name]
            token.attempt += 1
            self._hold(token, request.owner, request.lock_duration.ToTimedelta().total_seconds())
            return pb.ClaimWorkResponse(token=token)

    def GetComputationToken(self, request: pb.GetComputationTokenRequest, context: Context) -> Any:
        with self.lock:
            self.journal.note("GetComputationToken", request)
            self._fail("GetComputationToken", context)
            if request.global_computation_id not in self.tokens:
                context.abort(grpc.StatusCode.NOT_FOUND, "no such computation")
            return pb.GetComputationTokenResponse(token=self.tokens[request.global_computation_id])

    def UpdateComputationDetails(self, request: pb.UpdateComputationDetailsRequest, context: Context) -> Any:
        with self.lock:
            token = self._edit("UpdateComputationDetails", request, context)
            if request.details.WhichOneof("protocol") != token.computation_details.WhichOneof("protocol"):
                context.abort(grpc.StatusCode.UNKNOWN, "another protocol")
            token.computation_details.CopyFrom(request.details)
            self._touch(token)
            return pb.UpdateComputationDetailsResponse(token=token)

    def RecordOutputBlobPath(self, request: pb.RecordOutputBlobPathRequest, context: Context) -> Any:
        with self.lock:
            token = self._edit("RecordOutputBlobPath", request, context)
            blobs = [b for b in token.blobs if b.blob_id == request.output_blob_id and b.dependency_type == OUTPUT]
            if not blobs or not request.blob_path:
                context.abort(grpc.StatusCode.UNKNOWN, "no such output")
            blobs[0].path = request.blob_path
            self._touch(token)
            return pb.RecordOutputBlobPathResponse(token=token)

    def AdvanceComputationStage(self, request: pb.AdvanceComputationStageRequest, context: Context) -> Any:
        with self.lock:
            token = self._edit("AdvanceComputationStage", request, context)
            if any(blob.dependency_type == OUTPUT and not blob.path for blob in token.blobs):
                context.abort(grpc.StatusCode.UNKNOWN, "an output is missing")
            if refused := transitions.refusal(token, request):
                context.abort(grpc.StatusCode.UNKNOWN, refused)
            token.stage_specific_details.CopyFrom(request.stage_details)
            token.computation_stage.CopyFrom(request.next_computation_stage)
            blobs = [ComputationStageBlobMetadata(dependency_type=INPUT, path=path) for path in request.input_blobs]
            blobs += [ComputationStageBlobMetadata(dependency_type=OUTPUT) for _ in range(request.outputBlobs)]
            del token.blobs[:]
            for blob_id, blob in enumerate(blobs):
                blob.blob_id = blob_id
                token.blobs.append(blob)
            self._hold(token, "", 0)
            if request.after_transition == request.ADD_UNCLAIMED_TO_QUEUE:
                token.attempt = 0
                self.queue.append(token.global_computation_id)
            return pb.AdvanceComputationStageResponse(token=token)

    def FinishComputation(self, request: pb.FinishComputationRequest, context: Context) -> Any:
        with self.lock:
            token = self._edit("FinishComputation", request, context)
            ending = wires.of(token).stage(wires.of(token).complete)
            if request.ending_computation_stage != ending or not request.reason:
                context.abort(grpc.StatusCode.UNKNOWN, "no ending stage, or no reason")
            token.computation_stage.CopyFrom(request.ending_computation_stage)
            token.computation_details.ending_state = request.reason
            self._hold(token, "", 0)
            return pb.FinishComputationResponse(token=token)

    def EnqueueComputation(self, request: pb.EnqueueComputationRequest, context: Context) -> Any:
        with self.lock:
            token = self._edit("EnqueueComputation", request, context)
            if request.delay_second < 0:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the delay is negative")
            if token.lock_owner and token.lock_owner != request.expected_owner:
                context.abort(grpc.StatusCode.UNKNOWN, "another owner")
            self._hold(token, "", 0)
            return pb.EnqueueComputationResponse()


class Leases(leases_grpc.LeasesServicer):
    """Our extension, for a mill that may keep its claim: one claim at a time, fence 5."""

    fence = 5

    def __init__(self, journal: Journal, internal: InternalApi) -> None:
        self.journal, self.internal = journal, internal
        self.lost = False
        self.counts = leases_pb2.AttemptCounts()
        self.outputs: list[leases_pb2.RecordedOutput] = []
        self.digests: list[leases_pb2.BlobDigest] = []

    def GetLease(self, request: leases_pb2.GetLeaseRequest, context: Context) -> leases_pb2.Lease:
        self.journal.note("GetLease", request)
        self.internal._fail("GetLease", context)
        token = self.internal.tokens.get(request.global_computation_id)
        if token is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such computation")
        return leases_pb2.Lease(
            global_computation_id=request.global_computation_id,
            stage=token.computation_stage,
            attempt=token.attempt,
            fence=self.fence,
            owner=request.owner,
            counts=self.counts,
            outputs=self.outputs,
            digests=self.digests,
        )

    def RenewLease(self, request: leases_pb2.RenewLeaseRequest, context: Context) -> leases_pb2.Lease:
        self.journal.note("RenewLease", request)
        if self.lost or request.fence != self.fence:
            context.abort(grpc.StatusCode.ABORTED, "the lease is another mill's")
        return leases_pb2.Lease(fence=self.fence)

    def RecordOutput(self, request: leases_pb2.RecordOutputRequest, context: Context) -> Any:
        self.journal.note("RecordOutput", request)
        if not self.outputs:
            self.outputs.append(
                leases_pb2.RecordedOutput(blob_id=request.blob_id, digest=request.digest, figures=request.figures)
            )
        token = self.internal.tokens[request.global_computation_id]
        token.blobs[request.blob_id].path = self.outputs[0].digest.path
        return leases_pb2.RecordOutputResponse(token=token, recorded=self.outputs[0])

    def PutBack(self, request: leases_pb2.PutBackRequest, context: Context) -> leases_pb2.PutBackResponse:
        self.journal.note("PutBack", request)
        return leases_pb2.PutBackResponse()


class Kingdom(
    computations_grpc.ComputationsServicer,
    participants_grpc.ComputationParticipantsServicer,
    logs_grpc.ComputationLogEntriesServicer,
):
    """Takes everything; `errors` gives a method's answers before that, in turn."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.state = computation_pb2.Computation.PENDING_COMPUTATION
        self.participant = ComputationParticipant(state=ComputationParticipant.CREATED, etag="W/1")
        self.errors: dict[str, list[grpc.StatusCode]] = {}

    def _note(self, method: str, request: Any, context: Context) -> None:
        self.journal.note(method, request)
        if self.errors.get(method):
            context.abort(self.errors[method].pop(0), "as the test wants it")

    def GetComputation(self, request: Any, context: Context) -> Any:
        self._note("GetComputation", request, context)
        return computation_pb2.Computation(name=request.name, state=self.state)

    def SetComputationResult(self, request: Any, context: Context) -> Any:
        self._note("SetComputationResult", request, context)
        return computation_pb2.Computation(name=request.name)

    def GetComputationParticipant(self, request: Any, context: Context) -> Any:
        self._note("GetComputationParticipant", request, context)
        self.participant.name = request.name
        return self.participant

    def SetParticipantRequisitionParams(self, request: Any, context: Context) -> Any:
        self._note("SetParticipantRequisitionParams", request, context)
        self.participant.requisition_params.CopyFrom(request.requisition_params)
        return self.participant

    def ConfirmComputationParticipant(self, request: Any, context: Context) -> Any:
        self._note("ConfirmComputationParticipant", request, context)
        self.participant.state = ComputationParticipant.READY
        return self.participant

    def FailComputationParticipant(self, request: Any, context: Context) -> Any:
        self._note("FailComputationParticipant", request, context)
        self.participant.state = ComputationParticipant.FAILED
        return self.participant

    def CreateComputationLogEntry(self, request: Any, context: Context) -> Any:
        self._note("CreateComputationLogEntry", request, context)
        return computation_log_entry_pb2.ComputationLogEntry()


class Peer(control_grpc.ComputationControlServicer):
    """Another duchy's control server, in one stage. `answer` may refuse or hold up a send."""

    def __init__(self, journal: Journal, stage: int, wire: Wire = LLV2) -> None:
        self.journal, self.stage, self.wire = journal, stage, wire
        self.received: list[bytes] = []
        self.chunks: list[int] = []
        self.header: Any = None
        self.metadata: dict[str, str] = {}
        self.answer: Callable[[Context], None] = lambda context: None
        self.asked: Callable[[Context], None] = lambda context: None

    def GetComputationStage(self, request: Any, context: Context) -> Any:
        self.journal.note("GetComputationStage", request)
        self.asked(context)
        return self.wire.system_stage(request.name, self.stage)

    def AdvanceComputation(self, request_iterator: Iterator[Any], context: Context) -> Any:
        self.journal.note("AdvanceComputation", None)
        self.metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        messages = list(request_iterator)
        self.header = messages[0].header
        parts = [message.body_chunk.partial_data for message in messages[1:]]
        self.received.append(b"".join(parts))
        self.chunks = [len(part) for part in parts]
        self.answer(context)
        return control_pb.AdvanceComputationResponse()


__all__ = ["InternalApi", "Journal", "Kingdom", "Peer"]
