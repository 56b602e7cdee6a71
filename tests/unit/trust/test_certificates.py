"""Bundles of roots, and leaves held against the one root that may have issued them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gristmill.errors import ConfigurationError, ParticipationInvalid
from gristmill.trust.authority import Root
from gristmill.trust.certificates import Roots, parse_der, read_certificate, subject_key_identifier, verify_leaf

ROOT = Root.create("worker1")


def certificate(
    *,
    issuer: str = "plain root",
    subject: str = "plain root",
    issuer_key: ec.EllipticCurvePrivateKey | None = None,
    authority: bool = True,
    key_identifier: bytes | None = b"\x01" * 20,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(UTC) - timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if key_identifier is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(key_identifier), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return key, builder.sign(issuer_key or key, hashes.SHA256())


def test_a_leaf_of_the_expected_root_is_accepted() -> None:
    verify_leaf(ROOT.issue_signing("worker1").certificate, ROOT.certificate)


def test_a_leaf_of_another_root_is_refused() -> None:
    other = Root.create("worker1")  # the same names, another key
    with pytest.raises(ParticipationInvalid, match="not issued by its owner's root"):
        verify_leaf(other.issue_signing("worker1").certificate, ROOT.certificate)


def test_a_leaf_that_only_claims_the_root_is_refused() -> None:
    identifier = subject_key_identifier(ROOT.certificate)
    subject = str(ROOT.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    key, _ = certificate()
    claim = x509.AuthorityKeyIdentifier(identifier, None, None)
    _, forged = certificate(issuer=subject, issuer_key=key, authority=False, extensions=((claim, False),))
    with pytest.raises(ParticipationInvalid, match="not issued by its owner's root"):
        verify_leaf(forged, ROOT.certificate)


def test_an_expired_leaf_is_refused() -> None:
    leaf = ROOT.issue_signing("worker1", start=datetime.now(UTC) - timedelta(days=2), lifetime=timedelta(days=1))
    with pytest.raises(ParticipationInvalid, match="expired at"):
        verify_leaf(leaf.certificate, ROOT.certificate)


def test_a_leaf_is_judged_at_the_given_time() -> None:
    leaf = ROOT.issue_signing("worker1").certificate
    with pytest.raises(ParticipationInvalid, match="not valid before"):
        verify_leaf(leaf, ROOT.certificate, at=datetime.now(UTC) - timedelta(days=1))


def test_a_leaf_of_an_expired_root_is_refused() -> None:
    root = Root.create("worker1", start=datetime.now(UTC) - timedelta(days=2), lifetime=timedelta(days=1))
    with pytest.raises(ParticipationInvalid, match="issued by a root that expired"):
        verify_leaf(root.issue_signing("worker1").certificate, root.certificate)


def test_a_root_is_no_leaf() -> None:
    with pytest.raises(ParticipationInvalid, match="authority's certificate"):
        verify_leaf(ROOT.certificate, ROOT.certificate)


def test_an_authority_below_the_root_is_no_leaf() -> None:
    key, root = certificate()
    _, intermediate = certificate(subject="intermediate", issuer_key=key, key_identifier=b"\x02" * 20)
    with pytest.raises(ParticipationInvalid, match="authority's certificate"):
        verify_leaf(intermediate, root)


def test_an_unknown_critical_extension_is_refused() -> None:
    key, root = certificate()
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    _, leaf = certificate(subject="leaf", issuer_key=key, authority=False, extensions=((unknown, True),))
    with pytest.raises(ParticipationInvalid, match=r"1\.2\.3\.4"):
        verify_leaf(leaf, root)


def test_bytes_that_are_no_certificate_are_refused_by_name() -> None:
    with pytest.raises(ParticipationInvalid, match="the certificate of duchy worker2 is not a DER certificate"):
        parse_der(b"\x30\x03abc", what="the certificate of duchy worker2")


def resigned(old: bytes, new: bytes) -> tuple[bytes, x509.Certificate]:
    """A leaf with `old` replaced by `new` of the same length, properly signed by its root; and the root."""
    key, root = certificate()
    usage = x509.KeyUsage(True, *[False] * 8)
    _, leaf = certificate(subject="leaf", issuer_key=key, authority=False, extensions=((usage, True),))
    assert old in leaf.tbs_certificate_bytes
    signed = leaf.tbs_certificate_bytes.replace(old, new)
    signature = b"\x00" + key.sign(signed, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    content = signed + algorithm + b"\x03" + bytes([len(signature)]) + signature
    return b"\x30\x82" + len(content).to_bytes(2, "big") + content, root


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a003020102", "a003020105"),  # version 6
        ("06082a8648ce3d030107", "06082a8648ce3d030163"),  # a key on a curve that there is not
        ("0603551d0f", "0603551d13"),  # an extension twice
    ],
    ids=["version", "curve", "extension"],
)
def test_a_certificate_that_its_owner_made_up_is_refused_and_not_stumbled_over(old: str, new: str) -> None:
    der, root = resigned(bytes.fromhex(old), bytes.fromhex(new))
    with pytest.raises(ParticipationInvalid, match="the certificate of worker1 is"):
        verify_leaf(parse_der(der, what="the certificate of worker1"), root, what="the certificate of worker1")


def test_roots_are_found_by_their_key_identifier() -> None:
    other = Root.create("worker2")
    roots = Roots([ROOT.certificate, other.certificate, ROOT.certificate], allow_development=True)
    assert len(roots) == 2
    assert roots.of(subject_key_identifier(other.certificate) or b"", owner="worker2") == other.certificate
    assert roots.issuer_of(ROOT.issue_signing("worker1").certificate) == ROOT.certificate
    assert roots.without([ROOT.certificate]) == [other.certificate]


def test_a_configured_root_that_is_missing_is_named() -> None:
    roots = Roots([ROOT.certificate], allow_development=True)
    with pytest.raises(ConfigurationError, match="abcd of worker9"):
        roots.of(b"\xab\xcd", owner="worker9")


def test_two_roots_with_one_key_identifier_are_refused() -> None:
    _, one = certificate()
    _, two = certificate(subject="other root", issuer="other root")
    with pytest.raises(ConfigurationError, match="two roots have the key identifier"):
        Roots([one, two], allow_development=False)


def test_a_root_without_a_key_identifier_is_refused() -> None:
    _, root = certificate(key_identifier=None)
    with pytest.raises(ConfigurationError, match="no subject key identifier"):
        Roots([root], allow_development=False)


def test_a_certificate_with_another_authority_is_no_root() -> None:
    _, root = certificate(extensions=((x509.AuthorityKeyIdentifier(b"\x09" * 20, None, None), False),))
    with pytest.raises(ConfigurationError, match="names another authority"):
        Roots([root], allow_development=False)


@pytest.mark.parametrize("leaf", [certificate(authority=False)[1], certificate(issuer="somebody else")[1]])
def test_a_certificate_that_is_not_a_self_signed_authority_is_no_root(leaf: x509.Certificate) -> None:
    with pytest.raises(ConfigurationError, match="not a self-signed certificate authority"):
        Roots([leaf], allow_development=False)


def test_development_roots_are_refused_unless_allowed(tmp_path: Path) -> None:
    path = tmp_path / "roots.pem"
    path.write_bytes(ROOT.pem)
    assert len(Roots.read(path, allow_development=True)) == 1
    with pytest.raises(ConfigurationError, match="--allow-development-certificates"):
        Roots.read(path, allow_development=False)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"])
def test_a_bundle_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "roots.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"roots\.pem"):
        Roots.read(path, allow_development=True)


def test_certificates_are_read_from_pem_and_der(tmp_path: Path) -> None:
    for encoding in (Encoding.PEM, Encoding.DER):
        path = tmp_path / str(encoding)
        path.write_bytes(ROOT.certificate.public_bytes(encoding))
        assert read_certificate(path) == ROOT.certificate
