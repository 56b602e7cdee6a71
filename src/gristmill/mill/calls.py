"""From the statuses of gRPC calls to the errors that decide what the mill does next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from gristmill.errors import (
    AlreadyExists,
    GristmillError,
    InvalidRequest,
    LeaseLost,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    ServiceFault,
    Unauthenticated,
    Unavailable,
)

TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
    }
)
"""Statuses after which the same call may succeed. A call that writes may have been carried out all the same."""

_REFUSALS: dict[grpc.StatusCode, type[GristmillError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionFailed,
}


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The status of a failed call."""
    code = error.code() if isinstance(error, grpc.Call) else None
    return code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN


def details_of(error: grpc.RpcError) -> str:
    """What the server said about it, at most 500 characters."""
    text = error.details() if isinstance(error, grpc.Call) else ""
    return (text or "")[:500]


def reason_of(error: grpc.RpcError) -> str:
    """The ErrorInfo reason that came with the status, if any."""
    trailing: Iterable[tuple[str, str | bytes]] = ()
    if isinstance(error, grpc.Call):
        trailing = error.trailing_metadata() or ()
    for key, value in trailing:
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        try:
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
        except DecodeError:
            return ""
    return ""


def translate(error: grpc.RpcError, callee: str, action: str) -> GristmillError:
    """The error that a failed call of `callee` means to a mill."""
    code = code_of(error)
    message = f"{callee} answered {code.name} to {action}: {details_of(error)}"
    if reason_of(error) == "COMPUTATION_LOCK_OWNER_MISMATCH":
        return LeaseLost(message)
    if code in TRANSIENT:
        return Unavailable(message, cure=f"Check that {callee} runs and can be reached.")
    return _REFUSALS.get(code, ServiceFault)(message)


@contextmanager
def calling(callee: str, action: str) -> Iterator[None]:
    """Turn the failure of the call inside into the mill's error."""
    try:
        yield
    except grpc.RpcError as error:
        raise translate(error, callee, action) from error
