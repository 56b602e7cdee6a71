"""Consent signaling: who agreed to what (public API, "Consent signaling": hashes, what a duchy signs and verifies)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gristmill.errors import ParticipationInvalid, PreconditionFailed
from gristmill.trust.certificates import parse_der, verify_leaf
from gristmill.trust.signatures import Signature, Signer, parse, verify
from wfa.measurement.api.v2alpha.crypto_pb2 import ElGamalPublicKey, EncryptionPublicKey

P256_CURVE_ID = 415
P256_GENERATOR = bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")


def nonce_hash(nonce: int) -> bytes:
    """SHA-256 of the nonce as 8 big-endian bytes. Takes the fixed64 either way, signed or unsigned."""
    return hashlib.sha256((nonce % 2**64).to_bytes(8, "big")).digest()


def requisition_spec_hash(ciphertext: bytes) -> bytes:
    """SHA-256 of the encrypted requisition specification's ciphertext."""
    return hashlib.sha256(ciphertext).digest()


def requisition_fingerprint(serialized_measurement_spec: bytes, spec_hash: bytes) -> bytes:
    """SHA-256 of the serialized MeasurementSpec, exactly as it was signed, followed by the requisition spec hash."""
    return hashlib.sha256(serialized_measurement_spec + spec_hash).digest()


def check_fulfillment(
    *,
    fingerprint: bytes,
    expected_fingerprint: bytes,
    nonce: int,
    expected_nonce_hash: bytes,
    nonce_hashes: Iterable[bytes],
) -> None:
    """Hold a data provider's header against the requisition and the MeasurementSpec; else `PreconditionFailed`.

    The requisition's nonce hash comes from the kingdom, `nonce_hashes` from the specification that the measurement
    consumer signed.
    """
    cure = "fetch the requisition again and fulfil it with its own nonce and fingerprint"
    if not hmac.compare_digest(fingerprint, expected_fingerprint):
        raise PreconditionFailed("header.requisition_fingerprint is not that of the requisition", cure=cure)
    actual = nonce_hash(nonce)
    if not hmac.compare_digest(actual, expected_nonce_hash):
        raise PreconditionFailed("header.nonce is not that of the requisition", cure=cure)
    if actual not in set(nonce_hashes):
        raise PreconditionFailed("header.nonce is not named by the measurement specification", cure=cure)


def check_participation(nonces: Sequence[int], nonce_hashes: Sequence[bytes]) -> None:
    """Every data provider that the measurement consumer named takes part, and nobody else; else `ParticipationInvalid`.

    `nonces` are those of all requisitions, as the kingdom hands them out after fulfillment.
    """
    actual, expected = {nonce_hash(nonce) for nonce in nonces}, set(nonce_hashes)
    if actual != expected or not len(nonces) == len(nonce_hashes) == len(actual):
        raise ParticipationInvalid(
            f"the nonces of {len(nonces)} requisitions are not the {len(nonce_hashes)} that the measurement "
            "specification names",
            cure="the measurement consumer must create the measurement again",
        )


def serialize_el_gamal_key(element: bytes) -> bytes:
    """The public key as duchies publish, sign and order it: 70 bytes, generator and element, no curve ID."""
    return ElGamalPublicKey(generator=P256_GENERATOR, element=element).SerializeToString(deterministic=True)


def sign_el_gamal_key(element: bytes, signer: Signer) -> tuple[bytes, Signature]:
    """The serialized public key of this duchy and its signature."""
    serialized = serialize_el_gamal_key(element)
    return serialized, signer.sign(serialized)


def verify_el_gamal_key(
    serialized: bytes, signature: Signature, certificate_der: bytes, root: x509.Certificate, *, duchy: str
) -> bytes:
    """A duchy's public element (33 bytes), once chain, signature and encoding are found right.

    Raises `ParticipationInvalid`. `root` is the one that the duchy info file gives to `duchy`, whatever authority the
    certificate names.
    """
    what = f"the ElGamal key of duchy {duchy}"
    _verify_by(duchy, certificate_der, root, serialized, signature, what=what)
    key = parse(serialized, ElGamalPublicKey, type_url="", what=what)
    cure = f"duchy {duchy} must publish a P-256 key with a compressed generator and element"
    if key.elliptic_curve_id not in (0, P256_CURVE_ID) or key.generator != P256_GENERATOR:
        raise ParticipationInvalid(f"{what} is not for the curve P-256 and its base point", cure=cure)
    if len(key.element) != 33 or key.element[0] not in (2, 3):
        raise ParticipationInvalid(f"the element of {what} is not a compressed point", cure=cure)
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.element)
    except ValueError:
        raise ParticipationInvalid(f"the element of {what} is not on the curve", cure=cure) from None
    return key.element


def sign_encryption_key(key: EncryptionPublicKey, signer: Signer) -> tuple[bytes, Signature]:
    """The serialized public key that data providers encrypt a duchy's seeds to, and its signature."""
    serialized = key.SerializeToString(deterministic=True)
    return serialized, signer.sign(serialized)


def verify_encryption_key(
    serialized: bytes, signature: Signature, certificate_der: bytes, root: x509.Certificate, *, duchy: str
) -> EncryptionPublicKey:
    """The key that a duchy's seeds are encrypted to, once chain and signature are found right.

    Raises `ParticipationInvalid`. `root` is the one that the duchy info file gives to `duchy`. Whether the keyset can
    be encrypted to is for `hybrid.encrypt` to find out.
    """
    what = f"the encryption key of duchy {duchy}"
    _verify_by(duchy, certificate_der, root, serialized, signature, what=what)
    key = parse(serialized, EncryptionPublicKey, type_url="", what=what)
    if key.format != EncryptionPublicKey.TINK_KEYSET or not key.data:
        raise ParticipationInvalid(
            f"{what} is not a Tink keyset", cure=f"duchy {duchy} must publish the public half of an HPKE keyset"
        )
    return key


def _verify_by(
    duchy: str, certificate_der: bytes, root: x509.Certificate, serialized: bytes, signature: Signature, *, what: str
) -> None:
    """Raise `ParticipationInvalid` unless `root` issued the duchy's certificate, and its key made the signature."""
    certificate = parse_der(certificate_der, what=f"the certificate of duchy {duchy}")
    verify_leaf(certificate, root, what=f"the certificate of duchy {duchy}")
    verify(serialized, signature, certificate, what=what)
