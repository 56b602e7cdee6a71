"""Outputs are recorded before they are delivered, and the first that is recorded is kept."""

from __future__ import annotations

from sqlalchemy import ColumnElement, RowMapping, insert, select, update

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.proto.duchy.leases_pb2 import BlobDigest, Figures, RecordedOutput, RecordOutputResponse
from gristmill.protocols import registry
from gristmill.protocols.derive import Slot, blobs
from gristmill.store import tables
from gristmill.store.conditions import holds, lock_if, refusal
from gristmill.store.guards import Fence, Guard, Version
from gristmill.store.journal import actor_of, note
from gristmill.store.rows import KEPT, Computation, change, find, store_details, token
from gristmill.store.transaction import Transaction
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import OUTPUT
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

SHA256_BYTES = 32


async def record(
    transaction: Transaction, global_id: str, fence: Fence, blob_id: int, digest: BlobDigest, figures: Figures
) -> RecordOutputResponse:
    check_digest(digest)
    computation = await lock_if(transaction, global_id, fence)
    blob = await _output(transaction, computation, blob_id)
    if not blob["path"]:
        await _set(
            transaction,
            computation,
            blob_id,
            path=digest.path,
            length=digest.length,
            sha256=digest.sha256,
            reach=figures.reach if figures.HasField("reach") else None,
            randomness_commitment=figures.randomness_commitment or None,
        )
        if figures.HasField("reach"):
            await store_details(transaction, computation, registry.with_reach(computation.details, figures.reach))
        said = f", randomness commitment {figures.randomness_commitment.hex()}" if figures.randomness_commitment else ""
        detail = f"blob {blob_id}: {digest.length} bytes, SHA-256 {digest.sha256.hex()}{said}"
        await note(transaction, computation, "output recorded", detail, actor=fence.owner)
        await change(transaction, computation, version=computation.version + 1)
        blob = await _output(transaction, computation, blob_id)
    return RecordOutputResponse(token=await token(transaction, computation), recorded=recorded(blob))


async def record_path(
    transaction: Transaction, told: ComputationToken, blob_id: int, path: str, guard: Guard
) -> ComputationToken:
    if not path.strip():
        raise InvalidRequest("blob_path is blank")
    computation = await find(transaction, told.local_computation_id, lock=True)
    repeated = isinstance(guard, Version) and computation.version == guard.number + 1
    if not holds(computation, guard) and not repeated:
        raise refusal(computation, guard)
    require_stage(computation, told)
    blob = await _output(transaction, computation, blob_id)
    if repeated:
        if blob["path"] != path:
            raise refusal(computation, guard)
        return await token(transaction, computation)
    if blob["path"] not in ("", path):
        raise PreconditionFailed(
            f"output {blob_id} of {computation.stage_name()} is recorded already", cure="Use the recorded blob."
        )
    if not blob["path"]:
        await _set(transaction, computation, blob_id, path=path)
        await _fill_slot(transaction, computation, blob_id, path)
        await note(transaction, computation, "output recorded", f"blob {blob_id}, no hash", actor=actor_of(guard))
    await change(transaction, computation, version=computation.version + 1)
    return await token(transaction, computation)


async def _fill_slot(transaction: Transaction, computation: Computation, blob_id: int, path: str) -> None:
    """What the wire's control server writes to a waiting stage is a peer's message: remember it as such."""
    laid_out = blobs(computation.seat(transaction.duchy), computation.table_stage)
    if blob_id < len(laid_out) and isinstance(slot := laid_out[blob_id].content, Slot):
        await transaction.run(
            insert(tables.slots).values(
                computation=computation.id,
                message=slot.message.value,
                sender=slot.sender.duchy,
                path=path,
                filled=transaction.now,
            )
        )


async def _output(transaction: Transaction, computation: Computation, blob_id: int) -> RowMapping:
    blob = await transaction.first(select(tables.blobs).where(*_where(computation, blob_id)))
    if blob is None or blob["dependency"] not in (OUTPUT, KEPT):
        raise PreconditionFailed(f"{computation.stage_name()} has no output blob {blob_id}")
    return blob


async def _set(transaction: Transaction, computation: Computation, blob_id: int, **columns: object) -> None:
    await transaction.run(update(tables.blobs).where(*_where(computation, blob_id)).values(**columns))


def _where(computation: Computation, blob_id: int) -> tuple[ColumnElement[bool], ...]:
    columns = tables.blobs.c
    return columns.computation == computation.id, columns.stage == computation.stage, columns.id == blob_id


def recorded(blob: RowMapping) -> RecordedOutput:
    """An output as it was recorded; without length and hash if whoever recorded it could not say."""
    digest = BlobDigest(path=blob["path"], length=blob["length"] or 0, sha256=blob["sha256"] or b"")
    figures = Figures(reach=blob["reach"], randomness_commitment=blob["randomness_commitment"] or b"")
    return RecordedOutput(blob_id=blob["id"], digest=digest, figures=figures)


def check_digest(digest: BlobDigest) -> None:
    """Raises InvalidRequest."""
    if not digest.path.strip():
        raise InvalidRequest("digest.path is blank")
    if len(digest.sha256) != SHA256_BYTES or digest.length < 0:
        raise InvalidRequest("digest.sha256 must have 32 bytes and digest.length must not be negative")


def require_stage(computation: Computation, told: ComputationToken) -> None:
    """A token whose stage is not the present one is from another time, whatever its version says."""
    asked = registry.stage_of(told.computation_stage)
    if asked != (computation.type, computation.stage):
        raise PreconditionFailed(
            f"computation {computation.global_id} is in {computation.stage_name()}, "
            f"the token says {registry.stage_name(*asked)}"
        )
