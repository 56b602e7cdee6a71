"""Sealed secret columns: a data key per computation, itself wrapped by the duchy's key-encryption keyset.

Whoever destroys a computation's wrapped key destroys every secret that was sealed under it. The associated data of a
sealed value names its table, row and column, so that a value moved elsewhere does not open.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

import tink
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tink import aead, proto_keyset_format, secret_key_access
from tink.proto import tink_pb2

from gristmill.errors import KeysetUnusable, SealBroken
from gristmill.secret import Secret
from gristmill.trust.files import read_private_file

_WRAPPED: Final = b"gristmill computation key 1"
_SEALED: Final = b"gristmill sealed column 1"
_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32

aead.register()


class WrappedKey(bytes):
    """A computation's data key (AES-256-GCM), encrypted under the key-encryption keyset: what the store keeps."""


def new_key_encryption_keyset() -> Secret:
    """A new keyset with one AES256_GCM key, as the binary cleartext keyset that `--key-encryption-key-file` takes."""
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    return Secret(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))


def rotate_keyset(keyset: Secret) -> Secret:
    """The keyset with a new primary key in front; what the old keys wrapped still opens."""
    old, new = (tink_pb2.Keyset.FromString(part.expose()) for part in (keyset, new_key_encryption_keyset()))
    if new.primary_key_id in {key.key_id for key in old.key}:
        return rotate_keyset(keyset)
    merged = tink_pb2.Keyset(primary_key_id=new.primary_key_id, key=[*new.key, *old.key])
    return Secret(merged.SerializeToString())


class Sealer:
    """Seals and opens the secret columns of one duchy's store."""

    def __init__(self, key_encryption_keyset: Secret) -> None:
        """Takes a binary cleartext Tink keyset of AEAD keys; `ConfigurationError` if it is none."""
        try:
            handle = proto_keyset_format.parse(key_encryption_keyset.expose(), secret_key_access.TOKEN)
            self._keyset: aead.Aead = handle.primitive(aead.Aead)
        except tink.TinkError:
            raise KeysetUnusable(
                "the key-encryption keyset is not a binary Tink keyset with AEAD keys",
                cure="make one with `gristmill keys make`, or export it with Tinkey in binary format",
            ) from None

    @classmethod
    def read(cls, path: Path) -> Sealer:
        """Read `--key-encryption-key-file`, which only its owner may read."""
        return cls(read_private_file(path, what="the key-encryption keyset"))

    def new_computation_key(self) -> WrappedKey:
        """Draw a data key for a new computation; it exists only wrapped and inside this class's methods."""
        return WrappedKey(self._keyset.encrypt(secrets.token_bytes(_KEY_BYTES), _WRAPPED))

    def rewrap(self, computation_key: WrappedKey) -> WrappedKey:
        """The same data key wrapped by the keyset's present primary key, for use after a rotation."""
        return WrappedKey(self._keyset.encrypt(self._unwrap(computation_key), _WRAPPED))

    def seal(self, computation_key: WrappedKey, plaintext: Secret, *, table: str, row: str, column: str) -> bytes:
        """Encrypt one secret for one place; two calls never give the same bytes."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        place = _place(table, row, column)
        return _VERSION + nonce + AESGCM(self._unwrap(computation_key)).encrypt(nonce, plaintext.expose(), place)

    def unseal(self, computation_key: WrappedKey, sealed: bytes, *, table: str, row: str, column: str) -> Secret:
        """Open what `seal` gave for the same key and place; anything else is `BlobCorrupt`."""
        key = AESGCM(self._unwrap(computation_key))
        start = len(_VERSION)
        nonce, ciphertext = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            if not sealed.startswith(_VERSION):
                raise InvalidTag
            return Secret(key.decrypt(nonce, ciphertext, _place(table, row, column)))
        except (InvalidTag, ValueError):
            raise SealBroken(
                f"the sealed {column} of row {row} in {table} does not open: it was changed or belongs elsewhere",
                cure="restore the row from a backup; the computation cannot go on without it",
            ) from None

    def _unwrap(self, computation_key: WrappedKey) -> bytes:
        try:
            return bytes(self._keyset.decrypt(bytes(computation_key), _WRAPPED))
        except tink.TinkError:
            raise KeysetUnusable(
                "a computation's key was not wrapped by any key of this key-encryption keyset",
                cure="start with the keyset that was in use when the computation was created; rotation keeps old keys",
            ) from None


def _place(table: str, row: str, column: str) -> bytes:
    parts = (part.encode() for part in (table, row, column))
    return _SEALED + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
