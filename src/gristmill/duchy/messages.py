"""What a peer announces in the header of AdvanceComputation: which message of which protocol, and how big it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gristmill.errors import InvalidRequest
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationTypeEnum
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as control

CIPHERTEXT: Final = 66
"""Bytes of one ElGamal ciphertext on P-256: two compressed points."""
REGISTER: Final = 3 * CIPHERTEXT
"""Index, key, count."""
TUPLE: Final = 4 * CIPHERTEXT
"""Three flags and a count."""
MOST_UNITS: Final = 2**27
"""More registers, tuples or ciphertexts than any configured sketch has with all its noise (134 million)."""

_LLV2 = control.LiquidLegionsV2
_UNITS: Final = {
    _LLV2.SETUP_PHASE_INPUT: REGISTER,
    _LLV2.EXECUTION_PHASE_ONE_INPUT: REGISTER,
    _LLV2.EXECUTION_PHASE_TWO_INPUT: TUPLE,
    _LLV2.EXECUTION_PHASE_THREE_INPUT: CIPHERTEXT,
}
_SERVED: Final = {"liquid_legions_v2": ComputationTypeEnum.LIQUID_LEGIONS_SKETCH_AGGREGATION_V2}
"""Header member -> computation type, of the protocols that this duchy runs."""


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

    @property
    def limit(self) -> int:
        return self.unit * MOST_UNITS


def read_header(header: control.AdvanceComputationRequest.Header, computation_id: str) -> Announced:
    """What the header announces.

    Raises:
        InvalidRequest: no protocol, one that this duchy does not run, or no known description.
    """
    member = header.WhichOneof("protocol")
    if member is None:
        raise InvalidRequest("header.protocol is not set")
    if member not in _SERVED:
        raise InvalidRequest(f"header.protocol {member} is not run by this duchy")
    description = header.liquid_legions_v2.description
    if description not in _UNITS:
        raise InvalidRequest(f"header.{member}.description is {description}, which is none of this protocol's messages")
    name = control.LiquidLegionsV2.Description.Name(description)
    return Announced(computation_id, _SERVED[member], description, name, _UNITS[description])
