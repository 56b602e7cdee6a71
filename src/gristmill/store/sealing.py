"""Secret fields leave a message before it is stored and come back when it is read; between, they are sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from gristmill.secret import Secret

MessageType = TypeVar("MessageType", bound=Message)


class SealsColumns(Protocol):
    """What the store needs of a sealer; `gristmill.trust.sealing.Sealer` is one."""

    def new_computation_key(self) -> bytes:
        """A new key, wrapped: whoever destroys it destroys all that was sealed with it."""

    def seal(self, computation_key: Any, plaintext: Secret, /, *, table: str, row: str, column: str) -> bytes: ...

    def unseal(self, computation_key: Any, sealed: bytes, /, *, table: str, row: str, column: str) -> Secret: ...


def split(message: MessageType, paths: Sequence[Sequence[str]]) -> tuple[MessageType, MessageType]:
    """The message without the fields at these paths, and a message of these fields alone."""
    open_part, secret_part = type(message)(), type(message)()
    open_part.CopyFrom(message)
    for *parents, name in paths:
        source, target = open_part, secret_part
        for parent in parents:
            if not source.HasField(parent):
                break
            source, target = getattr(source, parent), getattr(target, parent)
        else:
            if value := getattr(source, name):
                setattr(target, name, value)
                source.ClearField(name)
    return open_part, secret_part


def join(open_part: MessageType, secret_part: bytes) -> MessageType:
    """The message that `split` took apart."""
    open_part.MergeFromString(secret_part)
    return open_part
