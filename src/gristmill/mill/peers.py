"""The other duchies' computation control (system API, "ComputationControl"): ask where they are, then send.

A send has no constant deadline: it lasts as long as bytes move.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from gristmill.errors import BadInput, ParticipantUnknown, PeerBehind, PeerRefused, PeerUnreachable
from gristmill.mill.calls import TRANSIENT, code_of, details_of
from gristmill.observe import metrics
from gristmill.observe.logs import logger
from gristmill.protocols import derive, registry
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as pb
from wfa.measurement.system.v1alpha.computation_control_service_pb2_grpc import ComputationControlStub

if TYPE_CHECKING:
    from gristmill.blobs import Digest
    from gristmill.mill.activity import Activity
    from gristmill.protocols.table import Message, Seat
    from wfa.measurement.system.v1alpha.computation_stage_pb2 import ComputationStage

DEADLINE = 30.0
PROGRESS_TIMEOUT = 120.0
"""Seconds in which a send must move at least one chunk, or be answered after its last."""
_HICCUPS = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}
"""What the existing control server answers when its own database does not: asking again does no harm."""

log = logger("mill")


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to whom: `receiver` is the seat of the duchy that gets `message`."""

    computation: str
    receiver: Seat
    message: Message
    path: Path
    digest: Digest

    @property
    def duchy(self) -> str:
        return self.receiver.me.duchy


class Peers:
    """Calls on a channel to each other duchy, as `duchy`, in chunks of `chunk` bytes."""

    def __init__(self, channels: Mapping[str, grpc.Channel], duchy: str, chunk: int) -> None:
        self._stubs = {peer: ComputationControlStub(channel) for peer, channel in channels.items()}
        self._metadata = (("duchy-identity", duchy),)
        self._chunk = chunk

    def deliver(self, parcel: Parcel, activity: Activity) -> bool:
        """Send unless the receiver has it; whether anything was sent. PeerBehind: later."""
        if self.standing(parcel, activity) is derive.Peer.PAST:
            log.warning("the peer has it, not sent again", peer=parcel.duchy)
            return False
        try:
            self._send(parcel, activity)
        except grpc.RpcError as error:
            return self._refused(parcel, error, activity)
        return True

    def standing(self, parcel: Parcel, activity: Activity) -> derive.Peer:
        """WAITING or PAST. PeerBehind when the receiver is before the stage that waits for the message."""
        name = f"computations/{parcel.computation}/participants/{parcel.duchy}/stage"
        started, code = time.monotonic(), "OK"
        try:
            wire = activity.call(
                self._stub(parcel.duchy).GetComputationStage,
                pb.GetComputationStageRequest(name=name),
                timeout=DEADLINE,
                metadata=self._metadata,
            )
        except grpc.RpcError as error:
            code = code_of(error).name
            message = f"duchy {parcel.duchy} answered {code} when asked for its stage: {details_of(error)}"
            if code_of(error) in TRANSIENT | _HICCUPS:
                raise PeerUnreachable(message, cure=f"Check that {parcel.duchy} runs and can be reached.") from error
            raise PeerRefused(message) from error
        finally:
            metrics.peer_answered(
                parcel.duchy, method="GetComputationStage", code=code, seconds=time.monotonic() - started
            )
        number, standing = _standing(parcel, wire)
        if standing is derive.Peer.BEHIND:
            raise PeerBehind(f"duchy {parcel.duchy} is at {number}, before it waits for {parcel.message.name}")
        return standing

    def _send(self, parcel: Parcel, activity: Activity) -> None:
        """Stream header and body. RpcError, also for a send that moved nothing for too long."""
        metadata = (
            *self._metadata,
            ("gristmill-length", str(parcel.digest.length)),
            ("gristmill-sha256", parcel.digest.sha256.hex()),
        )
        activity.begin(f"sending to {parcel.duchy}", total=parcel.digest.length, unit="bytes")
        started, code = time.monotonic(), "OK"
        call = self._stub(parcel.duchy).AdvanceComputation.future(
            _requests(parcel, self._chunk, activity), metadata=metadata
        )
        try:
            with activity.cancellable(call.cancel):
                _await(call, activity)
        except grpc.RpcError as error:
            code = code_of(error).name
            raise
        finally:
            seconds = time.monotonic() - started
            metrics.peer_answered(parcel.duchy, method="AdvanceComputation", code=code, seconds=seconds)

    def _refused(self, parcel: Parcel, error: grpc.RpcError, activity: Activity) -> bool:
        """What a send that was not taken means; False when the receiver has the message after all."""
        code = code_of(error)
        message = f"duchy {parcel.duchy} answered {code.name} to {parcel.message.name}: {details_of(error)}"
        if code is grpc.StatusCode.ABORTED:
            raise PeerBehind(message) from error
        if code in TRANSIENT:
            raise PeerUnreachable(message) from error
        if code in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNKNOWN):
            # It may have moved on meanwhile, or not be quite there: its stage tells which.
            if self.standing(parcel, activity) is derive.Peer.PAST:
                return False
            if code is grpc.StatusCode.FAILED_PRECONDITION:
                raise PeerBehind(message) from error
        raise PeerRefused(message) from error

    def _stub(self, duchy: str) -> ComputationControlStub:
        try:
            return self._stubs[duchy]
        except KeyError:
            raise ParticipantUnknown(
                f"duchy {duchy} takes part, but is not in the duchy info file",
                cure="Add it there, and its --duchy-computation-control-target.",
            ) from None


def _standing(parcel: Parcel, wire: ComputationStage) -> tuple[str, derive.Peer]:
    """The receiver's stage by name, and how that stands with regard to the message."""
    protocol = parcel.receiver.protocol
    computation_type, number = registry.system_stage_of(wire)
    try:
        if not computation_type:
            raise ValueError("it names none")
        stage = derive.stage_from_wire(protocol, computation_type, number)
        return stage.name, derive.peer(parcel.receiver, stage, parcel.message)
    except ValueError as error:
        raise BadInput(f"duchy {parcel.duchy} answered with an impossible stage: {error}") from error


def _requests(parcel: Parcel, chunk: int, activity: Activity) -> Iterator[pb.AdvanceComputationRequest]:
    header = pb.AdvanceComputationRequest.Header(name=f"computations/{parcel.computation}")
    getattr(header, registry.by_number(parcel.receiver.protocol.number).member).description = parcel.message.value
    yield pb.AdvanceComputationRequest(header=header)
    with parcel.path.open("rb", buffering=0) as file:
        while data := file.read(chunk):
            yield pb.AdvanceComputationRequest(body_chunk=pb.AdvanceComputationRequest.BodyChunk(partial_data=data))
            activity.move(len(data))


def _await(call: grpc.Future, activity: Activity) -> None:  # type: ignore[type-arg]
    """Until the call is answered. It is cancelled when it moves nothing for PROGRESS_TIMEOUT, or the work must stop."""
    seen, moved_at = activity.snapshot().done, time.monotonic()
    while True:
        try:
            call.result(timeout=0.5)
            return
        except grpc.FutureTimeoutError:
            pass
        except grpc.FutureCancelledError:
            activity.check()
            raise PeerUnreachable(f"nothing was taken for {PROGRESS_TIMEOUT:g} s") from None
        done = activity.snapshot().done
        if done != seen:
            seen, moved_at = done, time.monotonic()
        elif time.monotonic() - moved_at > PROGRESS_TIMEOUT:
            call.cancel()
