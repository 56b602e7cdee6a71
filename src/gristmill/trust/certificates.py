"""X.509: the bundle of trusted roots, and a leaf held against the one root that its owner is expected to have.

A path has exactly one certificate: the leaf is issued by the root itself. Roots are found by their subject key
identifier, but nothing is believed before the root's key has verified the leaf's signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from gristmill.errors import IdentityUnusable, ParticipationInvalid

DEVELOPMENT = "INSECURE development"
"""Part of the common name of every root that `gristmill keys` makes."""

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_KNOWN_CRITICAL = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}

_MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What reading a certificate's parts raises for one that its owner has made up: parts are parsed when asked for."""


def parse_der(der: bytes, *, what: str) -> x509.Certificate:
    """A certificate from a message; `ParticipationInvalid` names `what` when it is none."""
    try:
        return x509.load_der_x509_certificate(der)
    except _MALFORMED:
        raise ParticipationInvalid(f"{what} is not a DER certificate", cure="ask its owner for a valid one") from None


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM or DER file of the configuration, at least one."""
    try:
        content = path.read_bytes()
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except (OSError, ValueError) as error:
        raise IdentityUnusable(
            f"the certificate {path} cannot be read: {_reason(error)}", cure="give a PEM or DER certificate"
        ) from None


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate of such a file."""
    return read_certificates(path)[0]


def subject_key_identifier(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return None


def authority_key_identifier(certificate: x509.Certificate) -> bytes | None:
    """The `keyIdentifier` member of the extension; issuer name and serial number are not looked at."""
    try:
        return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError):
        return None


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def is_development(certificate: x509.Certificate) -> bool:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return any(DEVELOPMENT in str(name.value) for name in names)


class Roots:
    """The trusted roots of all parties, each known by its key identifier."""

    def __init__(self, certificates: Iterable[x509.Certificate], *, allow_development: bool, origin: str = "") -> None:
        """Raises `ConfigurationError` for a certificate that is no root, and for two with one key identifier."""
        where = f" in {origin}" if origin else ""
        self._roots: dict[bytes, x509.Certificate] = {}
        for certificate in certificates:
            name = certificate.subject.rfc4514_string() or "(no subject)"
            key_identifier = _root_key_identifier(certificate, f"the root {name}{where}")
            known = self._roots.setdefault(key_identifier, certificate)
            if known != certificate:
                raise IdentityUnusable(
                    f"two roots{where} have the key identifier {key_identifier.hex()}: {name} and "
                    f"{known.subject.rfc4514_string()}",
                    cure="find out which party's root is genuine and remove the other",
                )
            if is_development(certificate) and not allow_development:
                raise IdentityUnusable(
                    f"the root {name}{where} is a development root, whose keys protect nothing",
                    cure="use real roots, or start with --allow-development-certificates on your own machine",
                )
        if not self._roots:
            raise IdentityUnusable(
                f"there is no root certificate{where}", cure="give a PEM bundle of root certificates"
            )

    @classmethod
    def read(cls, path: Path, *, allow_development: bool) -> Roots:
        """Read a PEM bundle (`--cert-collection-file`)."""
        return cls(read_certificates(path), allow_development=allow_development, origin=str(path))

    def __iter__(self) -> Iterator[x509.Certificate]:
        return iter(self._roots.values())

    def __len__(self) -> int:
        return len(self._roots)

    def get(self, key_identifier: bytes) -> x509.Certificate | None:
        return self._roots.get(key_identifier)

    def of(self, key_identifier: bytes, *, owner: str) -> x509.Certificate:
        """The root that `owner` is configured to have; `ConfigurationError` if the bundle lacks it."""
        root = self.get(key_identifier)
        if root is None:
            raise IdentityUnusable(
                f"the bundle of roots has no certificate with the key identifier {key_identifier.hex()} of {owner}",
                cure=f"add the root certificate of {owner} to --cert-collection-file",
            )
        return root

    def without(self, others: Iterable[x509.Certificate]) -> list[x509.Certificate]:
        """The roots that are none of `others`: those that a channel to the kingdom may trust, given the duchies'."""
        excluded = set(others)
        return [root for root in self if root not in excluded]

    def issuer_of(self, certificate: x509.Certificate) -> x509.Certificate | None:
        """The root that a certificate *claims* as its issuer; nothing is verified yet."""
        key_identifier = authority_key_identifier(certificate)
        return None if key_identifier is None else self.get(key_identifier)


def _root_key_identifier(certificate: x509.Certificate, what: str) -> bytes:
    key_identifier = subject_key_identifier(certificate)
    cure = "give each party's self-signed root certificate, made with a subject key identifier"
    if not key_identifier:
        raise IdentityUnusable(f"{what} has no subject key identifier", cure=cure)
    if authority_key_identifier(certificate) not in (None, key_identifier):
        raise IdentityUnusable(f"{what} names another authority: it is not a root", cure=cure)
    try:
        certificate.verify_directly_issued_by(certificate)
        authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        authority = False
    if not authority:
        raise IdentityUnusable(f"{what} is not a self-signed certificate authority", cure=cure)
    return key_identifier


def verify_leaf(
    leaf: x509.Certificate, root: x509.Certificate, *, what: str = "the certificate", at: datetime | None = None
) -> None:
    """Hold `leaf` against the one root that may have issued it (RFC 5280, a path of exactly one certificate).

    Checks the signature with the root's key, the names, both validity periods at `at` (now), key identifier,
    constraints, usage and algorithms. Raises `ParticipationInvalid` that says what is wrong with `what`. Revocation is
    not checked.
    """
    cure = "ask its owner for a certificate that is issued by its own root and valid now"

    def refuse(reason: str) -> ParticipationInvalid:
        return ParticipationInvalid(f"{what} ({leaf.subject.rfc4514_string()}) {reason}", cure=cure)

    try:
        _hold_against(leaf, root, at or datetime.now(UTC), refuse)
    except _MALFORMED:
        raise ParticipationInvalid(f"{what} is malformed, or has a key of an unknown kind", cure=cure) from None


def _hold_against(
    leaf: x509.Certificate, root: x509.Certificate, now: datetime, refuse: Callable[[str], ParticipationInvalid]
) -> None:
    for certificate, whose in ((leaf, ""), (root, "was issued by a root that ")):
        if now < certificate.not_valid_before_utc:
            raise refuse(f"{whose}is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
        if now > certificate.not_valid_after_utc:
            raise refuse(f"{whose}expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    try:
        leaf.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        raise refuse("is not issued by its owner's root") from None
    if leaf.signature_hash_algorithm is not None and not isinstance(leaf.signature_hash_algorithm, _HASHES):
        raise refuse("is signed with a broken hash function")
    _check_extensions(leaf, root, refuse)
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        raise refuse("has an RSA key of less than 2048 bits")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < 256:
        raise refuse("has an elliptic-curve key of less than 256 bits")


def _check_extensions(
    leaf: x509.Certificate, root: x509.Certificate, refuse: Callable[[str], ParticipationInvalid]
) -> None:
    try:
        extensions = leaf.extensions
    except ValueError:
        raise refuse("has malformed extensions") from None
    for extension in extensions:
        value = extension.value
        if extension.critical and extension.oid not in _KNOWN_CRITICAL:
            raise refuse(f"has the unknown critical extension {extension.oid.dotted_string}")
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise refuse("is an authority's certificate, not a party's")
        if isinstance(value, x509.KeyUsage) and not value.digital_signature:
            raise refuse("may not be used for signatures")
    if authority_key_identifier(leaf) not in (None, subject_key_identifier(root)):
        raise refuse("names another authority key")


def _reason(error: Exception) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else "it is not a certificate"
