"""Data providers' certificates, from the kingdom's public API, held against the data provider's own root."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NamedTuple

from gristmill.errors import NotFound, ParticipationInvalid
from gristmill.mill.calls import calling
from gristmill.trust.certificates import parse_der, verify_leaf
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.certificates_service_pb2 import GetCertificateRequest
from wfa.measurement.api.v2alpha.certificates_service_pb2_grpc import CertificatesStub

if TYPE_CHECKING:
    import grpc
    from cryptography import x509

    from gristmill.mill.activity import Activity
    from gristmill.trust.certificates import Roots

CALLEE: Final = "the kingdom's public API"
DEADLINE: Final = 30.0
_NAME: Final = re.compile(r"dataProviders/[A-Za-z0-9._~-]+/certificates/[A-Za-z0-9._~-]+")
_UNSET: Final = Certificate.REVOCATION_STATE_UNSPECIFIED


class Verified(NamedTuple):
    """A certificate that holds, and the root that issued it."""

    certificate: x509.Certificate
    root: x509.Certificate


class Certificates:
    """Asked anew for every seed: what was valid a minute ago may be revoked by now.

    `roots` are all parties'; those in `others`, the duchies' own, issue no data provider's certificate.
    """

    def __init__(self, channel: grpc.Channel, roots: Roots, others: Collection[x509.Certificate]) -> None:
        self._stub, self._roots, self._others = CertificatesStub(channel), roots, others

    def of_data_provider(self, name: str, activity: Activity) -> Verified:
        """The certificate `dataProviders/{id}/certificates/{id}`.

        ParticipationInvalid: it does not exist, is revoked or on hold, has expired, or no trusted root has issued it.
        Unavailable: the kingdom did not say.
        """
        if not _NAME.fullmatch(name):
            raise ParticipationInvalid(f"{name[:100]!r} is not the name of a data provider's certificate")
        what = f"the certificate {name}"
        try:
            with calling(CALLEE, "GetCertificate"):
                said = activity.call(self._stub.GetCertificate, GetCertificateRequest(name=name), timeout=DEADLINE)
        except NotFound as error:
            raise ParticipationInvalid(f"the kingdom has no certificate {name}", cure="ask the provider") from error
        if said.name != name:
            raise ParticipationInvalid(f"the kingdom was asked for {what} and gave {said.name[:100]!r}")
        if said.revocation_state != _UNSET:
            state = Certificate.RevocationState.Name(said.revocation_state)
            raise ParticipationInvalid(
                f"{what} is not to be trusted: the kingdom has it as {state}",
                cure="the data provider must renew its certificate; then measure anew",
            )
        certificate = parse_der(said.x509_der, what=what)
        root = self._roots.issuer_of(certificate)
        if root is None or root in self._others:
            raise ParticipationInvalid(
                f"no data provider's root in --cert-collection-file has issued {what}",
                cure="add the data provider's root certificate to --cert-collection-file",
            )
        verify_leaf(certificate, root, what=what)
        return Verified(certificate, root)
