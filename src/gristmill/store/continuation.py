"""Where the herald is in the kingdom's stream of computations."""

from __future__ import annotations

import base64
import binascii

from google.protobuf.message import DecodeError
from sqlalchemy import insert, select, update

from gristmill.store import tables
from gristmill.store.refusals import ContinuationTokenInvalid, ContinuationTokenMalformed
from gristmill.store.transaction import Transaction
from wfa.measurement.system.v1alpha.computations_service_pb2 import StreamActiveComputationsContinuationToken

PRESENT = 1


async def get(transaction: Transaction) -> str:
    tokens = await transaction.column(select(tables.continuation.c.token))
    return str(tokens[0]) if tokens else ""


async def set_token(transaction: Transaction, token: str) -> None:
    position = _decode(token)
    values = {"token": token, "updated": transaction.now}
    stored = await transaction.first(select(tables.continuation).with_for_update())
    if stored is None:
        await transaction.run(insert(tables.continuation).values(presence=PRESENT, **values))
        return
    if position < _decode(stored["token"]):
        raise ContinuationTokenInvalid(
            "the continuation token is older than the stored one",
            cure="Run one herald only; after a restart, continue from the stored token.",
            metadata={"continuation_token": token},
        )
    await transaction.run(update(tables.continuation).values(**values))


def _decode(token: str) -> tuple[int, int]:
    """The time of the last computation that was seen. The token is unpadded base64url."""
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        seen = StreamActiveComputationsContinuationToken.FromString(decoded)
    except (binascii.Error, ValueError, DecodeError):
        seen = StreamActiveComputationsContinuationToken()
    if not seen.HasField("last_seen_update_time"):
        raise ContinuationTokenMalformed("the continuation token is none", metadata={"continuation_token": token})
    return seen.last_seen_update_time.seconds, seen.last_seen_update_time.nanos
