"""Data providers' certificates from the kingdom: asked anew each time, and held against all that can be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from gristmill.errors import ParticipationInvalid, Unavailable
from gristmill.mill.activity import Activity
from gristmill.mill.certificates import Certificates
from gristmill.trust.authority import Root
from gristmill.trust.certificates import Roots
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.certificates_service_pb2_grpc import (
    CertificatesServicer,
    add_CertificatesServicer_to_server,
)

NAME = "dataProviders/edp1/certificates/one"
ROOT, DUCHY, STRANGER = Root.create("edp1"), Root.create("worker1"), Root.create("stranger")
VALID = ROOT.issue_signing("edp1").certificate_der


class Kingdom(CertificatesServicer):
    def __init__(self, said: Certificate | grpc.StatusCode) -> None:
        self.said, self.asked = said, 0

    def GetCertificate(self, request: Any, context: grpc.ServicerContext) -> Certificate:  # noqa: N802
        self.asked += 1
        if isinstance(self.said, grpc.StatusCode):
            context.abort(self.said, "as the test wants it")
        return self.said


@contextmanager
def certificates(said: Certificate | grpc.StatusCode) -> Iterator[tuple[Certificates, Kingdom]]:
    kingdom, server = Kingdom(said), grpc.server(ThreadPoolExecutor(1))
    add_CertificatesServicer_to_server(kingdom, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    roots = Roots([ROOT.certificate, DUCHY.certificate], allow_development=True)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Certificates(channel, roots, [DUCHY.certificate]), kingdom
    finally:
        server.stop(0).wait()


def said(der: bytes = VALID, **fields: Any) -> Certificate:
    return Certificate(**{"name": NAME, "x509_der": der, **fields})


def expired() -> bytes:
    start = datetime.now(UTC) - timedelta(days=2)
    return ROOT.issue_signing("edp1", start=start, lifetime=timedelta(days=1)).certificate_der


def test_a_valid_certificate_comes_with_the_root_that_issued_it_and_is_asked_anew_each_time() -> None:
    with certificates(said()) as (known, kingdom):
        for _ in range(2):
            certificate, root = known.of_data_provider(NAME, Activity())
        assert certificate.subject.rfc4514_string() == "CN=edp1 consent signaling"
        assert root == ROOT.certificate
        assert kingdom.asked == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said(revocation_state=Certificate.REVOKED), "the kingdom has it as REVOKED"),
        (said(revocation_state=Certificate.HOLD), "the kingdom has it as HOLD"),
        (said(expired()), "expired at"),
        (said(STRANGER.issue_signing("edp1").certificate_der), "no data provider's root"),
        (said(DUCHY.issue_signing("edp1").certificate_der), "no data provider's root"),
        (said(ROOT.certificate.public_bytes(Encoding.DER)), "no data provider's root"),
        (said(b"no certificate"), "is not a DER certificate"),
        (said(b""), "is not a DER certificate"),
        (said(name="dataProviders/edp2/certificates/one"), "gave 'dataProviders/edp2"),
        (grpc.StatusCode.NOT_FOUND, "the kingdom has no certificate"),
    ],
)  # fmt: skip
def test_a_certificate_that_does_not_hold_is_refused(answer: Certificate | grpc.StatusCode, reason: str) -> None:
    with certificates(answer) as (known, _), pytest.raises(ParticipationInvalid) as refused:
        known.of_data_provider(NAME, Activity())
    assert reason in refused.value.message


@pytest.mark.parametrize("name", ["", "duchies/worker1/certificates/one", f"{NAME}/x", "dataProviders/../certificates"])
def test_only_a_data_providers_certificate_is_asked_for(name: str) -> None:
    with certificates(said()) as (known, kingdom), pytest.raises(ParticipationInvalid, match="is not the name"):
        known.of_data_provider(name, Activity())
    assert kingdom.asked == 0


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_a_kingdom_that_does_not_answer_is_asked_again_later(status: grpc.StatusCode) -> None:
    with certificates(status) as (known, _), pytest.raises(Unavailable):
        known.of_data_provider(NAME, Activity())
