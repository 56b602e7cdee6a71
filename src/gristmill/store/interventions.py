"""What an operator does to a computation: who did it and why is among its events, in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import RowMapping, select

from gristmill.errors import Conflict, InvalidRequest, PreconditionFailed
from gristmill.protocols.derive import row_of
from gristmill.protocols.table import Work
from gristmill.store import tables
from gristmill.store.claims import CANCELLED, close_attempts
from gristmill.store.inspection import lacks
from gristmill.store.journal import note
from gristmill.store.rows import Computation, change, change_stage, find, stage_row
from gristmill.store.stages import end
from gristmill.store.transaction import Transaction
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails

LONGEST_ACTOR, LONGEST_REASON = 200, 1000
RETRIED, CANCELED = "retried", "canceled"


@dataclass(frozen=True, slots=True)
class Operator:
    """Who intervenes, and why."""

    actor: str
    reason: str

    def __post_init__(self) -> None:
        for name, text, longest in (("actor", self.actor, LONGEST_ACTOR), ("reason", self.reason, LONGEST_REASON)):
            if not text.strip():
                raise InvalidRequest(f"{name} is not set", cure="Say who intervenes, and why.")
            if len(text) > longest or not text.isprintable():
                raise InvalidRequest(f"{name} must be one line of at most {longest} characters")


@dataclass(frozen=True, slots=True)
class Canceled:
    """Where a computation was when it was canceled first, and by whom."""

    computation_type: int
    stage: int
    attempt: int
    operator: Operator


async def retry(transaction: Transaction, global_id: str, stage: str, attempt: int, operator: Operator) -> None:
    computation = await find(transaction, global_id, lock=True)
    if await _was_retried(transaction, computation, stage, attempt, operator):
        return
    if computation.ended:
        state = ComputationDetails.CompletedReason.Name(computation.details.ending_state)
        raise PreconditionFailed(
            f"computation {global_id} has ended ({state}): there is nothing to try again", cure="Measure anew."
        )
    if not isinstance(row_of(computation.seat(transaction.duchy), computation.table_stage), Work):
        awaited = ", ".join(await lacks(transaction, computation))
        raise PreconditionFailed(
            f"computation {global_id} is in {computation.stage_name()}, where no mill works: it waits for {awaited}",
            cure="Look at the party that owes it; the computation goes on by itself when it comes.",
        )
    row = await stage_row(transaction, computation, computation.stage)
    latest = row["next_attempt"] - 1 if row else 0
    if (computation.stage_name(), latest) != (stage, attempt):
        raise Conflict(
            f"computation {global_id} is in attempt {latest} of {computation.stage_name()} now, "
            f"no longer in attempt {attempt} of {stage}",
            cure="Look at it again; try again if it still needs that.",
        )
    await close_attempts(transaction, computation, CANCELLED)
    nothing = {"failures": 0, "workers_lost": 0, "out_of_memory": 0, "waiting_for_peer_since": None}
    await change_stage(transaction, computation, computation.stage, **nothing)
    await note(transaction, computation, RETRIED, operator.reason, actor=operator.actor, attempt=attempt)
    await change(
        transaction,
        computation,
        owner=None,
        lease_expires=transaction.now,
        progress=None,
        version=computation.version + 1,
    )


async def _was_retried(
    transaction: Transaction, computation: Computation, stage: str, attempt: int, operator: Operator
) -> bool:
    """Whether this is the repeat of a retry whose reply was lost: every claim makes another attempt."""
    columns = tables.events.c
    same = (columns.attempt == attempt) & (columns.actor == operator.actor) & (columns.detail == operator.reason)
    return any(
        computation.stage_name(row["stage"]) == stage for row in await _noted(transaction, computation, RETRIED, same)
    )


async def cancel(transaction: Transaction, global_id: str, operator: Operator) -> Canceled:
    computation = await find(transaction, global_id, lock=True)
    if not computation.ended:
        row = await stage_row(transaction, computation, computation.stage)
        attempt = row["next_attempt"] - 1 if row else 0
        await note(transaction, computation, CANCELED, operator.reason, actor=operator.actor, attempt=attempt)
        # Not the lease's doing: the mill that holds it is refused from now on, whatever it asks for.
        await end(
            transaction, computation, ComputationDetails.CANCELED, operator.actor, by_fence=None, why=operator.reason
        )
    found = await _noted(transaction, computation, CANCELED)
    if not found:
        state = ComputationDetails.CompletedReason.Name(computation.details.ending_state)
        raise PreconditionFailed(f"computation {global_id} has ended before: {state}")
    first = found[0]
    return Canceled(computation.type, first["stage"], first["attempt"], Operator(first["actor"], first["detail"]))


async def note_told(transaction: Transaction, global_id: str, what: str, answer: str, actor: str) -> None:
    await note(transaction, await find(transaction, global_id, lock=True), what, answer, actor=actor)


async def _noted(transaction: Transaction, computation: Computation, kind: str, *further: object) -> list[RowMapping]:
    columns = tables.events.c
    mine = select(tables.events).where(columns.computation == computation.id, columns.kind == kind, *further)  # type: ignore[arg-type]
    return await transaction.all(mine.order_by(columns.id))
