"""ComputationControl: the door through which the peers' mills deliver what this duchy waits for.

A delivery is judged by its header before a byte of its body is kept, and then kept under a name of its own, so that
nothing that was recorded is ever overwritten. Point encodings are checked by the stage that reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import TYPE_CHECKING

import grpc

from gristmill.blobs import computation_key
from gristmill.duchy import bodies, names
from gristmill.duchy.messages import Announced, read_header
from gristmill.duchy.status import Context, metadata
from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.observe.logs import logger
from gristmill.protocols import registry
from wfa.measurement.internal.duchy import computations_service_pb2
from wfa.measurement.system.v1alpha import computation_control_service_pb2, computation_stage_pb2
from wfa.measurement.system.v1alpha.computation_control_service_pb2_grpc import ComputationControlServicer

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore, Digest
    from gristmill.duchy.deliveries import Deliveries, Place
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
    from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsAsyncStub

log = logger("computation-control")

PASSED = frozenset({
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
})  # fmt: skip
"""Statuses of async control that the peer gets as they are. The existing system turns the last three into UNKNOWN when
they come after the upload; a mill of either kind treats those and UNKNOWN alike, and ours says what is wrong."""

_REFUSED = PASSED - {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
"""Statuses after which the delivery is certainly not recorded, so that its blob may go."""


class ComputationControl(ComputationControlServicer):
    """`identify` gives the duchy that calls, proved by its certificate, or raises."""

    def __init__(
        self,
        duchy: str,
        identify: Callable[[Context], str],
        computations: ComputationsAsyncStub,
        deliveries: Deliveries,
        blobs: BlobStore,
        timeout: float = 30.0,
    ) -> None:
        self._duchy, self._identify, self._computations = duchy, identify, computations
        self._deliveries, self._blobs, self._timeout = deliveries, blobs, timeout

    async def AdvanceComputation(  # noqa: N802
        self,
        request_iterator: AsyncIterator[computation_control_service_pb2.AdvanceComputationRequest],
        context: Context,
    ) -> computation_control_service_pb2.AdvanceComputationResponse:
        sender = self._identify(context)
        stream = aiter(request_iterator)
        opening = await bodies.opening(stream)
        if opening is None:
            raise InvalidRequest("the stream is empty; it must begin with a header")
        if opening.WhichOneof("payload") != "header":
            raise InvalidRequest("the stream must begin with a header")
        announced = read_header(opening.header, names.parse_computation(opening.header.name))
        promise = bodies.read_promise(metadata(context))
        place = await self._deliveries.judge(announced, sender)
        told = log.bind(computation=announced.computation_id, message=announced.name, sender=sender)
        if place is None:
            told.info("delivered before, dropped")
            await bodies.drop(_chunks(stream))
            return computation_control_service_pb2.AdvanceComputationResponse()
        key = computation_key(place.path)
        what = f"the body of {announced.name}"
        digest = await bodies.keep(
            self._blobs, key, _chunks(stream), unit=announced.unit, limit=announced.limit, promise=promise, what=what
        )
        if await self._fill(announced, sender, place, digest):
            told.info("delivered", bytes=digest.length)
        return computation_control_service_pb2.AdvanceComputationResponse()

    async def _fill(self, announced: Announced, sender: str, place: Place, digest: Digest) -> bool:
        """Record what was kept; remove it again where that is certainly refused or another delivery was first."""
        key = computation_key(place.path)
        try:
            was_first = await self._deliveries.fill(announced, sender, place, digest)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSED:
                await asyncio.to_thread(self._blobs.delete, key)
            raise
        if not was_first:
            await asyncio.to_thread(self._blobs.delete, key)
        return was_first

    async def GetComputationStage(  # noqa: N802
        self, request: computation_control_service_pb2.GetComputationStageRequest, context: Context
    ) -> computation_stage_pb2.ComputationStage:
        self._identify(context)
        computation_id, duchy = names.parse_stage(request.name)
        if duchy != self._duchy:
            raise InvalidRequest(f"name asks for the stage at {duchy}; this is {self._duchy}")
        response = await self._computations.GetComputationToken(
            computations_service_pb2.GetComputationTokenRequest(global_computation_id=computation_id),
            timeout=self._timeout,
        )
        return system_stage(request.name, response.token)


def system_stage(name: str, token: ComputationToken) -> computation_stage_pb2.ComputationStage:
    """The stage as peers see it, with the entity tag of the computation's version."""
    etag = f'W/"{sha256(token.version.to_bytes(8, "big", signed=True)).hexdigest().upper()}"'
    computation_type, number = registry.stage_of(token.computation_stage)
    stage = registry.system_stage(computation_type, number)
    if stage is None:
        raise PreconditionFailed(f"a stage of {registry.type_name(computation_type)} is nothing that peers may ask for")
    stage.name, stage.etag = name, etag
    return stage


async def _chunks(
    stream: AsyncIterator[computation_control_service_pb2.AdvanceComputationRequest],
) -> AsyncIterator[bytes]:
    async for message in stream:
        if message.WhichOneof("payload") != "body_chunk":
            raise InvalidRequest("after the header only body chunks may follow")
        yield message.body_chunk.partial_data
