"""A computation begins."""

from __future__ import annotations

import re
import secrets

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from gristmill.errors import InvalidRequest
from gristmill.protocols import registry
from gristmill.secret import Secret
from gristmill.store import private_keys, tables
from gristmill.store.journal import note
from gristmill.store.refusals import ComputationExists, InitialStageInvalid
from gristmill.store.rows import add_stage, find, split_requisition, token
from gristmill.store.sealing import split
from gristmill.store.transaction import Transaction
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2 import CreateComputationRequest
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionEntry

# It becomes part of blob keys.
GLOBAL_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


async def create(
    transaction: Transaction, request: CreateComputationRequest, private_keyset: Secret | None = None
) -> ComputationToken:
    global_id, details = request.global_computation_id, request.computation_details
    if not GLOBAL_ID.fullmatch(global_id):
        raise InvalidRequest(f"global_computation_id {global_id!r} is not made of letters, digits, '-', '_' and '.'")
    first_stage = _first_stage(request)
    registry.seat(details, transaction.duchy)
    exists = select(tables.computations.c.id).where(tables.computations.c.global_id == global_id)
    if await transaction.first(exists):
        raise ComputationExists(global_id)

    computation_id = secrets.randbelow(2**63 - 1) + 1
    wrapped_key = bytes(transaction.sealer.new_computation_key())
    open_part, secret_part = split(details, registry.SECRET_FIELDS)
    sealed, secret = None, Secret(secret_part.SerializeToString())
    if secret:
        sealed = transaction.sealer.seal(
            wrapped_key, secret, table="computations", row=str(computation_id), column="sealed_details"
        )
    try:
        await transaction.run(
            insert(tables.computations).values(
                id=computation_id,
                global_id=global_id,
                type=request.computation_type,
                stage=first_stage,
                version=1,
                fence=0,
                lease_expires=transaction.now,
                details=open_part.SerializeToString(),
                sealed_details=sealed,
                sealed_private_keyset=private_keys.seal(transaction, computation_id, wrapped_key, private_keyset),
                wrapped_key=wrapped_key,
                created=transaction.now,
                updated=transaction.now,
            )
        )
    except IntegrityError:
        # Another herald was first, after we looked.
        raise ComputationExists(global_id) from None
    computation = await find(transaction, computation_id)
    stage_details = request.stage_details.SerializeToString()
    await add_stage(transaction, computation, stage_details, next_attempt=1)
    for entry in request.requisitions:
        await _add_requisition(transaction, computation_id, wrapped_key, entry)
    await note(transaction, computation, "created", f"{computation.protocol.name}, {computation.role.name}")
    return await token(transaction, computation)


def _first_stage(request: CreateComputationRequest) -> int:
    details: ComputationDetails = request.computation_details
    protocol, role = registry.of(details), registry.role(details)
    if request.computation_type != protocol.number:
        raise InvalidRequest(f"computation_type is {request.computation_type}, but the details are {protocol.name}'s")
    first = protocol.walk(role)[0]
    if request.HasField("computation_stage"):
        asked = registry.stage_of(request.computation_stage)
        if asked != (protocol.number, first.value):
            name = registry.stage_name(*asked)
            raise InitialStageInvalid(
                f"a computation cannot begin in {name}",
                cure=f"It begins in {first.name}; leave computation_stage unset.",
                metadata={"protocol": protocol.name, "computation_stage": name},
            )
    number: int = first.value
    return number


async def _add_requisition(
    transaction: Transaction, computation_id: int, wrapped_key: bytes, entry: RequisitionEntry
) -> None:
    external_id, fingerprint = entry.key.external_requisition_id, entry.key.requisition_fingerprint
    if not external_id:
        raise InvalidRequest("requisitions.key.external_requisition_id is not set")
    columns = tables.requisitions.c
    taken = select(columns.computation).where(columns.external_id == external_id, columns.fingerprint == fingerprint)
    if await transaction.first(taken):
        raise InvalidRequest(f"requisition {external_id} belongs to another computation or is given twice")
    await transaction.run(
        insert(tables.requisitions).values(
            computation=computation_id,
            external_id=external_id,
            fingerprint=fingerprint,
            **split_requisition(transaction, computation_id, wrapped_key, external_id, entry.value),
        )
    )
