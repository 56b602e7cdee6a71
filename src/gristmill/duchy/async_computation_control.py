"""AsyncComputationControl: the wire's own way to fill a waiting stage's outputs and move the computation on.

Our computation control server asks `gristmill.duchy.Slots`, which is passed through to the internal API. The wire's two
calls stand beside it for an existing computation control server, and for an internal API that has no Slots. Unlike the
existing service this one holds the sender against the ring, and answers a message that comes too early with ABORTED,
which an existing mill survives.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import grpc

from gristmill.duchy.status import Context
from gristmill.errors import Conflict, PermissionDenied, PreconditionFailed
from gristmill.protocols import derive, registry
from gristmill.protocols.table import Seat, Stage, senders
from wfa.measurement.internal.duchy import async_computation_control_service_pb2 as wire
from wfa.measurement.internal.duchy import computations_service_pb2 as computations
from wfa.measurement.internal.duchy.async_computation_control_service_pb2_grpc import AsyncComputationControlServicer
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import OUTPUT
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationStageBlobMetadata, ComputationToken

if TYPE_CHECKING:
    from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsAsyncStub

_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

PASSED = frozenset({
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
})  # fmt: skip
"""UNIMPLEMENTED too: it tells computation control that the internal API has no Slots."""


class AsyncComputationControl(AsyncComputationControlServicer):
    """Keeps nothing: all state is the internal API's."""

    def __init__(
        self,
        duchy: str,
        computations: ComputationsAsyncStub,
        *,
        maximum_attempts: int = 2**31 - 1,
        timeout: float = 30.0,
    ) -> None:
        self._duchy, self._computations = duchy, computations
        self._maximum_attempts, self._timeout = maximum_attempts, timeout

    async def GetOutputBlobMetadata(  # noqa: N802
        self, request: wire.GetOutputBlobMetadataRequest, context: Context
    ) -> ComputationStageBlobMetadata:
        token = await self._token(request.global_computation_id)
        seat, stage = self._seat(token)
        blob_id = slot_of(seat, stage, request.data_origin)
        return _output(token, blob_id)

    async def AdvanceComputation(  # noqa: N802
        self, request: wire.AdvanceComputationRequest, context: Context
    ) -> wire.AdvanceComputationResponse:
        attempt = 1
        while True:
            try:
                await self._advance(request)
                return wire.AdvanceComputationResponse()
            except grpc.aio.AioRpcError as error:
                if error.code() not in _AGAIN or attempt >= self._maximum_attempts:
                    raise
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 1.5 ** min(attempt - 1, 30)) * random.uniform(0.5, 1.5)  # noqa: S311
            await asyncio.sleep(pause)
            attempt += 1

    async def _advance(self, request: wire.AdvanceComputationRequest) -> None:
        """One round: read, record the path, move on when nothing is missing. Repeating it changes nothing."""
        token = await self._token(request.global_computation_id)
        seat, here = self._seat(token)
        computation_type, number = registry.stage_of(request.computation_stage)
        try:
            asked = derive.stage_from_wire(seat.protocol, computation_type, number)
            behind = derive.position(seat, here) - derive.position(seat, asked)
        except ValueError as error:
            raise PreconditionFailed(str(error)) from None
        if here is seat.protocol.complete:
            raise PreconditionFailed("the computation has ended here")
        if behind > 0:
            return
        if behind < 0:
            raise Conflict(f"this duchy is in {here.name} and not yet in {asked.name}", cure="Come back later.")
        blob = _output(token, request.blob_id)
        if blob.path and blob.path != request.blob_path:
            raise PreconditionFailed(f"blob {request.blob_id} of {here.name} is recorded already, with another path")
        if not blob.path:
            recorded = await self._computations.RecordOutputBlobPath(
                computations.RecordOutputBlobPathRequest(
                    token=token, output_blob_id=request.blob_id, blob_path=request.blob_path
                ),
                timeout=self._timeout,
            )
            token = recorded.token
        # An existing Postgres store does not sort them.
        outputs = sorted(
            (blob for blob in token.blobs if blob.dependency_type == OUTPUT), key=lambda blob: blob.blob_id
        )
        # Our store moves on by itself; then the token is that of the next stage.
        if self._seat(token)[1] is here and all(blob.path for blob in outputs):
            await self._computations.AdvanceComputationStage(
                next_stage(seat, here, token, [blob.path for blob in outputs]), timeout=self._timeout
            )

    async def _token(self, computation_id: str) -> ComputationToken:
        response = await self._computations.GetComputationToken(
            computations.GetComputationTokenRequest(global_computation_id=computation_id), timeout=self._timeout
        )
        return response.token

    def _seat(self, token: ComputationToken) -> tuple[Seat, Stage]:
        seat = registry.seat(token.computation_details, self._duchy)
        if seat is None:
            raise Conflict("the participants of this computation are not known here yet", cure="Come back later.")
        return seat, derive.stage_from_wire(seat.protocol, *registry.stage_of(token.computation_stage))


def slot_of(seat: Seat, stage: Stage, sender: str) -> int:
    """The ID of the output blob that `sender` fills in the stage that waits for it.

    Raises:
        Conflict: its turn comes later.
        PermissionDenied: another duchy fills this stage.
        PreconditionFailed: nothing is awaited from it any more.
    """
    mine = derive.slots(seat, derive.row_of(seat, stage))
    for slot in mine:
        if slot.sender.duchy == sender:
            return derive.blobs(seat, stage).index(derive.Blob(derive.Dependency.OUTPUT, slot))
    if mine:
        raise PermissionDenied(f"{stage.name} waits for {' and '.join(slot.sender.duchy for slot in mine)}")
    ahead = seat.path[derive.position(seat, stage) :]
    awaited = (each for row in ahead for each in derive.slots(seat, row))
    if any(slot.sender.duchy == sender for slot in awaited):
        raise Conflict(f"this duchy is in {stage.name} and not waiting yet", cure="Come back later.")
    if not any(sender in (each.duchy for each in senders(seat, message)) for message in seat.protocol.messages):
        raise PermissionDenied("this duchy awaits nothing from the caller")
    raise PreconditionFailed("nothing is awaited any more")


def next_stage(
    seat: Seat, stage: Stage, token: ComputationToken, paths: list[str]
) -> computations.AdvanceComputationStageRequest:
    """The transition out of a wait: what was received becomes the input of the stage that works on it."""
    following = derive.transitions(seat.protocol)[stage, seat.me.role]
    made = [blob for blob in derive.blobs(seat, following) if blob.dependency is derive.Dependency.OUTPUT]
    return computations.AdvanceComputationStageRequest(
        token=token,
        next_computation_stage=registry.wire_stage(seat.protocol, following),
        input_blobs=paths,
        outputBlobs=len(made),
        after_transition=computations.AdvanceComputationStageRequest.ADD_UNCLAIMED_TO_QUEUE,
    )


def _output(token: ComputationToken, blob_id: int) -> ComputationStageBlobMetadata:
    for blob in token.blobs:
        if blob.blob_id == blob_id and blob.dependency_type == OUTPUT:
            return blob
    raise PreconditionFailed(f"the stage has no output blob {blob_id}")
