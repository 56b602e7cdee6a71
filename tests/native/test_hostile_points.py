"""What no honest party sends, in every stage: refused with the record and the file that it is in, no output made."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from gristmill import _native as native
from gristmill._native import InvalidArgument
from native.duchies import AGGREGATOR, ESTIMATE, Duchies
from native.test_stages import NEARLY_CONSTANT, SKETCHES

PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
OFF_CURVE = b"\x02" + bytes(31) + b"\x01"
GENERATOR = bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
NO_POINTS = {
    "off the curve": OFF_CURVE,
    "infinity": bytes(33),
    "x is the prime": b"\x02" + PRIME.to_bytes(32, "big"),
    "x beyond the prime": b"\x03" + (PRIME + 5).to_bytes(32, "big"),  # x = 5 is on the curve, in its own encoding
    "x of ones": b"\x02" + b"\xff" * 32,
    "uncompressed": b"\x04" + GENERATOR[1:],
    "hybrid": b"\x06" + GENERATOR[1:],
    "no first byte": b"\x00" + GENERATOR[1:],
    "first byte 1": b"\x01" + GENERATOR[1:],
    "first byte 130": b"\x82" + GENERATOR[1:],
}
Stage = Callable[[Duchies], object]


@pytest.fixture
def duchies(tmp_path: Path) -> Duchies:
    """Before any stage; every duchy's input of a stage is a file named as the output of the stage before it."""
    ready = Duchies(tmp_path, SKETCHES, 3, "hostile")
    ready.tuple_noise = native.TupleNoise(
        mechanism="GEOMETRIC", contributors=3, maximum_frequency=3, frequency=NEARLY_CONSTANT
    )
    return ready


def setup(own: list[str], received: list[str]) -> Stage:
    def run(duchies: Duchies) -> object:
        paths = [[str(duchies.folder / name) for name in names] for names in (own, received)]
        return duchies.run(native.llv2_setup, "made", own=paths[0], received=paths[1], maximum_frequency=3, noise=None)

    return run


def blind(duchies: Duchies) -> object:
    inputs = duchies.path("input")
    return duchies.run(native.llv2_blind_registers, "made", inputs=inputs, secret_key=duchies.secrets[0])


def join(duchies: Duchies) -> object:
    return duchies.run(
        native.llv2_join_registers,
        "made",
        inputs=duchies.path("input"),
        secret_key=duchies.secrets[AGGREGATOR],
        sketches=9,
        noise=duchies.tuple_noise,
    )


def decrypt_flags(duchies: Duchies) -> object:
    return duchies.run(
        native.llv2_decrypt_flags,
        "made",
        inputs=duchies.path("input"),
        secret_key=duchies.secrets[0],
        partial_public_key=duchies.partial_keys[0],
        noise=duchies.tuple_noise,
    )


def reach(duchies: Duchies) -> object:
    return duchies.run(
        native.llv2_estimate_reach,
        "made",
        inputs=duchies.path("input"),
        secret_key=duchies.secrets[AGGREGATOR],
        maximum_frequency=3,
        **ESTIMATE,
        reach_baseline=None,
        noise=duchies.tuple_noise,
    )


def decrypt_counts(duchies: Duchies) -> object:
    output = str(duchies.folder / "made")
    inputs = duchies.path("input")
    return duchies.run(native.llv2_decrypt_counts, "", inputs=inputs, output=output, secret_key=duchies.secrets[0])


def frequency(duchies: Duchies) -> object:
    return duchies.run(
        native.llv2_estimate_frequency,
        "",
        inputs=duchies.path("input"),
        secret_key=duchies.secrets[AGGREGATOR],
        maximum_frequency=3,
        baseline=None,
    )


def reach_only_setup(own: list[str], received: list[str]) -> Stage:
    def run(duchies: Duchies) -> object:
        paths = [[str(duchies.folder / name) for name in names] for names in (own, received)]
        return duchies.run(native.reach_only_setup, "made", own=paths[0], received=paths[1], noise=None)

    return run


def reach_only_blind(duchies: Duchies) -> object:
    inputs = duchies.path("input")
    return duchies.run(native.reach_only_blind_registers, "made", inputs=inputs, secret_key=duchies.secrets[0])


def reach_only_count(duchies: Duchies) -> object:
    return duchies.run(
        native.reach_only_estimate_reach,
        "",
        inputs=duchies.path("input"),
        spill_folder=str(duchies.folder),
        secret_key=duchies.secrets[AGGREGATOR],
        **ESTIMATE,
        reach_baseline=None,
        noise=None,
    )


STAGES: dict[str, tuple[Stage, int]] = {
    "setup, own": (setup(["input"], ["other"]), 198),
    "setup, received": (setup(["other"], ["input"]), 198),
    "blind_registers": (blind, 198),
    "join_registers": (join, 198),
    "decrypt_flags": (decrypt_flags, 264),
    "estimate_reach": (reach, 264),
    "decrypt_counts": (decrypt_counts, 66),
    "estimate_frequency": (frequency, 132),
    "reach only: setup, own": (reach_only_setup(["input"], ["other"]), 66),
    "reach only: setup, received": (reach_only_setup(["other"], ["input"]), 66),
    "reach only: blind_registers": (reach_only_blind, 66),
    "reach only: estimate_reach": (reach_only_count, 66),
}
every_stage = pytest.mark.parametrize(("stage", "record"), STAGES.values(), ids=STAGES)


@cache
def points(count: int) -> bytes:
    return b"".join(native.hash_to_curve(bytes([number % 251])) for number in range(count))


def excess_of_none(duchies: Duchies) -> bytes:
    """What ends a blob of the reach-only protocol: an encryption of zero, for the aggregator alone."""
    return GENERATOR + native.public_element(duchies.secrets[AGGREGATOR])


def refused(duchies: Duchies, stage: Stage, content: bytes) -> str:
    """How the stage refuses this input, which it leaves alone and makes nothing of."""
    (duchies.folder / "input").write_bytes(content)
    (duchies.folder / "other").write_bytes(points(12))
    before = sorted(duchies.folder.iterdir())
    with pytest.raises(InvalidArgument) as caught:
        stage(duchies)
    assert sorted(duchies.folder.iterdir()) == before
    assert (duchies.folder / "input").read_bytes() == content
    return str(caught.value)


@every_stage
def test_what_is_no_point_is_refused_wherever_it_stands(duchies: Duchies, stage: Stage, record: int) -> None:
    in_record, bad = record // 33, 70  # records, over more than one chunk
    for at, (fault, encoding) in enumerate(NO_POINTS.items()):
        for place in {at % in_record, in_record - 1}:
            content = bytearray(points(in_record * (bad + 4)))
            start = record * bad + 33 * place
            content[start : start + 33] = encoding
            text = refused(duchies, stage, bytes(content) + excess_of_none(duchies) * (record == 66))
            assert "point" in text, fault
            named = re.search(rf"^{duchies.folder}/input: (record {bad}|a record) has a point", text)
            assert named, (fault, place, text)


@every_stage
def test_a_wrong_length_is_refused_with_the_file_that_has_it(duchies: Duchies, stage: Stage, record: int) -> None:
    whole = points(record // 33 * 3)
    for content in (whole[:-1], whole + b"\x02", whole[:1], whole + whole[:33]):
        assert refused(duchies, stage, content).startswith(f"{duchies.folder}/input: ")


@pytest.mark.parametrize(
    ("stage", "layer"),
    [(blind, 0), (join, AGGREGATOR), (decrypt_counts, 0), (reach_only_blind, 0), (reach_only_count, AGGREGATOR)],
)
def test_a_ciphertext_of_infinity_is_the_senders_fault_and_no_defect(
    duchies: Duchies, stage: Stage, layer: int
) -> None:
    """(G, Y) decrypts to infinity under the key of Y, and anybody can send that."""
    to_infinity = GENERATOR + native.public_element(duchies.secrets[layer])
    rest, end = points(4) if stage in (blind, join) else b"", b""
    if stage in (reach_only_blind, reach_only_count):
        end = excess_of_none(duchies)
    content = points(6 if rest else 2) * 3 + to_infinity + rest + end
    text = refused(duchies, stage, content)
    assert text == f"{duchies.folder}/input: record 3 decrypts to the point at infinity"


def test_of_several_files_the_one_at_fault_is_named(duchies: Duchies) -> None:
    names = ["one", "two", "three"]
    for name in names:
        (duchies.folder / name).write_bytes(points(12))
    (duchies.folder / "two").write_bytes(points(6) + OFF_CURVE + points(5))
    for own, received in ((names, []), ([], names), (names[:1], names[1:])):
        with pytest.raises(InvalidArgument, match=f"^{duchies.folder}/two: record 1 has a point"):
            setup(own, received)(duchies)
        assert not (duchies.folder / "made").exists()


def test_the_same_stages_take_points(duchies: Duchies) -> None:
    """So that it was the points that were refused."""
    for stage, record in STAGES.values():
        end = excess_of_none(duchies) if record == 66 else b""
        (duchies.folder / "input").write_bytes(points(record // 33 * 4) + end)
        (duchies.folder / "other").write_bytes(points(12))
        stage(duchies)
        (duchies.folder / "made").unlink(missing_ok=True)
