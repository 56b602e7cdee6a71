"""Certificates of parties that are not named as development ones: a root each, a TLS leaf, a signing leaf."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass(frozen=True)
class Identity:
    """A party's files."""

    name: str
    root: x509.Certificate
    tls_cert: Path
    tls_key: Path
    signing_cert: Path
    signing_key: Path
    root_pem: bytes

    @property
    def skid(self) -> bytes:
        return self.root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def make(directory: Path, name: str) -> Identity:
    root_key = ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name} root")])
    root = (
        _builder(root_name, root_name, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    files = [directory / f"{name}_{ending}" for ending in ("tls.pem", "tls.key", "cs_cert.der", "cs_private.der")]
    for certificate_file, key_file, encoding in ((*files[:2], Encoding.PEM), (*files[2:], Encoding.DER)):
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        leaf = (
            _builder(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), root_name, key)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(root_key, hashes.SHA256())
        )
        certificate_file.write_bytes(leaf.public_bytes(encoding))
        key_file.write_bytes(key.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption()))
        key_file.chmod(0o600)
    return Identity(name, root, *files, root.public_bytes(Encoding.PEM))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
