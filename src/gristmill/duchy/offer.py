"""What a data provider offers for a requisition: what its body must be like, and what is recorded beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionDetails


def as_they_are(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """For bodies that are not looked into on their way."""
    return chunks


@dataclass(frozen=True, slots=True)
class Offer:
    """A body of `shortest` to `longest` bytes, in whole `unit`s."""

    what: str
    """Its name in messages, such as "the encrypted sketch"."""
    unit: int
    longest: int
    shortest: int = 0
    may_be_empty: bool = False
    """Nobody was seen, and the data provider says so."""
    recorded: RequisitionDetails.RequisitionProtocol | None = None
    checked: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]] = as_they_are
    """The same chunks; InvalidRequest at the first that cannot be part of such a body."""
