"""RequisitionFulfillment: the door through which data providers hand over their encrypted sketches.

Three steps: keep the body, record it here, tell the kingdom. A data provider that repeats the call with the same nonce
after a failure resumes with the first step that is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import grpc

from gristmill.blobs import requisition_key
from gristmill.duchy import bodies, liquid_legions, names, share_shuffle
from gristmill.duchy.offer import Offer
from gristmill.duchy.pacing import Pace
from gristmill.duchy.status import Context, metadata
from gristmill.errors import GristmillError, InvalidRequest, NotFound, PermissionDenied, PreconditionFailed, Unavailable
from gristmill.observe.logs import logger
from gristmill.protocols import derive, registry
from gristmill.trust.consent import check_fulfillment
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2 as public
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2_grpc import RequisitionFulfillmentServicer
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.internal.duchy import computations_service_pb2 as computations
from wfa.measurement.internal.duchy.requisition_details_pb2 import ExternalRequisitionKey
from wfa.measurement.system.v1alpha import computations_service_pb2 as system_computations
from wfa.measurement.system.v1alpha import requisition_pb2 as system_requisition
from wfa.measurement.system.v1alpha import requisitions_service_pb2 as system

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore, Digest
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken, RequisitionMetadata
    from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsAsyncStub
    from wfa.measurement.system.v1alpha.computations_service_pb2_grpc import (
        ComputationsAsyncStub as SystemComputationsAsyncStub,
    )
    from wfa.measurement.system.v1alpha.requisitions_service_pb2_grpc import RequisitionsAsyncStub

log = logger("requisition-fulfillment")

API_VERSION: Final = "v2alpha"

PASSED = frozenset(code for code in grpc.StatusCode if code is not grpc.StatusCode.OK)
"""The kingdom's status reaches the data provider as it is: FAILED_PRECONDITION, ABORTED for an old etag, and so on."""

_RETRY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)


class RequisitionFulfillment(RequisitionFulfillmentServicer):
    """`identify` gives the caller's resource name (`dataProviders/{id}`), proved by its certificate, or raises."""

    def __init__(
        self,
        duchy: str,
        identify: Callable[[Context], str],
        computations: ComputationsAsyncStub,
        kingdom_requisitions: RequisitionsAsyncStub,
        kingdom_computations: SystemComputationsAsyncStub,
        blobs: BlobStore,
        *,
        pace: Pace | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._duchy, self._identify, self._computations = duchy, identify, computations
        self._kingdom_requisitions, self._kingdom_computations = kingdom_requisitions, kingdom_computations
        self._blobs, self._pace, self._timeout = blobs, pace or Pace(), timeout

    async def FulfillRequisition(  # noqa: N802
        self, request_iterator: AsyncIterator[public.FulfillRequisitionRequest], context: Context
    ) -> public.FulfillRequisitionResponse:
        stream = aiter(request_iterator)
        opening = await bodies.opening(stream)
        if opening is None or opening.WhichOneof("payload") != "header":
            raise InvalidRequest("the stream must begin with a header")
        header = opening.header
        provider, requisition_id = names.parse_requisition(header.name)
        if not header.nonce:
            raise InvalidRequest("header.nonce is not set")
        caller = self._identify(context)
        if provider != caller:
            raise PermissionDenied(f"header.name is a requisition of {provider}, but {caller} is calling")
        if not self._pace.allows(caller):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls from this data provider; wait")
        promise = bodies.read_promise(metadata(context))
        key = ExternalRequisitionKey(
            external_requisition_id=requisition_id, requisition_fingerprint=header.requisition_fingerprint
        )
        token = await self._expecting(key)
        requisition = _find(token, key)
        verify(token, requisition, header)
        offer = read_offer(token, requisition, header, self._duchy)
        told = log.bind(computation=token.global_computation_id, requisition=requisition_id, data_provider=caller)
        chunks = _chunks(stream)
        if requisition.path:
            told.info("kept before, resuming with the kingdom")
            await bodies.drop(chunks)
        else:
            path = f"{self._duchy}/{token.global_computation_id}/{requisition_id}/{token_hex(8)}"
            digest = await bodies.keep(
                self._blobs,
                requisition_key(path),
                offer.checked(chunks),
                unit=offer.unit,
                shortest=offer.shortest,
                limit=offer.longest,
                promise=promise,
                what=offer.what,
                may_be_empty=offer.may_be_empty,
            )
            await self._record(token, key, path, digest, offer)
            told.info("kept", bytes=digest.length)
        await self._tell_kingdom(token.global_computation_id, requisition_id, header)
        told.info("fulfilled")
        return public.FulfillRequisitionResponse(state=Requisition.FULFILLED)

    async def _expecting(self, key: ExternalRequisitionKey) -> ComputationToken:
        """The computation that expects this requisition; the fingerprint is part of what is looked up."""
        try:
            response = await self._computations.GetComputationToken(
                computations.GetComputationTokenRequest(requisition_key=key), timeout=self._timeout
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NotFound(
                    "no computation here expects this requisition with this fingerprint",
                    cure="Compare the fingerprint; a new computation may still be on its way, so try again.",
                ) from None
            raise _internal(error) from None
        return response.token

    async def _record(
        self, token: ComputationToken, key: ExternalRequisitionKey, path: str, digest: Digest, offer: Offer
    ) -> None:
        """Record the blob; remove it where that is certainly refused, or where another upload was recorded first."""
        try:
            response = await self._computations.RecordRequisitionFulfillment(
                computations.RecordRequisitionFulfillmentRequest(
                    token=token,
                    key=key,
                    blob_path=path,
                    public_api_version=API_VERSION,
                    protocol_details=offer.recorded,
                ),
                timeout=self._timeout,
                metadata=(("gristmill-length", str(digest.length)), ("gristmill-sha256", digest.sha256.hex())),
            )
        except grpc.aio.AioRpcError as error:
            if error.code() not in _RETRY:
                await asyncio.to_thread(self._blobs.delete, requisition_key(path))
            raise _internal(error) from None
        if _find(response.token, key).path != path:
            await asyncio.to_thread(self._blobs.delete, requisition_key(path))

    async def _tell_kingdom(
        self, computation_id: str, requisition_id: str, header: public.FulfillRequisitionRequest.Header
    ) -> None:
        name = names.system_requisition(computation_id, requisition_id)
        request = system.FulfillRequisitionRequest(name=name, nonce=header.nonce, etag=header.etag)
        if header.HasField("fulfillment_context"):
            request.fulfillment_context.build_label = header.fulfillment_context.build_label
            request.fulfillment_context.warnings.extend(header.fulfillment_context.warnings)
        try:
            await self._kingdom_requisitions.FulfillRequisition(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            doubtful = error.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED)
            if not (doubtful and await self._fulfilled_here(computation_id, name)):
                raise

    async def _fulfilled_here(self, computation_id: str, name: str) -> bool:
        """Whether the kingdom has it as fulfilled at this duchy: an earlier call worked, its answer was lost."""
        try:
            computation = await self._kingdom_computations.GetComputation(
                system_computations.GetComputationRequest(name=names.computation(computation_id)), timeout=self._timeout
            )
        except grpc.aio.AioRpcError:
            return False
        here = names.participant(computation_id, self._duchy)
        return any(
            each.name == name
            and each.state == system_requisition.Requisition.FULFILLED
            and each.fulfilling_computation_participant == here
            for each in computation.requisitions
        )


def verify(
    token: ComputationToken, requisition: RequisitionMetadata, header: public.FulfillRequisitionRequest.Header
) -> None:
    """Consent signaling at fulfilment (LLv2 specification, "EDP-side encryption"; the fingerprint was the look-up's).

    Raises:
        PreconditionFailed: the nonce is not the one that the measurement consumer committed to, the API version is
            unknown, or the data can no longer be taken.
    """
    details = token.computation_details
    if details.kingdom_computation.public_api_version != API_VERSION:
        raise PreconditionFailed(
            f"the computation's API version {details.kingdom_computation.public_api_version!r} is unknown"
        )
    check_fulfillment(
        fingerprint=header.requisition_fingerprint,
        expected_fingerprint=requisition.external_key.requisition_fingerprint,
        nonce=header.nonce,
        expected_nonce_hash=requisition.details.nonce_hash,
        nonce_hashes=MeasurementSpec.FromString(details.kingdom_computation.measurement_spec).nonce_hashes,
    )
    protocol, role = registry.of(details), registry.role(details)
    stage = derive.stage_from_wire(protocol, *registry.stage_of(token.computation_stage))
    if not requisition.path and stage not in derive.takes_requisitions(protocol, role):
        raise PreconditionFailed(f"the computation is in {stage.name} and takes no data any more")


def read_offer(
    token: ComputationToken,
    requisition: RequisitionMetadata,
    header: public.FulfillRequisitionRequest.Header,
    duchy: str,
) -> Offer:
    """What the data provider offers, by the computation's protocol. InvalidRequest: another protocol's fields."""
    details = token.computation_details
    if registry.member(details) == "honest_majority_share_shuffle":
        fulfilling = requisition.details.external_fulfilling_duchy_id
        return share_shuffle.read_offer(registry.part(details), header, duchy=duchy, fulfilling=fulfilling)
    protocol = registry.of(details)
    return liquid_legions.read_offer(registry.part(details), header, protocol.requisition_unit)


def _find(token: ComputationToken, key: ExternalRequisitionKey) -> RequisitionMetadata:
    return next(each for each in token.requisitions if each.external_key == key)


def _internal(error: grpc.aio.AioRpcError) -> GristmillError:
    """A failure of this duchy's own internal API, as the data provider sees it."""
    code = error.code()
    log.warning("the internal API failed", status=code.name, reason=error.details())
    if code in _RETRY:
        return Unavailable("this duchy is busy", cure="Try again soon, with the same nonce.")
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return PreconditionFailed(error.details() or "the computation cannot take this requisition")
    return GristmillError("this duchy failed inside; its log has the reason")


async def _chunks(stream: AsyncIterator[public.FulfillRequisitionRequest]) -> AsyncIterator[bytes]:
    async for message in stream:
        if message.WhichOneof("payload") != "body_chunk":
            raise InvalidRequest("after the header only body chunks may follow")
        yield message.body_chunk.data
