"""A secret that no log, traceback, format string or pickle can print."""

from __future__ import annotations

import hmac
from typing import Never


class Secret:
    """Key bytes that leave only through `expose`, at the last moment before they are used."""

    __slots__ = ("__value",)

    def __init__(self, value: bytes) -> None:
        self.__value = bytes(value)

    def expose(self) -> bytes:
        """The bytes themselves. Never store, log or send what this returns."""
        return self.__value

    def __len__(self) -> int:
        return len(self.__value)

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.__value, other.__value)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret(…)"

    def __format__(self, specification: str) -> str:
        raise TypeError("a Secret cannot be formatted")

    def __str__(self) -> str:
        raise TypeError("a Secret cannot be turned into text")

    def __reduce__(self) -> Never:
        raise TypeError("a Secret cannot be pickled")
