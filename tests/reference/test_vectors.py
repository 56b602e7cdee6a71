"""The reference against the recorded outputs of the original: primitives, sketches, noise parameters, estimator."""

from collections import Counter

import pytest

from protocol.vectors import vectors
from reference import curve, sketch
from reference.el_gamal import Ciphertext, combine_public_keys, encrypt, integer_point
from reference.estimator import estimate_reach
from reference.fingerprint import fingerprint64
from reference.noise import noise


def point(text: str) -> curve.Affine:
    return curve.decode(bytes.fromhex(text))


def ciphertext(text: str) -> Ciphertext:
    return Ciphertext.decoded(bytes.fromhex(text))


def test_texts_hash_to_the_recorded_points() -> None:
    recorded = vectors("hash_to_curve")
    for row in recorded["hash_to_curve_sha256"]:
        hashed = curve.hash_to_curve(bytes.fromhex(row["input"]))
        assert curve.encode(hashed).hex() == row["point"]
        assert point(row["point_uncompressed"]) == hashed
    for row in recorded["random_oracle_sha256_mod_p"]:
        assert curve.random_oracle(bytes.fromhex(row["input"])) == int(row["x"], 16)
    for count, encoding in enumerate(recorded["multiples_of_unit_ec_point"], start=1):
        assert curve.encode(integer_point(count)).hex() == encoding


def test_pohlig_hellman_keys_multiply_points_as_recorded() -> None:
    for cipher in vectors("ec_commutative_cipher")["ciphers"]:
        key = int(cipher["key_given"], 16)
        assert curve.minimal_bytes(key).hex() == cipher["key_exported"]
        for row in cipher["encrypt"]:
            hashed = curve.hash_to_curve(bytes.fromhex(row["plaintext"]))
            assert curve.encode(hashed).hex() == row["decrypted_point"]
            assert curve.encode(curve.multiply(key, hashed)).hex() == row["ciphertext"]
        for row in cipher["re_encrypt"]:
            assert curve.multiply(key, point(row["point"])) == point(row["re_encrypted"])
        for row in cipher["re_encrypt_el_gamal"]:
            assert ciphertext(row["ciphertext"]).times(key) == ciphertext(row["re_encrypted"])


def test_el_gamal_encrypts_and_decrypts_as_recorded() -> None:
    recorded = vectors("el_gamal")
    for key in recorded["keys"]:
        secret, element = int(key["secret_key"], 16), point(key["element"])
        assert curve.multiply_base(secret) == element
        for row in key["encrypt"]:
            fresh = encrypt(point(row["plaintext_point"]), element, int(row["random_scalar"], 16))
            assert fresh.encoded().hex() == row["ciphertext"]
            assert fresh.decrypted(secret) == point(row["decrypted"])
        for row in key["encrypt_identity"]:
            zero = encrypt(None, element, int(row["random_scalar"], 16))
            assert zero.encoded().hex() == row["ciphertext"]
            assert zero.decrypted(secret) is None
        for row in key["decrypt_any"]:
            assert ciphertext(row["ciphertext"]).decrypted(secret) == point(row["decrypted"])


def test_public_keys_combine_as_recorded() -> None:
    recorded = vectors("el_gamal")
    elements = [point(key["element"]) for key in recorded["keys"]]
    assert combine_public_keys(elements) == point(recorded["combined_element_of_all"])
    assert combine_public_keys(elements[1:]) == point(recorded["combined_element_of_last_two"])


def test_encodings_are_accepted_and_refused_as_recorded() -> None:
    for row in vectors("el_gamal")["point_decoding"]:
        if row["ok"]:
            curve.decode(bytes.fromhex(row["bytes"]))
        else:
            with pytest.raises(ValueError, match="point"):
                curve.decode(bytes.fromhex(row["bytes"]))


def test_fingerprints_indices_and_keys_are_the_recorded_ones() -> None:
    recorded = vectors("liquid_legions_sketch")
    for table in recorded["liquid_legions"]:
        for item, index_fingerprint, index, key_fingerprint, key in table["rows"]:
            assert fingerprint64(f"AnySketchFingerprint:{item}:Index".encode()) == int(index_fingerprint)
            assert fingerprint64(f"AnySketchFingerprint:{item}:SamplingIndicator".encode()) == int(key_fingerprint)
            assert sketch.register_index(item, table["decay_rate"], table["size"]) == index
            assert sketch.register_key(item, table["sampling_indicator_size"]) == int(key)
    for item, plain, salted, *_ in recorded["fingerprints"]["rows"]:
        assert fingerprint64(item.encode()) == int(plain)
        assert fingerprint64((item + recorded["fingerprints"]["salt"]).encode()) == int(salted)


def test_a_whole_sketch_is_the_recorded_one() -> None:
    recorded = vectors("liquid_legions_sketch")["whole_sketch"]
    settings = {name: recorded[name] for name in ("decay_rate", "size", "sampling_indicator_size")}
    events = Counter({vid: 1 + vid % 3 for vid in range(1, 401)})
    built = sketch.build_sketch(events.elements(), **settings)
    assert sorted(built) == sorted(tuple(register) for register in recorded["registers_index_key_count"])


def test_vids_have_the_specified_samples() -> None:
    for vid, row in vectors("formula_examples")["vid_sampler"].items():
        assert sketch.vid_sample(int(vid)) == sketch.float32(row["unit"])


def test_reach_is_estimated_as_recorded() -> None:
    for decay_rate, size, active, width, reach in vectors("reach_estimator")["rows"]:
        estimate = estimate_reach(decay_rate=decay_rate, size=size, active=active, sampling_width=width)
        if reach < 10**13:  # beyond that doubles do not determine the last digits
            assert estimate == reach
        else:
            assert estimate == pytest.approx(reach, rel=1e-12)


def test_noise_parameters_are_the_recorded_ones() -> None:
    sensitivity = {"blind_histogram": 2, "frequency": 2, "global_reach": 1}
    kinds = set()
    for row in vectors("noise_parameters")["rows"]:
        kinds.add(row["kind"])
        parameters = noise(
            row["mechanism"],
            (row["epsilon"], row["delta"]),
            contributors=row["contributor_count"],
            sensitivity=next((s for kind, s in sensitivity.items() if kind in row["kind"]), row["publisher_count"]),
        )
        assert parameters.offset == row["shift_offset"]
        if "p" in row:
            assert parameters.p == row["p"]
        else:
            assert parameters.deviation == pytest.approx(row["sigma_distributed"], rel=1e-15)
    assert len(kinds) == 4, kinds
