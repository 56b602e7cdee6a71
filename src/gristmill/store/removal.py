"""Forgetting computations, and saying which blobs nobody needs any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete as delete_from
from sqlalchemy import select, tuple_

from gristmill.errors import InvalidRequest
from gristmill.protocols import registry
from gristmill.store import tables
from gristmill.store.transaction import Transaction, since_epoch
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage


@dataclass(frozen=True, slots=True)
class BlobKeys:
    """Blobs that nothing refers to any more, each key relative to its store."""

    computations: tuple[str, ...] = ()
    requisitions: tuple[str, ...] = ()
    private_keys: tuple[str, ...] = ()
    """IDs of those that an existing herald, or ours beside existing mills, has put into blob storage."""


@dataclass(frozen=True, slots=True)
class Purged:
    """How many computations, all their global IDs, and the blobs to delete (none without force)."""

    count: int
    global_ids: tuple[str, ...]
    blobs: BlobKeys


async def delete(transaction: Transaction, computation_id: int) -> BlobKeys:
    return await _forget(transaction, [computation_id])


async def purge(
    transaction: Transaction, updated_before: datetime, stages: Sequence[ComputationStage], force: bool
) -> Purged:
    ends = [registry.stage_of(stage) for stage in stages]
    if not ends:
        raise InvalidRequest("stages is empty")
    for computation_type, stage in ends:
        if stage != registry.complete(computation_type):
            raise InvalidRequest(f"{registry.stage_name(computation_type, stage)} is not a terminal stage")
    columns = tables.computations.c
    old = select(columns.id, columns.global_id).where(
        tuple_(columns.type, columns.stage).in_(ends), columns.updated <= since_epoch(updated_before)
    )
    rows = await transaction.all(old.order_by(columns.id).with_for_update() if force else old.order_by(columns.id))
    blobs = await _forget(transaction, [row["id"] for row in rows]) if force else BlobKeys()
    return Purged(len(rows), tuple(row["global_id"] for row in rows), blobs)


async def _forget(transaction: Transaction, ids: Sequence[int]) -> BlobKeys:
    """The children go with the computation. What dies between this and the blobs' deletion leaves orphans."""
    computations: set[str] = set()
    requisitions: set[str] = set()
    private_keys: set[str] = set()
    for computation_id in ids:
        for table in (tables.blobs, tables.slots):
            paths = select(table.c.path).where(table.c.computation == computation_id, table.c.path != "")
            computations.update(await transaction.column(paths))
        fulfilled = tables.requisitions.c
        paths = select(fulfilled.path).where(fulfilled.computation == computation_id, fulfilled.path != "")
        requisitions.update(await transaction.column(paths))
        private_keys.update(await _private_keys(transaction, computation_id))
        await transaction.run(delete_from(tables.computations).where(tables.computations.c.id == computation_id))
    return BlobKeys(*(tuple(sorted(paths)) for paths in (computations, requisitions, private_keys)))


async def _private_keys(transaction: Transaction, computation_id: int) -> list[str]:
    columns = tables.computations.c
    details = await transaction.column(select(columns.details).where(columns.id == computation_id))
    pairs = [ComputationDetails.FromString(each).honest_majority_share_shuffle.encryption_key_pair for each in details]
    return [pair.private_key_id for pair in pairs if pair.private_key_id]
