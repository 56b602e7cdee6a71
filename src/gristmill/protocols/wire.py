"""Where the wire's messages keep what belongs to one protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gristmill.protocols.table import Participant, Protocol, Ring


@dataclass(frozen=True, slots=True)
class Wire:
    """A protocol on the wire. Its part of ComputationDetails is `Any` here: each protocol has a message of its own."""

    member: str
    """What the protocol is called in every message that has a place for each: details, setup, configurations, keys,
    headers, results."""
    tables: tuple[Protocol, ...]
    """All that its computations may follow; of one number and with the same stages and messages."""
    choose: Callable[[Any], Protocol]
    """The table that a computation follows, by its part of the details."""
    ring: Callable[[Any, Participant], Ring]
    """The ring around this duchy, by its part of the details; empty while it is unknown."""
    secrets: tuple[tuple[str, ...], ...]
    """Fields of its part of the details that are never stored in the clear, as paths."""

    @property
    def number(self) -> int:
        """The computation type."""
        return self.tables[0].number
