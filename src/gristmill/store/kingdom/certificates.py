"""Certificates of all parties, and what a revocation does to the measurements that rely on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, or_, select, update

from gristmill.errors import AlreadyExists, NotFound, PreconditionFailed
from gristmill.store.kingdom import measurements
from gristmill.store.kingdom.database import Transaction
from gristmill.store.kingdom.records import OPEN_STATES, CertificateRecord
from gristmill.store.kingdom.tables import certificates, participants, requisitions
from gristmill.store.kingdom.tables import measurements as measurements_table
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement


async def add(transaction: Transaction, record: CertificateRecord) -> None:
    """Record a new certificate. Raises AlreadyExists if its parent has one with the same subject key identifier."""
    same = select(certificates.c.name).where(
        certificates.c.parent == record.parent,
        or_(
            certificates.c.name == record.name,
            certificates.c.subject_key_identifier == record.subject_key_identifier,
        ),
    )
    if (await transaction.connection.execute(same)).first() is not None:
        raise AlreadyExists(f"{record.parent} already has a certificate with that subject key identifier or name")
    await transaction.connection.execute(
        insert(certificates).values(
            name=record.name,
            parent=record.parent,
            x509_der=record.x509_der,
            subject_key_identifier=record.subject_key_identifier,
            revocation_state=record.revocation_state,
        )
    )


async def find(transaction: Transaction, name: str) -> CertificateRecord | None:
    row = (await transaction.connection.execute(select(certificates).where(certificates.c.name == name))).first()
    return _record(row) if row is not None else None


async def get(transaction: Transaction, name: str) -> CertificateRecord:
    """The certificate of that name; raises NotFound."""
    record = await find(transaction, name)
    if record is None:
        raise NotFound(f"no certificate {name}", cure="Check the name against the consortium's certificates.")
    return record


async def usable(transaction: Transaction, name: str) -> CertificateRecord:
    """The certificate of that name, to rely on; raises PreconditionFailed if it is unknown, held or revoked."""
    record = await find(transaction, name)
    if record is None:
        raise PreconditionFailed(f"no certificate {name}", cure="Register the certificate at the kingdom first.")
    if record.revocation_state != Certificate.REVOCATION_STATE_UNSPECIFIED:
        state = Certificate.RevocationState.Name(record.revocation_state)
        raise PreconditionFailed(f"certificate {name} is {state}", cure="Use a certificate that is not revoked.")
    return record


async def page(
    transaction: Transaction, parent: str, *, identifiers: Sequence[bytes], after: str, size: int
) -> list[CertificateRecord]:
    """Up to `size` certificates of a parent in the order of their names, from the one after `after`."""
    query = select(certificates).where(certificates.c.parent == parent, certificates.c.name > after)
    if identifiers:
        query = query.where(certificates.c.subject_key_identifier.in_(list(identifiers)))
    rows = await transaction.connection.execute(query.order_by(certificates.c.name).limit(size))
    return [_record(row) for row in rows]


async def set_revocation_state(
    transaction: Transaction, name: str, state: Certificate.RevocationState.ValueType
) -> CertificateRecord:
    """Revoke, hold or release a certificate. Every open measurement that relies on a revoked or held one fails.

    Raises NotFound, or PreconditionFailed for a certificate that is revoked already (a revocation is final).
    """
    record = await get(transaction, name)
    if record.revocation_state == Certificate.REVOKED:
        raise PreconditionFailed(f"certificate {name} is revoked, which is final")
    if state == Certificate.REVOCATION_STATE_UNSPECIFIED and record.revocation_state != Certificate.HOLD:
        raise PreconditionFailed(f"certificate {name} is not on hold")
    await transaction.connection.execute(
        update(certificates).where(certificates.c.name == name).values(revocation_state=state)
    )
    if state != Certificate.REVOCATION_STATE_UNSPECIFIED:
        for measurement in await _relying(transaction, name):
            await measurements.fail(
                transaction,
                measurement,
                Measurement.Failure.CERTIFICATE_REVOKED,
                f"certificate {name} is {Certificate.RevocationState.Name(state)}",
            )
    return await get(transaction, name)


async def _relying(transaction: Transaction, name: str) -> list[int]:
    by_duchy = select(participants.c.measurement).where(participants.c.certificate == name)
    by_provider = select(requisitions.c.measurement).where(requisitions.c.data_provider_certificate == name)
    query = select(measurements_table.c.id).where(
        measurements_table.c.state.in_(OPEN_STATES),
        or_(
            measurements_table.c.consumer_certificate == name,
            measurements_table.c.id.in_(by_duchy),
            measurements_table.c.id.in_(by_provider),
        ),
    )
    return list((await transaction.connection.execute(query)).scalars())


def _record(row: Row[Any]) -> CertificateRecord:
    return CertificateRecord(
        name=row.name,
        parent=row.parent,
        x509_der=row.x509_der,
        subject_key_identifier=row.subject_key_identifier,
        revocation_state=row.revocation_state,
    )
