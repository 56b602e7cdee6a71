"""What a peer announces in the header of AdvanceComputation: which message of which protocol, and how big it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gristmill.errors import InvalidRequest
from gristmill.protocols import registry
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as control

MOST_UNITS: Final = 2**27
"""More registers, tuples or ciphertexts than any configured sketch has with all its noise (134 million)."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A message as its header announces it.

    `unit` is the size in bytes of what the body is a sequence of; the body has at most `limit` bytes.
    """

    computation_id: str
    computation_type: int
    message: int
    name: str
    unit: int
    limit: int


def read_header(header: control.AdvanceComputationRequest.Header, computation_id: str) -> Announced:
    """What the header announces.

    Raises:
        InvalidRequest: no protocol, one that this duchy does not run, or no known description.
    """
    member = header.WhichOneof("protocol")
    if member is None:
        raise InvalidRequest("header.protocol is not set")
    wire = registry.by_member(member)
    if wire is None:
        raise InvalidRequest(f"header.protocol {member} is not run by this duchy")
    description = getattr(header, member).description
    protocol = wire.tables[0]
    try:
        message = protocol.messages(description)
    except ValueError:
        raise InvalidRequest(
            f"header.{member}.description is {description}, which is none of this protocol's messages"
        ) from None
    unit = protocol.units[message]
    limit = protocol.limits.get(message, unit * MOST_UNITS)
    return Announced(computation_id, wire.number, description, message.name, unit, limit)
