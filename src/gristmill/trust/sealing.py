"""Sealed secret columns: a data key per computation, itself wrapped by the duchy's key-encryption keyset.

Whoever destroys a computation's wrapped key destroys every secret that was sealed under it. The associated data of a
sealed value names its table, row and column, so that a value moved elsewhere does not open.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gristmill.errors import SealBroken
from gristmill.secret import Secret
from gristmill.trust.key_encryption import KeyEncryption

_WRAPPED: Final = b"gristmill computation key 1"
_SEALED: Final = b"gristmill sealed column 1"
_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class WrappedKey(bytes):
    """A computation's data key (AES-256-GCM), encrypted under the key-encryption keyset: what the store keeps."""


class Sealer:
    """Seals and opens the secret columns of one duchy's store."""

    def __init__(self, key_encryption: KeyEncryption) -> None:
        self._keyset = key_encryption

    @classmethod
    def read(cls, path: Path) -> Sealer:
        """Read `--key-encryption-key-file`, which only its owner may read, and follow it from then on."""
        return cls(KeyEncryption.read(path))

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
        return self._keyset.decrypt(bytes(computation_key), _WRAPPED)


def _place(table: str, row: str, column: str) -> bytes:
    parts = (part.encode() for part in (table, row, column))
    return _SEALED + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
