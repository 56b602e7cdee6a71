"""The private keyset to which a computation's data providers encrypted: from the internal API, or from blob storage.

Our internal API seals it in its database. Where the herald or the internal API is an existing one it lies in blob
storage, sealed under the key-encryption keyset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gristmill.blobs import private_key_key
from gristmill.errors import NotFound, RecordIncomplete
from gristmill.trust.hybrid import PrivateKeyset

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.mill.claims import Claim
    from gristmill.trust.key_encryption import KeyEncryption


class PrivateKeys:
    """`key_encryption` is the keyset of `--key-encryption-key-file`, if that was given."""

    def __init__(self, blobs: BlobStore, key_encryption: KeyEncryption | None) -> None:
        self._blobs, self._key_encryption = blobs, key_encryption

    def of(self, claim: Claim, key_id: str) -> PrivateKeyset:
        """The keyset with this ID of the claimed computation. RecordIncomplete when it is nowhere."""
        keyset = claim.api.private_keyset(claim)
        if keyset is None and self._key_encryption is not None:
            try:
                sealed = b"".join(self._blobs.stream(private_key_key(key_id)))
            except NotFound as error:
                raise RecordIncomplete(
                    f"the computation's private key {key_id} is neither in the database nor in blob storage"
                ) from error
            keyset = self._key_encryption.open_keyset(sealed)
        if keyset is None:
            raise RecordIncomplete(
                f"the computation's private key {key_id} is not in the database",
                cure="if an existing herald made it, give --key-encryption-key-file: it is in blob storage",
            )
        return PrivateKeyset(keyset)
