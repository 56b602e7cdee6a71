"""Certificates of all parties (public API, section 3): every party may read them all and change its own."""

from __future__ import annotations

import base64
import re
from typing import Any

import grpc.aio

from gristmill.errors import InvalidRequest, ParticipationInvalid
from gristmill.kingdom import messages, names, pages
from gristmill.kingdom.registry import Registry
from gristmill.store.kingdom import certificates
from gristmill.store.kingdom.database import KingdomStore, random_identifier
from gristmill.store.kingdom.records import CertificateRecord
from gristmill.trust.certificates import parse_der, subject_key_identifier, verify_leaf
from wfa.measurement.api.v2alpha import certificates_service_pb2 as wire
from wfa.measurement.api.v2alpha import certificates_service_pb2_grpc as wire_grpc
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate

Context = grpc.aio.ServicerContext[Any, Any]


class Certificates(wire_grpc.CertificatesServicer):
    """Consent-signaling certificates. A revocation fails every open measurement that relies on the certificate."""

    def __init__(self, store: KingdomStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    async def GetCertificate(  # noqa: N802
        self, request: wire.GetCertificateRequest, context: Context
    ) -> Certificate:
        self._registry.caller(context)
        names.parse_certificate(request.name)
        async with self._store.reading() as transaction:
            return messages.certificate(await certificates.get(transaction, request.name))

    async def ListCertificates(  # noqa: N802
        self, request: wire.ListCertificatesRequest, context: Context
    ) -> wire.ListCertificatesResponse:
        self._registry.caller(context)
        size = pages.size(request.page_size)
        async with self._store.reading() as transaction:
            found = await certificates.page(
                transaction,
                request.parent,
                identifiers=request.filter.subject_key_identifiers,
                after=_after(request.page_token),
                size=size,
            )
        token = _token(found[-1].name) if len(found) == size else ""
        return wire.ListCertificatesResponse(
            certificates=[messages.certificate(record) for record in found], next_page_token=token
        )

    async def CreateCertificate(  # noqa: N802
        self, request: wire.CreateCertificateRequest, context: Context
    ) -> Certificate:
        self._registry.require(context, request.parent)
        record = record_of(self._registry, request.parent, request.certificate.x509_der)
        async with self._store.transaction() as transaction:
            await certificates.add(transaction, record)
        return messages.certificate(record)

    async def RevokeCertificate(  # noqa: N802
        self, request: wire.RevokeCertificateRequest, context: Context
    ) -> Certificate:
        if request.revocation_state not in (Certificate.HOLD, Certificate.REVOKED):
            raise InvalidRequest("revocation_state must be HOLD or REVOKED")
        return await self._set(request.name, request.revocation_state, context)

    async def ReleaseCertificateHold(  # noqa: N802
        self, request: wire.ReleaseCertificateHoldRequest, context: Context
    ) -> Certificate:
        return await self._set(request.name, Certificate.REVOCATION_STATE_UNSPECIFIED, context)

    async def _set(self, name: str, state: Certificate.RevocationState.ValueType, context: Context) -> Certificate:
        owner, _ = names.parse_certificate(name)
        self._registry.require(context, owner)
        async with self._store.transaction() as transaction:
            return messages.certificate(await certificates.set_revocation_state(transaction, name, state))


def record_of(registry: Registry, parent: str, x509_der: bytes, *, name: str = "") -> CertificateRecord:
    """A certificate that `parent`'s root has issued, to be registered; InvalidRequest if it has not."""
    try:
        certificate = parse_der(x509_der, what="certificate.x509_der")
        verify_leaf(certificate, registry.roots[parent], what="certificate.x509_der")
    except ParticipationInvalid as error:
        raise InvalidRequest(error.message, cure=error.cure) from None
    identifier = subject_key_identifier(certificate)
    if not identifier:
        raise InvalidRequest("certificate.x509_der has no subject key identifier")
    return CertificateRecord(
        name=name or f"{parent}/certificates/{names.to_text(random_identifier())}",
        parent=parent,
        x509_der=x509_der,
        subject_key_identifier=identifier,
        revocation_state=Certificate.REVOCATION_STATE_UNSPECIFIED,
    )


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _after(token: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", token):
        raise InvalidRequest("page_token is not one that this kingdom gave")
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        raise InvalidRequest("page_token is not one that this kingdom gave") from None
