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
from gristmill.trust.sealing import Sealer, WrappedKey, new_key_encryption_keyset, rotate_keyset

KEYSET = new_key_encryption_keyset()
SEALER = Sealer(KEYSET)
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
    assert Sealer(rotate_keyset(KEYSET)).unseal(KEY, sealed, **PLACE) == PLAINTEXT


def test_a_rotated_keyset_wraps_with_its_new_key() -> None:
    rotated = Sealer(rotate_keyset(KEYSET))
    with pytest.raises(ConfigurationError, match="not wrapped by any key"):
        SEALER.seal(rotated.new_computation_key(), PLAINTEXT, **PLACE)


def test_a_rewrapped_key_opens_the_same_values_with_the_new_primary_alone() -> None:
    rotated = rotate_keyset(KEYSET)
    rewrapped = Sealer(rotated).rewrap(KEY)
    keyset = tink_pb2.Keyset.FromString(rotated.expose())
    del keyset.key[1:]
    alone = Sealer(Secret(keyset.SerializeToString()))
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
        Sealer(Secret(b"not a keyset"))
