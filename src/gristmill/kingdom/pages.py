"""Tokens that say where a list or a stream continues: after a (time in microseconds, ID)."""

from __future__ import annotations

import base64
import binascii

from google.protobuf.message import DecodeError

from gristmill.errors import InvalidRequest
from gristmill.kingdom import messages
from wfa.measurement.system.v1alpha.computations_service_pb2 import StreamActiveComputationsContinuationToken

BEGINNING = (-1, 0)
LARGEST_PAGE = 100
DEFAULT_PAGE = 50


def size(requested: int) -> int:
    """The page size for a request's `page_size`: 0 is the default, more than the largest becomes the largest."""
    if requested < 0:
        raise InvalidRequest("page_size is negative")
    return min(requested or DEFAULT_PAGE, LARGEST_PAGE)


def to_token(position: tuple[int, int]) -> str:
    """A continuation token as the wire has it: unpadded base64url of the serialized message."""
    token = StreamActiveComputationsContinuationToken(
        last_seen_update_time=messages.timestamp(position[0]), last_seen_external_computation_id=position[1]
    )
    return base64.urlsafe_b64encode(token.SerializeToString()).rstrip(b"=").decode()


def from_token(text: str) -> tuple[int, int]:
    """The position that a token stands for; an empty one is the beginning. Raises InvalidRequest."""
    if not text:
        return BEGINNING
    try:
        serialized = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        token = StreamActiveComputationsContinuationToken.FromString(serialized)
    except (ValueError, binascii.Error, DecodeError):
        raise InvalidRequest("the token is not one that this kingdom gave", cure="Start without a token.") from None
    if token.last_seen_external_computation_id >= 2**63:
        raise InvalidRequest("the token is not one that this kingdom gave", cure="Start without a token.")
    return messages.microseconds(token.last_seen_update_time), token.last_seen_external_computation_id
