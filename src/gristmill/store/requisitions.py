"""What data providers delivered."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import RowMapping, update

from gristmill.errors import InvalidRequest, NotFound, PreconditionFailed
from gristmill.proto.duchy.leases_pb2 import BlobDigest
from gristmill.protocols.derive import takes_requisitions
from gristmill.store import tables
from gristmill.store.journal import note
from gristmill.store.outputs import check_digest
from gristmill.store.rows import Computation, change, find, requisition_rows, split_requisition, token
from gristmill.store.transaction import Transaction
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.requisition_details_pb2 import (
    ExternalRequisitionKey,
    RequisitionDetails,
    RequisitionEntry,
)


async def record(
    transaction: Transaction,
    computation_id: int,
    key: ExternalRequisitionKey,
    path: str,
    public_api_version: str,
    protocol_details: RequisitionDetails.RequisitionProtocol | None,
    digest: BlobDigest | None,
) -> ComputationToken:
    if not path.strip() or not public_api_version.strip():
        raise InvalidRequest("blob_path and public_api_version must not be blank")
    if digest is not None:
        check_digest(digest)
    computation = await find(transaction, computation_id, lock=True)
    row = await _row(transaction, computation, key)
    if row["path"]:
        return await token(transaction, computation)
    if computation.table_stage not in takes_requisitions(computation.protocol, computation.role):
        raise PreconditionFailed(
            f"computation {computation.global_id} is in {computation.stage_name()} and takes no requisitions any more"
        )
    details = RequisitionDetails.FromString(row["details"])
    details.public_api_version = public_api_version
    if protocol_details is not None:
        details.protocol.CopyFrom(protocol_details)
    # The sealed nonce stays as it is.
    known = {"length": digest.length, "sha256": digest.sha256} if digest else {}
    await _change(transaction, row, path=path, details=details.SerializeToString(), **known)
    await note(transaction, computation, "requisition fulfilled", key.external_requisition_id, actor="fulfillment")
    await change(transaction, computation, version=computation.version + 1)
    return await token(transaction, computation)


async def overwrite_details(
    transaction: Transaction, computation: Computation, entries: Collection[RequisitionEntry]
) -> None:
    """The whole details of the given requisitions; their blobs stay. Raises InvalidRequest for an unknown one."""
    for entry in entries:
        try:
            row = await _row(transaction, computation, entry.key)
        except NotFound as unknown:
            raise InvalidRequest(unknown.message) from None
        columns = split_requisition(
            transaction, computation.id, computation.wrapped_key or b"", row["external_id"], entry.value
        )
        await _change(transaction, row, **columns)


async def _row(transaction: Transaction, computation: Computation, key: ExternalRequisitionKey) -> RowMapping:
    wanted = (key.external_requisition_id, key.requisition_fingerprint)
    for row in await requisition_rows(transaction, computation):
        if (row["external_id"], row["fingerprint"]) == wanted:
            return row
    raise NotFound(f"computation {computation.global_id} has no requisition {key.external_requisition_id}")


async def _change(transaction: Transaction, row: RowMapping, **columns: object) -> None:
    where = tables.requisitions.c
    mine = (where.computation == row["computation"]) & (where.external_id == row["external_id"])
    await transaction.run(
        update(tables.requisitions).where(mine, where.fingerprint == row["fingerprint"]).values(**columns)
    )
