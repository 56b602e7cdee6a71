"""The key-encryption keyset: what seals the keys that this duchy keeps. It follows its file, so that it can be rotated.

A keyset may hold several keys: the primary encrypts, any of them decrypts. To rotate, put a new primary in front
(`gristmill keys rotate`); processes read the changed file at their next use of it. The old keys must stay as long as
computations run whose keys they wrapped, and can then be removed (`gristmill keys prune`).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import tink
from tink import aead, proto_keyset_format, secret_key_access
from tink.proto import tink_pb2

from gristmill.errors import ConfigurationError, KeysetUnusable
from gristmill.observe.logs import logger
from gristmill.secret import Secret
from gristmill.trust.files import read_private_file

_WHAT: Final = "the key-encryption keyset"

log = logger("trust")

aead.register()


def new_key_encryption_keyset() -> Secret:
    """A new keyset with one AES256_GCM key, as the binary cleartext keyset that `--key-encryption-key-file` takes."""
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    return Secret(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))


def rotate_keyset(keyset: Secret) -> Secret:
    """The keyset with a new primary key in front; what the old keys wrapped still opens. `ConfigurationError`."""
    _primitive(keyset)
    old, new = (tink_pb2.Keyset.FromString(part.expose()) for part in (keyset, new_key_encryption_keyset()))
    if new.primary_key_id in {key.key_id for key in old.key}:
        return rotate_keyset(keyset)
    merged = tink_pb2.Keyset(primary_key_id=new.primary_key_id, key=[*new.key, *old.key])
    return Secret(merged.SerializeToString())


def prune_keyset(keyset: Secret) -> Secret:
    """The keyset with its primary key alone; what the others wrapped opens no more. `ConfigurationError`."""
    _primitive(keyset)
    whole = tink_pb2.Keyset.FromString(keyset.expose())
    primary = [key for key in whole.key if key.key_id == whole.primary_key_id]
    return Secret(tink_pb2.Keyset(primary_key_id=whole.primary_key_id, key=primary).SerializeToString())


def key_count(keyset: Secret) -> int:
    return len(tink_pb2.Keyset.FromString(keyset.expose()).key)


class KeyEncryption:
    """Encrypts with the keyset's primary key and decrypts with any of its keys. It has no text form."""

    def __init__(self, keyset: Secret) -> None:
        """Takes a binary cleartext Tink keyset of AEAD keys; `ConfigurationError` if it is none."""
        self._keyset = _primitive(keyset)
        self._path: Path | None = None
        self._seen: tuple[int, ...] = ()
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path) -> KeyEncryption:
        """Read `--key-encryption-key-file`, which only its owner may read, and follow it from then on."""
        seen = _state(path)
        followed = cls(read_private_file(path, what=_WHAT))
        followed._path, followed._seen = path, seen
        return followed

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        return bytes(self._current().encrypt(plaintext, associated_data))

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """`KeysetUnusable` unless a key of the keyset made this ciphertext for this associated data."""
        try:
            return bytes(self._current().decrypt(ciphertext, associated_data))
        except tink.TinkError:
            raise KeysetUnusable(
                "a key was not encrypted by any key of this key-encryption keyset",
                cure="start with the keyset that was in use when the computation was created; rotation keeps old keys",
            ) from None

    def seal_keyset(self, keyset: Secret) -> bytes:
        """A binary cleartext Tink keyset as the EncryptedKeyset that the existing system keeps in blob storage."""
        handle = proto_keyset_format.parse(keyset.expose(), secret_key_access.TOKEN)
        return bytes(proto_keyset_format.serialize_encrypted(handle, self._current(), b""))

    def open_keyset(self, sealed: bytes) -> Secret:
        """The keyset inside such an EncryptedKeyset; `KeysetUnusable` if no key of this keyset sealed it."""
        try:
            handle = proto_keyset_format.parse_encrypted(sealed, self._current(), b"")
        except tink.TinkError:
            raise KeysetUnusable(
                "a private keyset in blob storage does not open with this key-encryption keyset",
                cure="give the keyset with which the herald sealed it; rotation keeps old keys",
            ) from None
        return Secret(proto_keyset_format.serialize(handle, secret_key_access.TOKEN))

    def _current(self) -> aead.Aead:
        """The keyset as its file has it now. A file that is no keyset any more is told of, and changes nothing."""
        if self._path is None:
            return self._keyset
        with self._lock:
            state = _state(self._path)
            if state != self._seen:
                self._seen = state
                try:
                    self._keyset = _primitive(read_private_file(self._path, what=_WHAT))
                    log.info("the key-encryption keyset was read anew", file=str(self._path))
                except ConfigurationError as error:
                    log.error("the changed key-encryption keyset cannot be used; the old one stays", reason=str(error))
            return self._keyset


def _state(path: Path) -> tuple[int, ...]:
    """Changes whenever the file is written or replaced; empty if there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _primitive(keyset: Secret) -> aead.Aead:
    try:
        primitive: aead.Aead = proto_keyset_format.parse(keyset.expose(), secret_key_access.TOKEN).primitive(aead.Aead)
    except tink.TinkError:
        raise KeysetUnusable(
            "the key-encryption keyset is not a binary Tink keyset with AEAD keys",
            cure="make one with `gristmill keys make`, or export it with Tinkey in binary format",
        ) from None
    return primitive
