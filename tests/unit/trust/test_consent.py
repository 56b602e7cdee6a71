"""Consent signaling: hashes, signatures, chains, participation, the duchies' signed ElGamal keys."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from gristmill.errors import ConfigurationError, ParticipationInvalid, PreconditionFailed
from gristmill.trust import consent
from gristmill.trust.authority import Root
from gristmill.trust.certificates import read_certificate
from gristmill.trust.development import DevelopmentKeys, Party
from gristmill.trust.hybrid import PrivateKeyset
from gristmill.trust.signatures import Signature, Signer, signed_bytes, verify, verify_message
from wfa.measurement.api.v2alpha.crypto_pb2 import ElGamalPublicKey, EncryptionPublicKey, SignedMessage
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.requisition_spec_pb2 import RequisitionSpec

ELEMENT = bytes.fromhex("02d1432ca007a6c6d739fce2d21feb56d9a2c35cf968265f9093c4b691e11386b3")
SPEC = MeasurementSpec(nonce_hashes=[b"\x01" * 32], model_line="a")


def signer_of(party: Party) -> Signer:
    return Signer.read(certificate=party.signing_certificate_file, key=party.signing_key_file)


def root_of(party: Party) -> x509.Certificate:
    return read_certificate(party.root_file)


# Hashes


def test_a_nonce_is_hashed_as_eight_big_endian_bytes() -> None:
    assert consent.nonce_hash(1) == hashlib.sha256(b"\0\0\0\0\0\0\0\x01").digest()


def test_a_negative_nonce_and_its_unsigned_form_have_one_hash() -> None:
    assert consent.nonce_hash(-2) == consent.nonce_hash(2**64 - 2) == hashlib.sha256(b"\xff" * 7 + b"\xfe").digest()


def test_the_fingerprint_covers_the_specification_and_then_the_requisition_hash() -> None:
    spec_hash = consent.requisition_spec_hash(b"ciphertext")
    assert spec_hash == hashlib.sha256(b"ciphertext").digest()
    assert consent.requisition_fingerprint(b"spec", spec_hash) == hashlib.sha256(b"spec" + spec_hash).digest()


# Messages


def test_a_signed_message_carries_the_bytes_twice_and_verifies(keys: DevelopmentKeys) -> None:
    consumer = keys.measurement_consumer
    signed = signer_of(consumer).sign_message(SPEC)
    assert signed.message.type_url == "type.googleapis.com/wfa.measurement.api.v2alpha.MeasurementSpec"
    assert signed.data == signed.message.value == SPEC.SerializeToString()
    assert signed.signature_algorithm_oid == "1.2.840.10045.4.3.2"
    certificate = read_certificate(consumer.signing_certificate_file)
    assert verify_message(signed, MeasurementSpec, certificate, root_of(consumer), what="the spec") == SPEC


def test_a_message_of_an_older_writer_verifies_by_its_data(keys: DevelopmentKeys) -> None:
    consumer = keys.measurement_consumer
    signed = signer_of(consumer).sign_message(SPEC)
    signed.ClearField("message")
    signed.ClearField("signature_algorithm_oid")  # the certificate's own algorithm is meant
    certificate = read_certificate(consumer.signing_certificate_file)
    assert verify_message(signed, MeasurementSpec, certificate, root_of(consumer), what="the spec") == SPEC


def test_the_message_counts_where_data_says_something_else(keys: DevelopmentKeys) -> None:
    signed = signer_of(keys.measurement_consumer).sign_message(SPEC)
    signed.data = b"something else"
    assert signed_bytes(signed) == SPEC.SerializeToString()


@pytest.mark.parametrize("change", ["signature", "value", "oid", "type"])
def test_a_changed_message_is_refused(keys: DevelopmentKeys, change: str) -> None:
    consumer = keys.measurement_consumer
    signed = signer_of(consumer).sign_message(SPEC)
    if change == "signature":
        signed.signature = signed.signature[:-1] + bytes([signed.signature[-1] ^ 1])
    elif change == "value":
        signed.message.value += b"\x00"
    elif change == "oid":
        signed.signature_algorithm_oid = "1.2.840.113549.1.1.11"
    else:
        signed.message.type_url = "type.googleapis.com/" + RequisitionSpec.DESCRIPTOR.full_name
    certificate = read_certificate(consumer.signing_certificate_file)
    with pytest.raises(ParticipationInvalid, match="the spec"):
        verify_message(signed, MeasurementSpec, certificate, root_of(consumer), what="the spec")


def test_a_signer_below_another_root_is_refused(keys: DevelopmentKeys) -> None:
    provider = keys.data_provider("edp1")
    signed = signer_of(provider).sign_message(SPEC)
    certificate = read_certificate(provider.signing_certificate_file)
    with pytest.raises(ParticipationInvalid, match="not issued by its owner's root"):
        verify_message(signed, MeasurementSpec, certificate, root_of(keys.measurement_consumer), what="the spec")


@pytest.mark.parametrize(
    ("oid", "algorithm"),
    [
        ("1.2.840.10045.4.3.2", hashes.SHA256()),
        ("1.2.840.10045.4.3.3", hashes.SHA384()),
        ("1.2.840.10045.4.3.4", hashes.SHA512()),
    ],
)
def test_all_ecdsa_algorithms_verify(keys: DevelopmentKeys, oid: str, algorithm: hashes.HashAlgorithm) -> None:
    party = keys.duchy("worker1")
    key = load_der_private_key(party.signing_key_file.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = Signature(key.sign(b"data", ec.ECDSA(algorithm)), oid)
    verify(b"data", signature, read_certificate(party.signing_certificate_file), what="the data")


@pytest.mark.parametrize(
    ("oid", "algorithm"),
    [
        ("1.2.840.113549.1.1.11", hashes.SHA256()),
        ("1.2.840.113549.1.1.12", hashes.SHA384()),
        ("1.2.840.113549.1.1.13", hashes.SHA512()),
    ],
)
def test_all_rsa_algorithms_verify(oid: str, algorithm: hashes.HashAlgorithm) -> None:
    certificate = rsa_certificate()
    verify(b"data", Signature(RSA_KEY.sign(b"data", padding.PKCS1v15(), algorithm), oid), certificate, what="it")
    assert Signer(RSA_KEY, certificate).sign(b"data").algorithm_oid == "1.2.840.113549.1.1.11"


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_certificate() -> x509.Certificate:
    model = Root.create("rsa").certificate
    builder = x509.CertificateBuilder(model.issuer, model.subject, RSA_KEY.public_key(), 5)
    builder = builder.not_valid_before(model.not_valid_before_utc).not_valid_after(model.not_valid_after_utc)
    return builder.sign(RSA_KEY, hashes.SHA256())


def test_a_key_that_is_not_its_certificates_is_refused(keys: DevelopmentKeys) -> None:
    one, other = keys.duchy("worker1"), keys.duchy("worker2")
    with pytest.raises(ConfigurationError, match="does not belong to its certificate"):
        Signer.read(certificate=one.signing_certificate_file, key=other.signing_key_file)


def test_a_signing_key_that_others_can_read_is_refused(keys: DevelopmentKeys, tmp_path: Path) -> None:
    party = keys.duchy("worker1")
    copy = tmp_path / "key.der"
    copy.write_bytes(party.signing_key_file.read_bytes())
    copy.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Signer.read(certificate=party.signing_certificate_file, key=copy)


# Participation


def test_all_named_data_providers_take_part() -> None:
    consent.check_participation([5, -7, 9], [consent.nonce_hash(nonce) for nonce in (9, 5, -7)])


@pytest.mark.parametrize(
    ("nonces", "named"),
    [([5], [5, 7]), ([5, 7], [5]), ([5, 7], [5, 9]), ([5, 5], [5, 7]), ([5, 5], [5, 5]), ([5, 7], [5, 7, 7])],
)
def test_missing_foreign_and_repeated_participants_are_refused(nonces: list[int], named: list[int]) -> None:
    with pytest.raises(ParticipationInvalid, match="nonces"):
        consent.check_participation(nonces, [consent.nonce_hash(nonce) for nonce in named])


@pytest.mark.parametrize("wrong", [None, "fingerprint", "nonce", "spec"])
def test_a_fulfillment_needs_fingerprint_nonce_and_a_named_hash(wrong: str | None) -> None:
    def check() -> None:
        consent.check_fulfillment(
            fingerprint=b"other" if wrong == "fingerprint" else b"fingerprint",
            expected_fingerprint=b"fingerprint",
            nonce=8 if wrong == "nonce" else 7,
            expected_nonce_hash=consent.nonce_hash(7),
            nonce_hashes=[consent.nonce_hash(5)] if wrong == "spec" else [consent.nonce_hash(5), consent.nonce_hash(7)],
        )

    if wrong is None:
        check()
    else:
        with pytest.raises(PreconditionFailed, match="header"):
            check()


# The duchies' ElGamal keys


def test_an_el_gamal_key_is_published_as_seventy_bytes() -> None:
    serialized = consent.serialize_el_gamal_key(ELEMENT)
    assert serialized == b"\x12\x21" + consent.P256_GENERATOR + b"\x1a\x21" + ELEMENT
    assert len(serialized) == 70


def test_a_signed_el_gamal_key_verifies_against_its_duchys_root(keys: DevelopmentKeys) -> None:
    party = keys.duchy("worker1")
    serialized, signature = consent.sign_el_gamal_key(ELEMENT, signer_of(party))
    der = party.signing_certificate_file.read_bytes()
    assert consent.verify_el_gamal_key(serialized, signature, der, root_of(party), duchy="worker1") == ELEMENT


def test_a_key_signed_by_another_duchy_is_refused(keys: DevelopmentKeys) -> None:
    party, other = keys.duchy("worker1"), keys.duchy("worker2")
    serialized, signature = consent.sign_el_gamal_key(ELEMENT, signer_of(other))
    for certificate, reason in ((other, "not issued by its owner's root"), (party, "signature of the ElGamal key")):
        der = certificate.signing_certificate_file.read_bytes()
        with pytest.raises(ParticipationInvalid, match=reason):
            consent.verify_el_gamal_key(serialized, signature, der, root_of(party), duchy="worker1")


@pytest.mark.parametrize(
    "key",
    [
        ElGamalPublicKey(generator=ELEMENT, element=ELEMENT),
        ElGamalPublicKey(elliptic_curve_id=714, generator=consent.P256_GENERATOR, element=ELEMENT),
        ElGamalPublicKey(generator=consent.P256_GENERATOR, element=b"\x00"),
        ElGamalPublicKey(generator=consent.P256_GENERATOR, element=b"\x02" + b"\xff" * 32),
        ElGamalPublicKey(generator=consent.P256_GENERATOR, element=b"\x02" + b"\x00" * 31 + b"\x01"),
        ElGamalPublicKey(generator=consent.P256_GENERATOR),
    ],
)
def test_a_signed_key_that_is_no_point_of_the_curve_is_refused(keys: DevelopmentKeys, key: ElGamalPublicKey) -> None:
    party = keys.duchy("worker1")
    serialized = key.SerializeToString()
    signature = signer_of(party).sign(serialized)
    der = party.signing_certificate_file.read_bytes()
    with pytest.raises(ParticipationInvalid, match="duchy worker1"):
        consent.verify_el_gamal_key(serialized, signature, der, root_of(party), duchy="worker1")


def test_an_unsigned_message_is_refused(keys: DevelopmentKeys) -> None:
    consumer = keys.measurement_consumer
    certificate = read_certificate(consumer.signing_certificate_file)
    with pytest.raises(ParticipationInvalid, match="signature"):
        verify_message(SignedMessage(), MeasurementSpec, certificate, root_of(consumer), what="the spec")


# The duchies' encryption keys


def test_a_signed_encryption_key_verifies(keys: DevelopmentKeys) -> None:
    key = PrivateKeyset.generate().public_key
    assert verify_published(keys, *consent.sign_encryption_key(key, signer_of(keys.duchy("worker1")))) == key


def test_an_encryption_key_that_another_duchy_signed_is_refused(keys: DevelopmentKeys) -> None:
    signed = consent.sign_encryption_key(PrivateKeyset.generate().public_key, signer_of(keys.duchy("worker2")))
    with pytest.raises(ParticipationInvalid, match="signature of the encryption key of duchy worker1 is wrong"):
        verify_published(keys, *signed)


def test_an_encryption_key_of_unknown_format_is_refused(keys: DevelopmentKeys) -> None:
    signed = consent.sign_encryption_key(EncryptionPublicKey(data=b"key"), signer_of(keys.duchy("worker1")))
    with pytest.raises(ParticipationInvalid, match="not a Tink keyset"):
        verify_published(keys, *signed)


def verify_published(keys: DevelopmentKeys, serialized: bytes, signature: Signature) -> EncryptionPublicKey:
    party = keys.duchy("worker1")
    der = party.signing_certificate_file.read_bytes()
    return consent.verify_encryption_key(serialized, signature, der, root_of(party), duchy="worker1")
