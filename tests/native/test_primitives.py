"""Keys, points, sketches, noise parameters and the estimator against the recorded vectors."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill import _native as native
from gristmill._native import InvalidArgument
from native.recorded import load


def test_hash_to_curve_gives_the_recorded_points() -> None:
    rows = load("hash_to_curve")["hash_to_curve_sha256"]
    assert [native.hash_to_curve(bytes.fromhex(row["input"])).hex() for row in rows] == [row["point"] for row in rows]
    for text, row in load("formula_examples")["hash_to_curve_sha256"].items():
        assert native.hash_to_curve(text.encode()).hex() == row["point"]


def test_hashing_all_at_once_gives_the_recorded_points_in_their_order() -> None:
    rows = load("hash_to_curve")["hash_to_curve_sha256"]
    points = native.hash_all_to_curve([bytes.fromhex(row["input"]) for row in rows])
    assert points.hex() == "".join(row["point"] for row in rows)


def test_both_encodings_of_a_point_give_the_compressed_one() -> None:
    for row in load("hash_to_curve")["hash_to_curve_sha256"]:
        assert native.check_point(bytes.fromhex(row["point_uncompressed"])).hex() == row["point"]
        assert native.check_point(bytes.fromhex(row["point"])).hex() == row["point"]


@pytest.mark.parametrize("row", load("el_gamal")["point_decoding"], ids=lambda row: row["bytes"][:8])
def test_a_byte_string_is_a_point_where_the_original_says_so(row: dict[str, Any]) -> None:
    encoding = bytes.fromhex(row["bytes"])
    if row["ok"]:
        assert native.check_point(encoding) == encoding
    else:
        with pytest.raises(InvalidArgument):
            native.check_point(encoding)


@given(st.binary(min_size=33, max_size=33))
def test_hybrid_encodings_and_infinity_are_refused(tail: bytes) -> None:
    for lead in (0, 1, 5, 6, 7):
        with pytest.raises(InvalidArgument):
            native.check_point(bytes([lead]) + tail[1:])
        with pytest.raises(InvalidArgument):
            native.check_point(bytes([lead]) + tail + tail[:31])


def test_public_elements_and_their_combination_are_the_recorded_ones() -> None:
    vectors = load("el_gamal")
    elements = [native.public_element(bytes.fromhex(key["secret_key"])) for key in vectors["keys"]]
    assert [element.hex() for element in elements] == [key["element"] for key in vectors["keys"]]
    assert native.combine_public_keys(elements).hex() == vectors["combined_element_of_all"]
    assert native.combine_public_keys(elements[::-1]).hex() == vectors["combined_element_of_all"]
    assert native.combine_public_keys(elements[-2:]).hex() == vectors["combined_element_of_last_two"]


def test_the_initialization_phase_publishes_the_element_of_its_scalar() -> None:
    for call in load("el_gamal")["initialization_phase"]:
        (scalar,) = call["random_scalars"]
        assert native.public_element(bytes.fromhex(scalar)).hex() in call["response"]


def test_a_generated_pair_belongs_together() -> None:
    secret, element = native.generate_key_pair()
    assert native.public_element(secret) == element
    assert native.public_element(secret.rjust(32, b"\0")) == element
    assert secret[0] != 0


@pytest.mark.parametrize("secret", [b"", b"\0", bytes(32), bytes(33), b"\xff" * 32])
def test_a_secret_out_of_range_is_refused(secret: bytes) -> None:
    with pytest.raises(InvalidArgument):
        native.public_element(secret)


def test_registers_of_single_vids_are_the_recorded_ones() -> None:
    for sketch in load("liquid_legions_sketch")["liquid_legions"]:
        for item, index_fingerprint, index, key_fingerprint, key in sketch["rows"]:
            text = f"AnySketchFingerprint:{item}:"
            assert native.fingerprint64((text + "Index").encode()) == int(index_fingerprint)
            assert native.fingerprint64((text + "SamplingIndicator").encode()) == int(key_fingerprint)
            if re.fullmatch(r"0|-?[1-9][0-9]*", item) and -(2**63) <= int(item) < 2**63:
                (register,) = native.build_sketch(
                    [int(item)],
                    decay_rate=sketch["decay_rate"],
                    size=sketch["size"],
                    sampling_indicator_size=sketch["sampling_indicator_size"],
                )
                assert register == (index, key + 1, 1)


def test_farm_fingerprints_are_the_recorded_ones() -> None:
    for item, fingerprint, *_ in load("liquid_legions_sketch")["fingerprints"]["rows"]:
        assert native.fingerprint64(item.encode()) == int(fingerprint)
    for vid, row in load("formula_examples")["vid_sampler"].items():
        assert native.fingerprint64(struct.pack("<q", int(vid) + 1414214)) == int(row["fingerprint"], 16)
        assert native.vid_sample(int(vid)) == row["unit"]


def test_a_whole_sketch_is_the_recorded_one() -> None:
    sketch = load("liquid_legions_sketch")["whole_sketch"]
    vids = [vid for vid in range(1, 401) for _ in range(1 + vid % 3)]
    registers = native.build_sketch(
        vids,
        decay_rate=sketch["decay_rate"],
        size=sketch["size"],
        sampling_indicator_size=sketch["sampling_indicator_size"],
    )
    assert registers == [tuple(register) for register in sketch["registers_index_key_count"]]


def test_a_sampling_interval_beyond_one_goes_on_at_zero() -> None:
    def sampled(start: float, width: float) -> set[int]:
        parameters = {"decay_rate": 1.1, "size": 10**12, "sampling_indicator_size": 100}
        return {
            index
            for index, _, _ in native.build_sketch(
                range(500),
                sampling_start=start,
                sampling_width=width,
                **parameters,  # type: ignore[arg-type]
            )
        }

    assert sampled(0.75, 0.5) == sampled(0.75, 0.25) | sampled(0.0, 0.25)
    assert 60 < len(sampled(0.75, 0.25)) < 190


@pytest.mark.parametrize("run", ["llv2_run", "llv2_run_noise_geometric", "llv2_run_max_frequency_1_noise_gaussian"])
@pytest.mark.parametrize(("threads", "block"), [(1, 1), (2, 7), (2, None)])
def test_encrypted_sketches_are_the_recorded_ones(tmp_path: Path, run: str, threads: int, block: int | None) -> None:
    vectors = load(run)
    columns = ("plain_sketches", "encrypted_sketches", "sketch_encryption_random_scalars")
    for number, (plain, encrypted, scalars) in enumerate(zip(*(vectors[column] for column in columns), strict=True)):
        output = tmp_path / str(number)
        written = native.encrypt_sketch(
            [(index, key, count) for index, key, count in plain],
            output=str(output),
            public_key=bytes.fromhex(vectors["combined_public_key_element"]),
            maximum_frequency=vectors["config"]["maximum_frequency"],
            randomness=native.Randomness.replay([bytes.fromhex(scalar) for scalar in scalars]),
            threads=threads,
            progress=native.Progress(),
            block=block,
        )
        assert written == len(plain)
        assert output.read_bytes().hex() == encrypted


def test_noise_parameters_are_the_recorded_ones() -> None:
    sensitivities = {"blind_histogram": 2, "frequency": 2, "global_reach": 1}
    for row in load("noise_parameters")["rows"]:
        known = [value for kind, value in sensitivities.items() if row["kind"].startswith(kind)]
        parameters = native.noise_parameters(
            mechanism=row["mechanism"],
            epsilon=row["epsilon"],
            delta=row["delta"],
            contributors=row["contributor_count"],
            sensitivity=known[0] if known else row["publisher_count"],
        )
        assert parameters.shift_offset == row["shift_offset"]
        assert parameters.p == row.get("p")
        assert parameters.sigma_distributed == row.get("sigma_distributed")


def test_reach_estimates_are_the_recorded_ones() -> None:
    for decay_rate, size, active, width, reach in load("reach_estimator")["rows"]:
        estimate = native.estimate_reach(decay_rate=decay_rate, size=size, active=active, sampling_width=width)
        # Five rows near saturation differ in the fourteenth digit, as they do with other exponential integrals.
        assert estimate == pytest.approx(reach, rel=3e-14, abs=0)
    for parameters, rows in load("formula_examples")["estimator"].items():
        rate, size = parameters.split(",")
        for active, reach in rows.items():
            found = native.estimate_reach(decay_rate=float(rate), size=int(size), active=int(active), sampling_width=1)
            assert found == reach


@pytest.mark.parametrize(
    "change", [{"active": 100}, {"decay_rate": 1.0}, {"sampling_width": 0.0}, {"sampling_width": 1.5}, {"size": 0}]
)
def test_an_estimate_that_cannot_be_made_is_refused(change: dict[str, Any]) -> None:
    arguments = {"decay_rate": 12.0, "size": 100, "active": 10, "sampling_width": 1.0} | change
    with pytest.raises(InvalidArgument):
        native.estimate_reach(**arguments)


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon": 0.0},
        {"epsilon": 1e-300},
        {"epsilon": float("inf")},
        {"delta": 0.0},
        {"delta": float("nan")},
        {"contributors": 0},
        {"mechanism": "LAPLACE"},
        {"sensitivity": 0.0},
    ],
)
def test_noise_parameters_without_a_meaning_are_refused(change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {
        "mechanism": "GEOMETRIC",
        "epsilon": 1.0,
        "delta": 1e-5,
        "contributors": 3,
        "sensitivity": 1.0,
    }
    with pytest.raises(InvalidArgument):
        native.noise_parameters(**arguments | change)


@pytest.mark.parametrize("mechanism", ["GEOMETRIC", "DISCRETE_GAUSSIAN"])
@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 40.0, 600.0])
def test_noise_counts_stay_within_twice_their_offset(mechanism: str, epsilon: float) -> None:
    named: dict[str, Any] = {"mechanism": mechanism, "epsilon": epsilon, "delta": 1e-5}
    named |= {"contributors": 3, "sensitivity": 2.0}
    counts = native.sample_noise(**named, count=500, randomness=native.Randomness.seeded(b"bounds"))
    offset = native.noise_parameters(**named).shift_offset
    assert all(0 <= count <= 2 * offset for count in counts)
    assert counts == native.sample_noise(**named, count=500, randomness=native.Randomness.seeded(b"bounds"))
