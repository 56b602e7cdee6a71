"""The audit trail: every event of a computation, in the transaction that makes it happen. Never a secret."""

from __future__ import annotations

from sqlalchemy import insert

from gristmill.store import tables
from gristmill.store.guards import Fence, Guard
from gristmill.store.rows import Computation
from gristmill.store.transaction import Transaction


async def note(
    transaction: Transaction,
    computation: Computation,
    kind: str,
    detail: str = "",
    *,
    actor: str = "",
    stage: int | None = None,
    attempt: int = 0,
    fence: int | None = None,
) -> None:
    """`stage` and `fence` are the computation's present ones unless given."""
    await transaction.run(
        insert(tables.events).values(
            computation=computation.id,
            time=transaction.now,
            kind=kind,
            stage=computation.stage if stage is None else stage,
            attempt=attempt,
            fence=computation.fence if fence is None else fence,
            actor=actor or (computation.owner or ""),
            detail=detail,
        )
    )


def actor_of(guard: Guard) -> str:
    return guard.owner if isinstance(guard, Fence) else "wire"
