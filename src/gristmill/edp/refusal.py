"""Saying no to a requisition: with which justification, and why."""

from __future__ import annotations

from collections.abc import Mapping

from gristmill.errors import ParticipationInvalid
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition

Refusal = Requisition.Refusal


class Declined(Exception):  # it is an answer, not an error
    """The requisition must be refused, for good."""

    def __init__(self, justification: Requisition.Refusal.Justification.ValueType, message: str) -> None:
        super().__init__(message)
        self.refusal = Requisition.Refusal(justification=justification, message=message)


def valid(certificates: Mapping[str, Certificate], name: str) -> bytes:
    """The DER of a certificate that is neither unknown nor revoked nor on hold; ParticipationInvalid otherwise."""
    certificate = certificates.get(name)
    if certificate is None or certificate.revocation_state != Certificate.REVOCATION_STATE_UNSPECIFIED:
        raise ParticipationInvalid(f"certificate {name} is unknown, revoked or on hold")
    return certificate.x509_der
