"""From our errors to the statuses that gRPC callers see, and back.

Every error carries its status. Where the wire promises `google.rpc.ErrorInfo`, the store's error is an `Explained`,
whose reason (an ErrorCode of wfa.measurement.internal.duchy) and metadata travel in the status details.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from traceback import extract_tb
from typing import Any, Never

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from gristmill.errors import GristmillError, InvalidRequest
from gristmill.observe.logs import logger

DOMAIN = "wfa.measurement.internal.duchy.ErrorCode"
MESSAGE_KEY = "gristmill-message-bin"
LONGEST_MESSAGE = 1000
_DETAILS_KEY = "grpc-status-details-bin"

_FAULTS = frozenset({
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
})  # fmt: skip
"""The rest are refusals, which are the caller's affair."""

Context = grpc.aio.ServicerContext[Any, Any]

log = logger("duchy")


class Answers(grpc.aio.ServerInterceptor):
    """Turns what a method raises into a status: ours as they say, a failed call to another service as UNAVAILABLE or
    what `passed` maps it to, everything else as INTERNAL without telling the caller more (the log has it)."""

    def __init__(self, passed: frozenset[grpc.StatusCode] = frozenset()) -> None:
        self._passed = passed

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.response_streaming:
            return handler
        behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
        wrap = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        method = handler_call_details.method

        async def answer(request: Any, context: Context) -> Any:
            try:
                return await behaviour(request, context)
            except grpc.aio.AbortError:
                raise
            except GristmillError as error:
                log.info("refused", method=method, error=error.code, reason=error.message)
                await _abort(context, error)
            except grpc.aio.AioRpcError as error:
                await self._pass_on(context, method, error)
            except Exception as error:
                # The text may quote what the caller sent, or a row; its type and place are enough.
                log.error("failed", method=method, error=type(error).__name__, where=where(error))
                await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has it")

        return wrap(answer, handler.request_deserializer, handler.response_serializer)

    async def _pass_on(self, context: Context, method: str, error: grpc.aio.AioRpcError) -> Never:
        code, details = error.code(), error.details() or ""
        say = log.warning if code in _FAULTS else log.info
        say("a service behind this one refused or failed", method=method, status=code.name, reason=details)
        if code in self._passed:
            await context.abort(code, details, _trailing(error))
        await context.abort(grpc.StatusCode.UNKNOWN, f"a service behind this one answered {code.name}: {details}")
        raise AssertionError("abort returned")


async def _abort(context: Context, error: GristmillError) -> Never:
    code = grpc.StatusCode[error.status]
    message = error.message + (f" Cure: {error.cure}" if error.cure else "")
    trailing: tuple[tuple[str, bytes], ...] = ()
    reason: str | None = getattr(error, "reason", None)  # of the store's `Explained`, without importing the store
    if reason:
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=getattr(error, "metadata", {})))
        status = status_pb2.Status(code=code.value[0], message=message, details=[detail])
        trailing = ((_DETAILS_KEY, status.SerializeToString()),)
    await context.abort(code, message, trailing)
    raise AssertionError("abort returned")


def where(error: BaseException) -> list[str]:
    """The innermost calls of a traceback, without the error's text."""
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)[-6:]
    ]


def _trailing(error: grpc.aio.AioRpcError) -> tuple[tuple[str, bytes], ...]:
    """The rich status of a failed call, so that it reaches the caller of this server too."""
    found: Any = error.trailing_metadata() or ()
    return tuple((key, value) for key, value in found if key == _DETAILS_KEY and isinstance(value, bytes))


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    """The ErrorInfo of a failed call, sync or async; None if it has none."""
    found: Any = error.trailing_metadata() or ()
    for key, value in found:
        if key == _DETAILS_KEY:
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info
    return None


def metadata(context: Context) -> dict[str, str]:
    """The caller's metadata that are text. InvalidRequest when one of ours comes twice: which is meant?"""
    found: Any = context.invocation_metadata() or ()
    texts: dict[str, str] = {}
    for key, value in found:
        if key in texts and key.startswith("gristmill-"):
            raise InvalidRequest(f"metadata {key} is given twice")
        if isinstance(value, str):
            texts[key] = value
    return texts


def message_of(context: Context) -> str:
    """What the caller says for people in `gristmill-message-bin`: UTF-8, cut to LONGEST_MESSAGE characters."""
    found: Any = context.invocation_metadata() or ()
    said = next((value for key, value in found if key == MESSAGE_KEY), b"")
    return said.decode(errors="replace")[:LONGEST_MESSAGE] if isinstance(said, bytes) else ""
