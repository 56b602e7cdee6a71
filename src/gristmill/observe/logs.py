"""Structured logs on standard error: JSON lines, or coloured text on a terminal.

Whoever works on a stage binds `computation`, `stage`, `attempt` and `mill` with `structlog.contextvars`; every line of
that thread or task then carries them. Bytes and messages never reach a line: a key, a share or a register logged by
mistake shows only its length.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(*, level: str = "info", json: bool | None = None) -> None:
    """Start logging to standard error.

    Args:
        level: a key of `LEVELS`.
        json: JSON lines (True), text (False), or text only where standard error is a terminal (None).
    """
    import structlog

    as_json = not sys.stderr.isatty() if json is None else json
    renderers: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=_type_name)]
        if as_json
        # The default formatter for terminals prints local variables, and those may be secrets.
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_contents,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", _Lossy(sys.stderr))),
        cache_logger_on_first_use=False,
    )


class _Lossy(io.TextIOBase):
    """A stream that loses what cannot be written: a full disk below the log must not end the work that is logged."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines say that they come from `name`, such as "mill" or "herald"."""
    import structlog

    bound: FilteringBoundLogger = structlog.get_logger(component=name)
    return bound


def _without_contents(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what may hold secrets by its type and size."""
    for key, value in event.items():
        if key != "exc_info":
            event[key] = _printable(value)
    return event


def _printable(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, list | tuple | set | frozenset):
        return [_printable(member) for member in value]
    if isinstance(value, dict):
        return {str(key): _printable(member) for key, member in value.items()}
    if isinstance(value, BaseException):
        return str(value) or type(value).__name__
    return value if isinstance(value, str | int | float | None) else _type_name(value)


def _type_name(value: object) -> str:
    return f"<{type(value).__name__}>"
