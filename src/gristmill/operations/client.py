"""A duchy's computations, asked of its internal API: seen, tried again, canceled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc

from gristmill.errors import (
    AlreadyExists,
    Conflict,
    GristmillError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
)
from gristmill.proto.duchy.inspection_pb2 import (
    ComputationSummary,
    Event,
    ListComputationsRequest,
    ListEventsRequest,
    ShowComputationRequest,
)
from gristmill.proto.duchy.inspection_pb2_grpc import InspectionStub
from gristmill.proto.duchy.interventions_pb2 import (
    CancelComputationRequest,
    CancelComputationResponse,
    RetryComputationRequest,
)
from gristmill.proto.duchy.interventions_pb2_grpc import InterventionsStub

PAGE_SIZE = 500
Answer = TypeVar("Answer")
_REFUSALS: dict[grpc.StatusCode, type[GristmillError]] = {
    grpc.StatusCode[kind.status]: kind
    for kind in (
        InvalidRequest,
        Unauthenticated,
        PermissionDenied,
        NotFound,
        AlreadyExists,
        PreconditionFailed,
        Conflict,
    )
}


class Computations:
    """Calls on a channel to the internal API, each within `timeout` seconds. Raises what the duchy refuses."""

    def __init__(self, channel: grpc.Channel, timeout: float) -> None:
        self._inspection, self._interventions = InspectionStub(channel), InterventionsStub(channel)
        self._timeout = timeout

    def all(self) -> Iterator[ComputationSummary]:
        """The newest first."""
        request = ListComputationsRequest(page_size=PAGE_SIZE)
        while True:
            page = self._call(self._inspection.ListComputations, request)
            yield from page.computations
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def show(self, computation: str) -> ComputationSummary:
        return self._call(self._inspection.ShowComputation, ShowComputationRequest(global_computation_id=computation))

    def events(self, computation: str) -> list[Event]:
        """The oldest first."""
        return [*self._call(self._inspection.ListEvents, ListEventsRequest(global_computation_id=computation)).events]

    def retry(self, seen: ComputationSummary, actor: str, reason: str) -> ComputationSummary:
        """Have the attempt that was seen tried again at once. Conflict when another one has begun since."""
        request = RetryComputationRequest(
            global_computation_id=seen.global_computation_id,
            stage=seen.stage,
            attempt=seen.attempt,
            actor=actor,
            reason=reason,
        )
        return self._call(self._interventions.RetryComputation, request)

    def cancel(self, computation: str, actor: str, reason: str) -> CancelComputationResponse:
        request = CancelComputationRequest(global_computation_id=computation, actor=actor, reason=reason)
        return self._call(self._interventions.CancelComputation, request)

    def _call(self, method: Callable[..., Answer], request: object) -> Answer:
        with answered("the internal API"):
            return method(request, timeout=self._timeout)


@contextmanager
def answered(callee: str) -> Iterator[None]:
    """Turn the failure of the call inside into an error for people; a duchy's refusals have their cure in the text."""
    try:
        yield
    except grpc.RpcError as error:
        code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
        details = (error.details() if isinstance(error, grpc.Call) else "") or ""
        if code is grpc.StatusCode.UNIMPLEMENTED:
            raise PreconditionFailed(
                f"{callee} does not know this call", cure="Check the target; it must be Gristmill's, of this version."
            ) from None
        if code in _REFUSALS:
            message, _, cure = details.partition(" Cure: ")
            if code is grpc.StatusCode.NOT_FOUND:
                cure = cure or "gristmill computations list shows all that there are."
            raise _REFUSALS[code](message or f"{callee} answered {code.name}", cure=cure) from None
        raise Unavailable(
            f"{callee} answered {code.name}: {details[:500]}",
            cure="Check that it runs, the target, --tls-cert-file and --cert-collection-file.",
        ) from None
