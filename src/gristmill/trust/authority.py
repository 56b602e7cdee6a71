"""A certificate authority for development: one root that issues a TLS and a signing certificate, then is forgotten."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gristmill.secret import Secret
from gristmill.trust.certificates import DEVELOPMENT

LIFETIME = timedelta(days=30)
_BACKDATED = timedelta(minutes=5)  # clocks of one machine's parties may differ by a little


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate and its key, in the forms in which they are written to files."""

    certificate: x509.Certificate
    key_pem: Secret
    key_der: Secret

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def certificate_der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


class Root:
    """A self-signed root of one party (EC P-256). It has no text form: nothing prints the key."""

    __slots__ = ("_key", "certificate")

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @classmethod
    def create(cls, party: str, *, start: datetime | None = None, lifetime: timedelta = LIFETIME) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"{party} {DEVELOPMENT} root")
        builder = _builder(name, name, key.public_key(), start, lifetime)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue_tls(
        self, party: str, hosts: Sequence[str], *, start: datetime | None = None, lifetime: timedelta = LIFETIME
    ) -> Leaf:
        """A certificate for both ends of TLS, for these names and 127.0.0.1."""
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(f"{party} TLS", [x509.SubjectAlternativeName(names), usages], start, lifetime)

    def issue_signing(self, party: str, *, start: datetime | None = None, lifetime: timedelta = LIFETIME) -> Leaf:
        """A consent-signaling certificate."""
        return self._issue(f"{party} consent signaling", [], start, lifetime)

    def _issue(
        self, name: str, extensions: Sequence[x509.ExtensionType], start: datetime | None, lifetime: timedelta
    ) -> Leaf:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), self.certificate.subject, key.public_key(), start, lifetime)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        pem, der = (
            Secret(key.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption()))
            for encoding in (Encoding.PEM, Encoding.DER)
        )
        return Leaf(builder.sign(self._key, hashes.SHA256()), pem, der)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime | None, lifetime: timedelta
) -> x509.CertificateBuilder:
    start = start or datetime.now(UTC) - _BACKDATED
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = (
        builder.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(start + lifetime)
    )
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
