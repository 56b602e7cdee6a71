"""Errors of this project as gRPC statuses: one interceptor round every method of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from traceback import extract_tb
from typing import Any

import grpc
import grpc.aio

from gristmill.errors import GristmillError
from gristmill.observe.logs import logger

_LOG = logger("kingdom")


class Statuses(grpc.aio.ServerInterceptor):
    """Answers a GristmillError with its status and text, and whatever else goes wrong with INTERNAL and no details."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return handler
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                _unary(method, handler.unary_unary), handler.request_deserializer, handler.response_serializer
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                _stream(method, handler.unary_stream), handler.request_deserializer, handler.response_serializer
            )
        return handler


def _unary(method: str, inner: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await inner(request, context)
        except GristmillError as error:
            await _refuse(method, error, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _fail(method, error, context)

    return answer


def _stream(method: str, inner: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            async for response in inner(request, context):
                yield response
        except GristmillError as error:
            await _refuse(method, error, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _fail(method, error, context)

    return answer


async def _refuse(method: str, error: GristmillError, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    _LOG.info("refused", method=method, status=error.status, reason=str(error))
    await context.abort(grpc.StatusCode[error.status], str(error))


async def _fail(method: str, error: Exception, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    # The error's text may quote a message: the log gets its type and the place.
    frames = extract_tb(error.__traceback__)[-4:]
    places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    _LOG.error("method failed", method=method, error=type(error).__name__, places=places)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error; see the kingdom's log")
