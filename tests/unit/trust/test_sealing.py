"""Sealed columns open in their place, under their computation's key, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import tink
from hypothesis import given
from hypothesis import strategies as st
from tink import aead, proto_keyset_format, secret_key_access
from tink.proto import tink_pb2

from gristmill.errors import BlobCorrupt, ConfigurationError
from gristmill.secret import Secret
from gristmill.trust.files import write_private_file
from gristmill.trust.key_encryption import KeyEncryption, new_key_encryption_keyset, rotate_keyset
from gristmill.trust.sealing import Sealer, WrappedKey

KEYSET = new_key_encryption_keyset()
SEALER = Sealer(KeyEncryption(KEYSET))
KEY = SEALER.new_computation_key()
PLACE = {"table": "secrets", "row": "42", "column": "el_gamal"}
PLAINTEXT = Secret(b"an ElGamal secret")


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_was_sealed_opens(plaintext: bytes, row: str) -> None:
    sealed = SEALER.seal(KEY, Secret(plaintext), table="secrets", row=row, column="el_gamal")
    assert SEALER.unseal(KEY, sealed, table="secrets", row=row, column="el_gamal") == Secret(plaintext)


@pytest.mark.parametrize(
    "place",
    [
        {"table": "other", "row": "42", "column": "el_gamal"},
        {"table": "secrets", "row": "43", "column": "el_gamal"},
        {"table": "secrets", "row": "42", "column": "other"},
        {"table": "secrets", "row": "42el", "column": "_gamal"},
    ],
)
def test_a_sealed_value_does_not_open_elsewhere(place: dict[str, str]) -> None:
    with pytest.raises(BlobCorrupt):
        SEALER.unseal(KEY, SEALER.seal(KEY, PLAINTEXT, **PLACE), **place)


def test_a_sealed_value_does_not_open_under_another_computations_key() -> None:
    sealed = SEALER.seal(KEY, PLAINTEXT, **PLACE)
    with pytest.raises(BlobCorrupt):
        SEALER.unseal(SEALER.new_computation_key(), sealed, **PLACE)


def test_no_changed_or_shortened_value_opens() -> None:
    sealed = SEALER.seal(KEY, PLAINTEXT, **PLACE)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        for value in (bytes(changed), sealed[:position]):
            with pytest.raises(BlobCorrupt):
                SEALER.unseal(KEY, value, **PLACE)


def test_sealing_twice_gives_different_bytes_without_the_plaintext() -> None:
    one, two = (SEALER.seal(KEY, PLAINTEXT, **PLACE) for _ in range(2))
    assert one != two
    assert PLAINTEXT.expose() not in one


def test_after_a_rotation_old_keys_still_open() -> None:
    sealed = SEALER.seal(KEY, PLAINTEXT, **PLACE)
    assert Sealer(KeyEncryption(rotate_keyset(KEYSET))).unseal(KEY, sealed, **PLACE) == PLAINTEXT


def test_a_rotated_keyset_wraps_with_its_new_key() -> None:
    rotated = Sealer(KeyEncryption(rotate_keyset(KEYSET)))
    with pytest.raises(ConfigurationError, match="not encrypted by any key"):
        SEALER.seal(rotated.new_computation_key(), PLAINTEXT, **PLACE)


def test_a_rewrapped_key_opens_the_same_values_with_the_new_primary_alone() -> None:
    rotated = rotate_keyset(KEYSET)
    rewrapped = Sealer(KeyEncryption(rotated)).rewrap(KEY)
    keyset = tink_pb2.Keyset.FromString(rotated.expose())
    del keyset.key[1:]
    alone = Sealer(KeyEncryption(Secret(keyset.SerializeToString())))
    assert isinstance(rewrapped, WrappedKey)
    assert alone.unseal(rewrapped, SEALER.seal(KEY, PLAINTEXT, **PLACE), **PLACE) == PLAINTEXT


def test_a_keyset_of_the_existing_system_is_accepted(tmp_path: Path) -> None:
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES128_GCM)
    write_private_file(tmp_path / "worker1_kek.tink", proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    sealer = Sealer.read(tmp_path / "worker1_kek.tink")
    key = sealer.new_computation_key()
    assert sealer.unseal(key, sealer.seal(key, PLAINTEXT, **PLACE), **PLACE) == PLAINTEXT


def test_bytes_that_are_no_keyset_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not a binary Tink keyset"):
        KeyEncryption(Secret(b"not a keyset"))


def test_a_keyset_that_is_rotated_in_its_file_is_used_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "kek.tink"
    write_private_file(file, KEYSET.expose())
    sealer = Sealer.read(file)
    before = sealer.new_computation_key()
    rotated = rotate_keyset(KEYSET)
    _replace(file, rotated)
    after = sealer.new_computation_key()
    sealed = sealer.seal(before, PLAINTEXT, **PLACE)
    assert sealer.unseal(before, sealed, **PLACE) == PLAINTEXT
    with pytest.raises(ConfigurationError):
        SEALER.seal(after, PLAINTEXT, **PLACE)


@pytest.mark.parametrize("content", [b"", b"not a keyset"])
def test_a_file_that_becomes_unusable_leaves_the_keyset_as_it_was(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "kek.tink"
    write_private_file(file, KEYSET.expose())
    sealer = Sealer.read(file)
    _replace(file, Secret(content))
    assert sealer.unseal(KEY, sealer.seal(KEY, PLAINTEXT, **PLACE), **PLACE) == PLAINTEXT
    file.unlink()
    assert sealer.unseal(KEY, sealer.seal(KEY, PLAINTEXT, **PLACE), **PLACE) == PLAINTEXT


def _replace(file: Path, content: Secret) -> None:
    write_private_file(file.with_suffix(".new"), content.expose())
    file.with_suffix(".new").replace(file)
