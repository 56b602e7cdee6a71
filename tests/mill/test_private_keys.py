"""Where a mill finds the private keyset of a computation: in the database, or where an existing herald put it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gristmill.blobs import LocalBlobs, private_key_key
from gristmill.errors import ConfigurationError, RecordIncomplete
from gristmill.mill.private_keys import PrivateKeys
from gristmill.secret import Secret
from gristmill.trust.hybrid import PrivateKeyset, encrypt
from gristmill.trust.key_encryption import KeyEncryption, new_key_encryption_keyset, rotate_keyset

KEYSET, OTHER = PrivateKeyset.generate(), PrivateKeyset.generate()
KEK = new_key_encryption_keyset()
ID = "-1234567890123456789"


@dataclass
class Api:
    """An internal API that keeps this keyset, or none."""

    keyset: Secret | None

    def private_keyset(self, claim: Any) -> Secret | None:
        return self.keyset


@dataclass
class Claim:
    api: Any


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    """As an existing herald left them."""
    store = LocalBlobs(tmp_path)
    with store.write(private_key_key(ID)) as writer:
        writer.append(KeyEncryption(KEK).seal_keyset(OTHER.serialize()))
        writer.commit()
    return store


def opens(found: PrivateKeyset, expected: PrivateKeyset) -> bool:
    return found.decrypt(encrypt(b"a seed", expected.public_key)) == Secret(b"a seed")


def claim(keyset: Secret | None) -> Any:
    return Claim(Api(keyset))


def test_the_database_comes_first(blobs: LocalBlobs) -> None:
    assert opens(PrivateKeys(blobs, KeyEncryption(KEK)).of(claim(KEYSET.serialize()), ID), KEYSET)


def test_an_existing_heralds_keyset_is_found_in_blob_storage_also_after_a_rotation(blobs: LocalBlobs) -> None:
    for keyset in (KEK, rotate_keyset(KEK)):
        assert opens(PrivateKeys(blobs, KeyEncryption(keyset)).of(claim(None), ID), OTHER)


def test_another_key_encryption_keyset_opens_nothing(blobs: LocalBlobs) -> None:
    with pytest.raises(ConfigurationError, match="does not open with this key-encryption keyset"):
        PrivateKeys(blobs, KeyEncryption(new_key_encryption_keyset())).of(claim(None), ID)


def test_a_keyset_that_is_nowhere_says_where_it_was_looked_for(blobs: LocalBlobs) -> None:
    with pytest.raises(RecordIncomplete, match="neither in the database nor in blob storage"):
        PrivateKeys(blobs, KeyEncryption(KEK)).of(claim(None), "17")
    with pytest.raises(RecordIncomplete, match="give --key-encryption-key-file") as refused:
        PrivateKeys(blobs, None).of(claim(None), ID)
    assert ID in str(refused.value)
