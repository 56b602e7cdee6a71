"""gRPC interceptors behind `--debug-verbose-grpc-server-logging` and `--debug-verbose-grpc-client-logging`.

They log that a call was made, by whom, how long it took and how it ended, and of each message its type, its size and
the fields that name what it is about. Never a body: messages of the internal API carry secrets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import isasyncgenfunction
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import Message

from gristmill.observe.logs import logger

_SHOWN: Final = ("name", "parent", "global_computation_id", "global_id", "owner", "computation_type", "page_size")
"""Fields whose values are names and numbers that any operator may see."""


def describe(message: object) -> str:
    """`message` for a log line: type, size and what it is about."""
    if not isinstance(message, Message):
        return type(message).__name__
    fields = message.DESCRIPTOR.fields_by_name
    shown = [f"{name}={getattr(message, name)}" for name in _SHOWN if name in fields and getattr(message, name)]
    return " ".join([message.DESCRIPTOR.name, f"{message.ByteSize()} B", *shown])


class LoggedServer(grpc.aio.ServerInterceptor):
    """Logs every call that a grpc.aio server answers."""

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(details)
        if handler is None:
            return None
        serializers = handler.request_deserializer, handler.response_serializer
        if handler.response_streaming:
            behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
            logged = (_logged_generator if isasyncgenfunction(behaviour) else _logged)(behaviour, details.method)
            if handler.request_streaming:
                return grpc.stream_stream_rpc_method_handler(logged, *serializers)
            return grpc.unary_stream_rpc_method_handler(logged, *serializers)
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(_logged(handler.stream_unary, details.method), *serializers)
        return grpc.unary_unary_rpc_method_handler(_logged(handler.unary_unary, details.method), *serializers)


def _logged(behaviour: Any, method: str) -> Any:
    async def answer(request: Any, context: Any) -> Any:
        with _Call(method, "answered", context, request) as call:
            call.response = await behaviour(request, context)
            return call.response

    return answer


def _logged_generator(behaviour: Any, method: str) -> Any:
    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        with _Call(method, "answered", context, request):
            async for response in behaviour(request, context):
                yield response

    return stream


class _Call:
    """One call on a server, logged when it ends."""

    def __init__(self, method: str, event: str, context: Any, request: object) -> None:
        self.response: object = None
        self._fields = {"method": method, "peer": context.peer(), "request": describe(request)}
        self._context, self._event, self._started = context, event, time.monotonic()

    def __enter__(self) -> _Call:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        code = self._context.code()
        logger("grpc").info(
            self._event,
            **self._fields,
            response=describe(self.response) if self.response is not None else "",
            code=getattr(code, "name", None) or ("OK" if error is None else type(error).__name__),
            seconds=round(time.monotonic() - self._started, 3),
        )


class LoggedClient(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Logs every call of a synchronous channel (`grpc.intercept_channel`)."""

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return self._call(continuation, details, request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return self._call(continuation, details, request)

    def intercept_stream_unary(self, continuation: Any, details: Any, request_iterator: Any) -> Any:
        return self._call(continuation, details, request_iterator)

    def intercept_stream_stream(self, continuation: Any, details: Any, request_iterator: Any) -> Any:
        return self._call(continuation, details, request_iterator)

    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        started, description = time.monotonic(), describe(request)
        call = continuation(details, request)
        call.add_done_callback(lambda done: _log_client(details.method, description, done.code(), started))
        return call


def aio_client_interceptors() -> list[grpc.aio.ClientInterceptor]:
    """The same for a grpc.aio channel, which wants one object for each kind of call."""
    return [_UnaryUnary(), _UnaryStream(), _StreamUnary(), _StreamStream()]


_watched: set[asyncio.Task[None]] = set()


async def _aio_call(continuation: Any, details: Any, request: Any) -> Any:
    started, description, method = time.monotonic(), describe(request), details.method
    call = await continuation(details, request)

    async def log_the_end() -> None:
        code = await call.code()
        _log_client(method.decode() if isinstance(method, bytes) else method, description, code, started)

    task = asyncio.create_task(log_the_end())
    _watched.add(task)
    task.add_done_callback(_watched.discard)
    return call


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await _aio_call(continuation, details, request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await _aio_call(continuation, details, request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, details: Any, request_iterator: Any) -> Any:
        return await _aio_call(continuation, details, request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, details: Any, request_iterator: Any) -> Any:
        return await _aio_call(continuation, details, request_iterator)


def _log_client(method: str, request: str, code: grpc.StatusCode | None, started: float) -> None:
    logger("grpc").info(
        "called",
        method=method,
        request=request,
        code=code.name if code else "",
        seconds=round(time.monotonic() - started, 3),
    )
