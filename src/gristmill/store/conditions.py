"""Whether a guarded write may go through."""

from __future__ import annotations

from gristmill.errors import PreconditionFailed
from gristmill.store.guards import Fence, Guard
from gristmill.store.refusals import LeaseTaken, VersionMismatch
from gristmill.store.rows import Computation, find
from gristmill.store.transaction import Transaction


def holds(computation: Computation, guard: Guard) -> bool:
    if isinstance(guard, Fence):
        return (computation.fence, computation.owner) == (guard.number, guard.owner)
    return computation.version == guard.number


def refusal(computation: Computation, guard: Guard) -> VersionMismatch | LeaseTaken:
    if isinstance(guard, Fence):
        return LeaseTaken(computation.id, expected_owner=guard.owner, actual_owner=computation.owner)
    return VersionMismatch(computation.id, version=computation.version, token_version=guard.number)


async def lock_if(transaction: Transaction, key: int | str, guard: Guard) -> Computation:
    """The computation, locked. Raises what `refusal` gives if the guard does not hold."""
    computation = await find(transaction, key, lock=True)
    if not holds(computation, guard):
        raise refusal(computation, guard)
    return computation


def require_running(computation: Computation) -> None:
    if computation.ended:
        raise PreconditionFailed(f"computation {computation.global_id} has ended")
