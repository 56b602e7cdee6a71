"""Signatures of consent signaling: algorithms by OID, `SignedMessage` made and verified.

The signed bytes are the message's raw serialization inside the Any, without type URL; they are never serialized again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from google.protobuf.message import DecodeError, Message

from gristmill.errors import IdentityUnusable, ParticipationInvalid
from gristmill.trust.certificates import read_certificate, verify_leaf
from gristmill.trust.files import read_private_file
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage

TYPE_URL_PREFIX = "type.googleapis.com/"

_ECDSA: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.10045.4.3.2": hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
}
_RSA: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
}
_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature (ECDSA: ASN.1 DER) and the OID of its algorithm."""

    value: bytes
    algorithm_oid: str


class Signer:
    """A consent-signaling key with its certificate. It has no text form: nothing prints the key."""

    __slots__ = ("_key", "certificate")

    def __init__(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise IdentityUnusable("the consent-signaling key is neither EC nor RSA", cure="make an EC P-256 key")
        if _encoded(key.public_key()) != _encoded(certificate.public_key()):
            raise IdentityUnusable(
                "the consent-signaling key does not belong to its certificate", cure="give the pair that was issued"
            )
        self._key = key
        self.certificate = certificate

    @classmethod
    def read(cls, *, certificate: Path, key: Path) -> Signer:
        """Read the DER certificate and the PKCS#8 DER key, which only its owner may read."""
        content = read_private_file(key, what="the consent-signaling key")
        try:
            private_key = load_der_private_key(content.expose(), password=None)
        except (ValueError, TypeError):
            raise IdentityUnusable(f"{key} is not a PKCS#8 DER key", cure="convert it with openssl pkcs8") from None
        return cls(private_key, read_certificate(certificate))  # type: ignore[arg-type]

    def sign(self, data: bytes) -> Signature:
        """Sign with SHA-256 and the key's family."""
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return Signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())), "1.2.840.10045.4.3.2")
        return Signature(self._key.sign(data, padding.PKCS1v15(), hashes.SHA256()), "1.2.840.113549.1.1.11")

    def sign_message(self, message: Message) -> SignedMessage:
        """Wrap and sign a message; the deprecated `data` is set too, for older readers."""
        signed = SignedMessage()
        signed.message.Pack(message, deterministic=True)
        signature = self.sign(signed.message.value)
        signed.data = signed.message.value
        signed.signature = signature.value
        signed.signature_algorithm_oid = signature.algorithm_oid
        return signed


def verify(data: bytes, signature: Signature, certificate: x509.Certificate, *, what: str) -> None:
    """Verify with the certificate's key; `ParticipationInvalid` says that `what` is wrong.

    An empty OID means the algorithm with which the certificate itself is signed. The certificate must have been
    verified before.
    """
    oid = signature.algorithm_oid or certificate.signature_algorithm_oid.dotted_string
    key = certificate.public_key()
    cure = "its signer must sign it again, with the key of the certificate that it names"
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and oid in _ECDSA:
            key.verify(signature.value, data, ec.ECDSA(_ECDSA[oid]))
        elif isinstance(key, rsa.RSAPublicKey) and oid in _RSA:
            key.verify(signature.value, data, padding.PKCS1v15(), _RSA[oid])
        else:
            raise ParticipationInvalid(
                f"the signature of {what} has the algorithm {oid!r}, which does not fit the signer's key", cure=cure
            )
    except InvalidSignature:
        raise ParticipationInvalid(f"the signature of {what} is wrong", cure=cure) from None


def signed_bytes(signed: SignedMessage) -> bytes:
    """What was signed: `message.value` or, from older writers, `data`."""
    return signed.message.value if signed.HasField("message") else signed.data


def verify_message(
    signed: SignedMessage, kind: type[_M], certificate: x509.Certificate, root: x509.Certificate, *, what: str
) -> _M:
    """The message inside, after its signer's certificate was held against `root` and the signature verified."""
    verify_leaf(certificate, root, what=f"the certificate of the signer of {what}")
    data = signed_bytes(signed)
    verify(data, Signature(signed.signature, signed.signature_algorithm_oid), certificate, what=what)
    return parse(data, kind, type_url=signed.message.type_url if signed.HasField("message") else "", what=what)


def parse(data: bytes, kind: type[_M], *, type_url: str, what: str) -> _M:
    """Parse a message of the expected kind; an empty type URL is not checked."""
    name = kind.DESCRIPTOR.full_name
    cure = f"send a {name}"
    if type_url and type_url.rpartition("/")[2] != name:
        raise ParticipationInvalid(f"{what} is a {type_url.rpartition('/')[2]}, not a {name}", cure=cure)
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise ParticipationInvalid(f"{what} is not a {name}", cure=cure) from None
    return message


def _encoded(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]
