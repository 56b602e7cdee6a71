"""The private keyset to which a computation's data providers encrypt: sealed like every secret, told to one mill."""

from __future__ import annotations

from gristmill.errors import NotFound
from gristmill.secret import Secret
from gristmill.store.conditions import holds, refusal
from gristmill.store.guards import Fence
from gristmill.store.rows import find
from gristmill.store.transaction import Transaction

_COLUMN = "sealed_private_keyset"


def seal(transaction: Transaction, computation_id: int, wrapped_key: bytes, keyset: Secret | None) -> bytes | None:
    """What the column holds; None without a keyset."""
    if not keyset:
        return None
    return transaction.sealer.seal(wrapped_key, keyset, table="computations", row=str(computation_id), column=_COLUMN)


async def private_keyset(transaction: Transaction, global_id: str, fence: Fence) -> Secret:
    computation = await find(transaction, global_id)
    if not holds(computation, fence):
        raise refusal(computation, fence)
    if computation.sealed_private_keyset is None or computation.wrapped_key is None:
        raise NotFound(f"the private keyset of computation {global_id} is not kept in this database")
    return transaction.sealer.unseal(
        computation.wrapped_key,
        computation.sealed_private_keyset,
        table="computations",
        row=str(computation.id),
        column=_COLUMN,
    )
