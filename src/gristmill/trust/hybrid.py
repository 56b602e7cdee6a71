"""Hybrid encryption with Tink keysets: encrypt to HPKE or ECIES keys, decrypt what comes back.

Keys travel as `EncryptionPublicKey` with a binary Tink keyset; the context is empty. HPKE (RFC 9180) is DHKEM(X25519,
HKDF-SHA256), HKDF-SHA256, AES-256-GCM; ECIES is P-256, HKDF-HMAC-SHA256, AES-128-GCM.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import tink
from google.protobuf.message import Message
from tink import hybrid, proto_keyset_format, secret_key_access
from tink.proto import tink_pb2

from gristmill import _native as native
from gristmill.errors import BadInput, KeysetUnusable
from gristmill.secret import Secret
from gristmill.trust.files import read_private_file
from gristmill.trust.signatures import TYPE_URL_PREFIX, parse
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptedMessage, EncryptionPublicKey

HPKE = "DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM"
ECIES = "ECIES_P256_HKDF_HMAC_SHA256_AES128_GCM"

_CONTEXT = b""
_M = TypeVar("_M", bound=Message)

hybrid.register()


class PrivateKeyset:
    """A private hybrid keyset. It has no text form: nothing prints the keys."""

    __slots__ = ("_handle",)

    def __init__(self, serialized: Secret) -> None:
        """Takes a binary cleartext Tink keyset; `ConfigurationError` if it is no private hybrid keyset."""
        try:
            self._handle = proto_keyset_format.parse(serialized.expose(), secret_key_access.TOKEN)
            self._handle.primitive(hybrid.HybridDecrypt)
        except tink.TinkError:
            raise KeysetUnusable(
                "the private keyset is not a binary Tink keyset for hybrid decryption",
                cure="make one with `gristmill keys make`, or export it with Tinkey in binary format",
            ) from None

    @classmethod
    def generate(cls, template: str = HPKE) -> PrivateKeyset:
        """A new keyset with one key of the template `HPKE` or `ECIES`."""
        handle = tink.new_keyset_handle(getattr(hybrid.hybrid_key_templates, template))
        return cls(Secret(proto_keyset_format.serialize(handle, secret_key_access.TOKEN)))

    @classmethod
    def read(cls, path: Path) -> PrivateKeyset:
        return cls(read_private_file(path, what="the private keyset"))

    def serialize(self) -> Secret:
        return Secret(proto_keyset_format.serialize(self._handle, secret_key_access.TOKEN))

    @property
    def public_key(self) -> EncryptionPublicKey:
        keyset = proto_keyset_format.serialize_without_secret(self._handle.public_keyset_handle())
        return EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET, data=keyset)

    def decrypt(self, ciphertext: bytes) -> Secret:
        """`BadInput` for anything that was not encrypted to this keyset; the reason is never told."""
        try:
            return Secret(self._handle.primitive(hybrid.HybridDecrypt).decrypt(ciphertext, _CONTEXT))
        except tink.TinkError:
            raise BadInput(
                "a ciphertext does not decrypt with this private keyset", cure="encrypt to the public key in use"
            ) from None

    def decrypt_message(self, encrypted: EncryptedMessage, kind: type[_M], *, what: str) -> _M:
        """Decrypt and parse; the type URL is not authenticated, so a wrong one only fails early."""
        plaintext = self.decrypt(encrypted.ciphertext)
        return parse(plaintext.expose(), kind, type_url=encrypted.type_url, what=what)


def private_key_id(public_key: EncryptionPublicKey) -> str:
    """What the private keyset of a public one is filed under: FarmHash of the primary's key data, in signed decimal."""
    keyset = tink_pb2.Keyset.FromString(public_key.data)
    primary = next(key for key in keyset.key if key.key_id == keyset.primary_key_id)
    fingerprint = native.fingerprint64(primary.key_data.value)
    return str(fingerprint - 2**64 if fingerprint >= 2**63 else fingerprint)


def encrypt(plaintext: bytes, public_key: EncryptionPublicKey) -> bytes:
    """Encrypt to a public keyset, HPKE or ECIES; `BadInput` for a key that is neither."""
    cure = "its owner must publish a binary Tink keyset with an HPKE or ECIES key"
    if public_key.format != EncryptionPublicKey.TINK_KEYSET:
        raise BadInput("the encryption key is not in the format TINK_KEYSET", cure=cure)
    try:
        handle = proto_keyset_format.parse_without_secret(public_key.data)
        return bytes(handle.primitive(hybrid.HybridEncrypt).encrypt(plaintext, _CONTEXT))
    except tink.TinkError:
        raise BadInput("the encryption key is not a public Tink keyset for hybrid encryption", cure=cure) from None


def encrypt_message(message: Message, public_key: EncryptionPublicKey) -> EncryptedMessage:
    """The `EncryptedMessage` of a message's serialization, with its type URL."""
    ciphertext = encrypt(message.SerializeToString(deterministic=True), public_key)
    return EncryptedMessage(ciphertext=ciphertext, type_url=TYPE_URL_PREFIX + message.DESCRIPTOR.full_name)
