"""Random sources: commitments, replays that must fit exactly, and no draw shared between calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from gristmill import _native as native
from gristmill._native import InvalidArgument

ELEMENT = native.public_element(b"\x05")


def encrypt(output: Path, randomness: native.Randomness) -> bytes:
    native.encrypt_sketch(
        [(1, 2, 3), (4, 0, 6)],
        output=str(output),
        public_key=ELEMENT,
        maximum_frequency=10,
        randomness=randomness,
        threads=1,
        progress=native.Progress(),
    )
    return output.read_bytes()


def test_only_a_committed_source_has_a_commitment() -> None:
    commitments = {native.Randomness.committed().commitment for _ in range(3)}
    assert all(commitment is not None and len(commitment) == 32 for commitment in commitments)
    assert len(commitments) == 3
    assert native.Randomness.operating_system().commitment is None
    assert native.Randomness.seeded(b"1").commitment is None


@pytest.mark.parametrize("source", ["operating_system", "committed"])
def test_two_calls_never_share_a_draw(tmp_path: Path, source: str) -> None:
    randomness = getattr(native.Randomness, source)()
    contents = [encrypt(tmp_path / str(call), randomness) for call in range(2)]
    points = [content[at : at + 33] for content in contents for at in range(0, len(content), 66)]
    assert len(set(points)) == 12


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    seeds = [b"one", b"one", b"two"]
    first, second, third = (
        encrypt(tmp_path / str(call), native.Randomness.seeded(seed)) for call, seed in enumerate(seeds)
    )
    assert first == second != third


@pytest.mark.parametrize(("scalars", "noise_counts"), [(5, []), (7, []), (6, [1])])
def test_a_recorded_call_must_fit_exactly(tmp_path: Path, scalars: int, noise_counts: list[int]) -> None:
    randomness = native.Randomness.replay([bytes([number + 1]) for number in range(scalars)], noise_counts)
    with pytest.raises(InvalidArgument, match="recorded"):
        encrypt(tmp_path / "output", randomness)
    assert not (tmp_path / "output").exists()


def test_a_recorded_call_is_replayed_once(tmp_path: Path) -> None:
    randomness = native.Randomness.replay([bytes([number + 1]) for number in range(6)])
    content = encrypt(tmp_path / "first", randomness)
    assert content[:33] == native.public_element(b"\x01")
    with pytest.raises(InvalidArgument, match="only once"):
        encrypt(tmp_path / "second", randomness)


@pytest.mark.parametrize("scalar", [b"", b"\0", bytes(33), b"\xff" * 32])
def test_a_recorded_scalar_out_of_range_is_refused(scalar: bytes) -> None:
    with pytest.raises(InvalidArgument):
        native.Randomness.replay([scalar])


def test_secrets_have_no_text() -> None:
    assert "0505" not in repr(native.Randomness.replay([b"\x05" * 32])) + str(native.Randomness.seeded(b"\x05" * 8))
