"""Hybrid encryption: HPKE and ECIES keysets, and the same bytes as RFC 9180 under Tink's prefix."""

from __future__ import annotations

import pytest
import tink
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from tink import aead, hybrid, proto_keyset_format, secret_key_access
from tink.proto import hpke_pb2, tink_pb2

from gristmill.errors import BadInput, ConfigurationError, ParticipationInvalid
from gristmill.secret import Secret
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.hybrid import ECIES, HPKE, PrivateKeyset, encrypt, encrypt_message
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey, SignedMessage
from wfa.measurement.api.v2alpha.requisition_spec_pb2 import RequisitionSpec

SPEC = RequisitionSpec(nonce=12345)
KEYSET = PrivateKeyset.generate()
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@pytest.mark.parametrize("template", [HPKE, ECIES])
def test_a_message_comes_back(template: str) -> None:
    keyset = PrivateKeyset.generate(template)
    encrypted = encrypt_message(SPEC, keyset.public_key)
    assert encrypted.type_url == "type.googleapis.com/wfa.measurement.api.v2alpha.RequisitionSpec"
    assert keyset.decrypt_message(encrypted, RequisitionSpec, what="the requisition") == SPEC


@pytest.mark.parametrize("template", [HPKE, ECIES])
def test_plain_tink_reads_and_writes_the_same(template: str) -> None:
    handle = tink.new_keyset_handle(getattr(hybrid.hybrid_key_templates, template))
    public = proto_keyset_format.serialize_without_secret(handle.public_keyset_handle())
    key = EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET, data=public)
    assert handle.primitive(hybrid.HybridDecrypt).decrypt(encrypt(b"to tink", key), b"") == b"to tink"
    ours = PrivateKeyset(Secret(proto_keyset_format.serialize(handle, secret_key_access.TOKEN)))
    theirs = handle.public_keyset_handle().primitive(hybrid.HybridEncrypt).encrypt(b"from tink", b"")
    assert ours.decrypt(theirs) == Secret(b"from tink")


def test_hpke_is_rfc_9180_behind_tinks_five_byte_prefix() -> None:
    keyset = tink_pb2.Keyset.FromString(KEYSET.public_key.data)
    public = hpke_pb2.HpkePublicKey.FromString(keyset.key[0].key_data.value)
    prefix = b"\x01" + keyset.primary_key_id.to_bytes(4, "big")
    sealed = SUITE.encrypt(b"plaintext", X25519PublicKey.from_public_bytes(public.public_key))
    assert KEYSET.decrypt(prefix + sealed) == Secret(b"plaintext")
    secret = hpke_pb2.HpkePrivateKey.FromString(
        tink_pb2.Keyset.FromString(KEYSET.serialize().expose()).key[0].key_data.value
    )
    private = X25519PrivateKey.from_private_bytes(secret.private_key)
    ciphertext = encrypt(b"plaintext", KEYSET.public_key)
    assert ciphertext[:5] == prefix
    assert SUITE.decrypt(ciphertext[5:], private) == b"plaintext"


def test_a_keyset_survives_serialization() -> None:
    ciphertext = encrypt(b"plaintext", KEYSET.public_key)
    assert PrivateKeyset(KEYSET.serialize()).decrypt(ciphertext) == Secret(b"plaintext")


def test_the_published_key_holds_no_secret() -> None:
    proto_keyset_format.parse_without_secret(KEYSET.public_key.data)


@pytest.mark.parametrize("ciphertext", [b"", b"\x01" * 5, b"\x01" * 200])
def test_what_was_not_encrypted_to_the_keyset_is_bad_input(ciphertext: bytes) -> None:
    with pytest.raises(BadInput, match="does not decrypt"):
        KEYSET.decrypt(ciphertext)


def test_a_ciphertext_for_another_key_is_bad_input() -> None:
    with pytest.raises(BadInput, match="does not decrypt"):
        KEYSET.decrypt(encrypt(b"plaintext", PrivateKeyset.generate().public_key))


def test_another_kind_of_message_is_refused() -> None:
    encrypted = encrypt_message(SPEC, KEYSET.public_key)
    with pytest.raises(ParticipationInvalid, match=r"not a wfa\.measurement\.api\.v2alpha\.SignedMessage"):
        KEYSET.decrypt_message(encrypted, SignedMessage, what="the result")


def test_a_bad_public_key_is_bad_input() -> None:
    private = KEYSET.serialize().expose()
    for key in (
        EncryptionPublicKey(data=KEYSET.public_key.data),
        EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET, data=b"no keyset"),
        EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET),
        EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET, data=private),
    ):
        with pytest.raises(BadInput, match="encryption key"):
            encrypt(b"plaintext", key)


def test_a_keyset_that_cannot_decrypt_is_refused() -> None:
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    for content in (
        b"no keyset",
        KEYSET.public_key.data,
        proto_keyset_format.serialize(handle, secret_key_access.TOKEN),
    ):
        with pytest.raises(ConfigurationError, match="private keyset"):
            PrivateKeyset(Secret(content))


def test_keysets_are_read_from_private_files(keys: DevelopmentKeys) -> None:
    consumer = keys.measurement_consumer
    keyset = PrivateKeyset.read(consumer.private_keyset_file)
    public = EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET, data=consumer.public_keyset_file.read_bytes())
    assert keyset.decrypt(encrypt(b"plaintext", public)) == Secret(b"plaintext")
