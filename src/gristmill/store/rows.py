"""A computation's rows: found, locked, changed, and told as the wire's token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from gristmill.errors import InvalidRequest
from gristmill.protocols import registry
from gristmill.protocols.derive import Dependency
from gristmill.protocols.table import Protocol, Role, Seat, Stage
from gristmill.secret import Secret
from gristmill.store import tables
from gristmill.store.refusals import ComputationNotFound
from gristmill.store.sealing import join, split
from gristmill.store.transaction import Transaction, timestamp
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails, ComputationStageDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.requisition_details_pb2 import ExternalRequisitionKey, RequisitionDetails

REQUISITION_SECRETS = (("nonce",),)
KEPT = Dependency.KEPT.value
"""Of blobs that the wire's token does not list."""


@dataclass(slots=True)
class Computation:
    """A row of `computations`, with the details but without their secret fields."""

    id: int
    global_id: str
    type: int
    stage: int
    version: int
    fence: int
    owner: str | None
    lease_expires: int | None
    lease_renewed: int | None
    progress: bytes | None
    details: ComputationDetails
    sealed_details: bytes | None
    sealed_private_keyset: bytes | None
    wrapped_key: bytes | None
    created: int
    updated: int

    @property
    def protocol(self) -> Protocol:
        return registry.of(self.details)

    @property
    def role(self) -> Role:
        return registry.role(self.details)

    @property
    def table_stage(self) -> Stage:
        return self.protocol.stages(self.stage)

    @property
    def ended(self) -> bool:
        return self.stage == registry.complete(self.type)

    def seat(self, duchy: str) -> Seat:
        """Our place in the ring; before the participants are known, in a ring of our own."""
        return registry.seat_so_far(self.details, duchy)

    def stage_name(self, number: int | None = None) -> str:
        return registry.stage_name(self.type, self.stage if number is None else number)


Key = int | str | ExternalRequisitionKey
"""Local ID, global ID, or one of the requisitions."""


async def find(transaction: Transaction, key: Key, *, lock: bool = False) -> Computation:
    """Raises ComputationNotFound; InvalidRequest for an empty key, or one that no database takes as text."""
    if "\0" in (key.external_requisition_id if isinstance(key, ExternalRequisitionKey) else str(key)):
        raise InvalidRequest("the key has a zero character")
    statement = select(tables.computations)
    if isinstance(key, int):
        statement = statement.where(tables.computations.c.id == key)
    elif isinstance(key, str):
        if not key:
            raise InvalidRequest("the key is not set")
        statement = statement.where(tables.computations.c.global_id == key)
    else:
        of_requisition = select(tables.requisitions.c.computation).where(
            tables.requisitions.c.external_id == key.external_requisition_id,
            tables.requisitions.c.fingerprint == key.requisition_fingerprint,
        )
        statement = statement.where(tables.computations.c.id.in_(of_requisition))
    row = await transaction.first(statement.with_for_update() if lock else statement)
    if row is None:
        name = f"of requisition {key.external_requisition_id}" if isinstance(key, ExternalRequisitionKey) else str(key)
        raise ComputationNotFound(name)
    return read(row)


def read(row: RowMapping) -> Computation:
    return Computation(**{**row, "details": ComputationDetails.FromString(row["details"])})


async def change(transaction: Transaction, computation: Computation, **columns: Any) -> None:
    """Write columns of the computation; the object follows."""
    columns["updated"] = transaction.now
    where = tables.computations.c.id == computation.id
    await transaction.run(update(tables.computations).where(where).values(**columns))
    for name, value in columns.items():
        setattr(computation, name, ComputationDetails.FromString(value) if name == "details" else value)


async def store_details(transaction: Transaction, computation: Computation, details: ComputationDetails) -> None:
    """Write the details, their secret fields sealed. A secret that the new details lack stays as it was."""
    open_part, secret_part = split(details, registry.SECRET_FIELDS)
    columns: dict[str, Any] = {"details": open_part.SerializeToString()}
    if secret := Secret(secret_part.SerializeToString()):
        columns["sealed_details"] = transaction.sealer.seal(
            computation.wrapped_key, secret, table="computations", row=str(computation.id), column="sealed_details"
        )
    await change(transaction, computation, **columns)


async def add_stage(
    transaction: Transaction, computation: Computation, details: bytes = b"", *, next_attempt: int
) -> None:
    await transaction.run(
        insert(tables.stages).values(
            computation=computation.id,
            stage=computation.stage,
            details=details,
            entered=transaction.now,
            next_attempt=next_attempt,
        )
    )


async def stage_row(transaction: Transaction, computation: Computation, stage: int) -> RowMapping | None:
    columns = tables.stages.c
    return await transaction.first(
        select(tables.stages).where(columns.computation == computation.id, columns.stage == stage)
    )


async def change_stage(transaction: Transaction, computation: Computation, stage: int, **columns: Any) -> None:
    where = (tables.stages.c.computation == computation.id) & (tables.stages.c.stage == stage)
    await transaction.run(update(tables.stages).where(where).values(**columns))


async def blobs_of(transaction: Transaction, computation: Computation) -> list[RowMapping]:
    """Of the present stage, by ID."""
    columns = tables.blobs.c
    mine = select(tables.blobs).where(columns.computation == computation.id, columns.stage == computation.stage)
    return await transaction.all(mine.order_by(columns.id))


async def token(transaction: Transaction, computation: Computation) -> ComputationToken:
    """What the wire knows of a computation."""
    stage = await stage_row(transaction, computation, computation.stage)
    told = ComputationToken(
        local_computation_id=computation.id,
        global_computation_id=computation.global_id,
        computation_stage=registry.wire_stage_of(computation.type, computation.stage),
        version=computation.version,
        computation_details=_whole_details(transaction, computation),
        lock_owner=computation.owner or "",
        lock_expiration_time=timestamp(computation.lease_expires),
    )
    if stage is not None:
        told.attempt = stage["next_attempt"] - 1
        if stage["details"]:
            told.stage_specific_details.CopyFrom(ComputationStageDetails.FromString(stage["details"]))
    for blob in await blobs_of(transaction, computation):
        if blob["dependency"] == KEPT:
            continue
        told.blobs.add(dependency_type=blob["dependency"], path=blob["path"], blob_id=blob["id"])
    for row in await requisition_rows(transaction, computation):
        told.requisitions.add(
            external_key=ExternalRequisitionKey(
                external_requisition_id=row["external_id"], requisition_fingerprint=row["fingerprint"]
            ),
            details=requisition_details(transaction, computation, row),
            path=row["path"],
        )
    return told


async def requisition_rows(transaction: Transaction, computation: Computation) -> list[RowMapping]:
    columns = tables.requisitions.c
    mine = select(tables.requisitions).where(columns.computation == computation.id)
    return await transaction.all(mine.order_by(columns.external_id, columns.fingerprint))


def requisition_details(transaction: Transaction, computation: Computation, row: RowMapping) -> RequisitionDetails:
    """With the nonce, unless the computation's key is destroyed."""
    details = RequisitionDetails.FromString(row["details"])
    if row["sealed_details"] is None or computation.wrapped_key is None:
        return details
    secret = transaction.sealer.unseal(
        computation.wrapped_key,
        row["sealed_details"],
        table="requisitions",
        row=f"{computation.id}/{row['external_id']}",
        column="sealed_details",
    )
    return join(details, secret.expose())


def split_requisition(
    transaction: Transaction, computation_id: int, wrapped_key: bytes, external_id: str, details: RequisitionDetails
) -> dict[str, bytes | None]:
    """The columns of a requisition's details."""
    open_part, secret_part = split(details, REQUISITION_SECRETS)
    secret, sealed = Secret(secret_part.SerializeToString()), None
    if secret:
        sealed = transaction.sealer.seal(
            wrapped_key, secret, table="requisitions", row=f"{computation_id}/{external_id}", column="sealed_details"
        )
    return {"details": open_part.SerializeToString(), "sealed_details": sealed}


def _whole_details(transaction: Transaction, computation: Computation) -> ComputationDetails:
    details = ComputationDetails()
    details.CopyFrom(computation.details)
    if computation.sealed_details is None or computation.wrapped_key is None:
        return details
    secret = transaction.sealer.unseal(
        computation.wrapped_key,
        computation.sealed_details,
        table="computations",
        row=str(computation.id),
        column="sealed_details",
    )
    return join(details, secret.expose())
