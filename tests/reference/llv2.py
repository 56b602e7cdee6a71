"""Every stage of Liquid Legions v2, both roles (LLv2 specification, sections 3 to 6).

A stage takes and gives concatenated ciphertexts as bytes. Scalars come from `draws` in the order in which the original
draws them; noise counts are given, in the order of `RegisterNoise.sample` and `TupleNoise.sample`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from reference import curve, estimator
from reference.curve import Affine, Point
from reference.draws import Draws, random_point, skip
from reference.el_gamal import (
    CIPHERTEXT_BYTES,
    UNIT,
    Ciphertext,
    blocks,
    decode_row,
    encode_row,
    encrypt,
    integer_point,
)
from reference.noise import Baseline, RegisterNoise, TupleNoise
from reference.sketch import DESTROYED_KEY_POINT

REGISTER_BYTES = 3 * CIPHERTEXT_BYTES
TUPLE_BYTES = 4 * CIPHERTEXT_BYTES
BLIND_KEY_POINT = curve.hash_to_curve(b"blinded_histogram_noise_register_key")
PUBLISHER_INDEX_POINT = curve.hash_to_curve(b"publisher_noise_register_id")
PADDING_INDEX_POINT = curve.hash_to_curve(b"padding_noise_register_id")


# Setup


def setup(
    *,
    own: bytes,
    received: bytes,
    public_key: Affine | None,
    maximum_frequency: int,
    noise: RegisterNoise | None,
    counts: Sequence[int],
    draws: Draws,
) -> bytes:
    if maximum_frequency == 1 and own:
        if public_key is None or noise is None:
            raise ValueError("with maximum frequency 1 the registers are rewritten, which needs noise parameters")
        skip(draws, 3)
        own = b"".join(_without_frequency(register, public_key, draws) for register in blocks(own, REGISTER_BYTES))
    registers = blocks(own + received, REGISTER_BYTES)
    if noise is not None:
        if public_key is None:
            raise ValueError("noise needs the public key")
        registers += _noise_registers(noise, counts, public_key, draws)
    return b"".join(sorted(registers))


def _without_frequency(register: bytes, public_key: Affine, draws: Draws) -> bytes:
    key = encrypt(DESTROYED_KEY_POINT, public_key, draws.scalar())
    count = encrypt(random_point(draws, "random_count"), public_key, draws.scalar())
    return register[:CIPHERTEXT_BYTES] + encode_row([key, count])


def _noise_registers(noise: RegisterNoise, counts: Sequence[int], public_key: Affine, draws: Draws) -> list[bytes]:
    blind, publisher, reach = counts[: noise.sketches], counts[noise.sketches], counts[noise.sketches + 1]
    publisher += noise.group_floor
    skip(draws, 3)
    registers: list[bytes] = []

    def encrypted(*plaintexts: Point) -> None:
        registers.append(encode_row([encrypt(plaintext, public_key, draws.scalar()) for plaintext in plaintexts]))

    def random_with_index(index: Affine) -> None:
        index_ciphertext = encrypt(index, public_key, draws.scalar())
        value = random_point(draws)
        values = [encrypt(value, public_key, draws.scalar()) for _ in range(2)]
        registers.append(encode_row([index_ciphertext, *values]))

    ids = [[random_point(draws, "blinded_histogram_noise") for _ in range(n)] for n in blind]
    for group_size, group_ids in enumerate(ids, start=1):
        for index in group_ids:
            for _ in range(group_size):
                encrypted(index, BLIND_KEY_POINT, BLIND_KEY_POINT)
    for _ in range(publisher):
        random_with_index(PUBLISHER_INDEX_POINT)
    for _ in range(reach):
        encrypted(random_point(draws, "reach_dp_noise"), DESTROYED_KEY_POINT, DESTROYED_KEY_POINT)
    for _ in range(noise.total + 2 * noise.group_floor - len(registers)):
        random_with_index(PADDING_INDEX_POINT)
    return registers


# Execution phase one


def blind_registers(data: bytes, *, secret_key: int, public_key: Affine, draws: Draws) -> bytes:
    pohlig_hellman_key = draws.scalar()
    skip(draws, 1)
    output = []
    for block in blocks(data, REGISTER_BYTES):
        index, key, count = decode_row(block)
        key, count = (each.re_randomised(public_key, draws.scalar()) for each in (key, count))
        output.append(encode_row([index.blinded(secret_key, pohlig_hellman_key), key, count]))
    return b"".join(sorted(output))


def decrypted_indices(data: bytes, *, secret_key: int) -> list[bytes]:
    """What the aggregator joins by: the encoded point of each register's index."""
    return [
        curve.encode(Ciphertext.decoded(block[:CIPHERTEXT_BYTES]).decrypted(secret_key))
        for block in blocks(data, REGISTER_BYTES)
    ]


def join_registers(
    data: bytes,
    *,
    secret_key: int,
    public_key: Affine,
    sketches: int,
    noise: TupleNoise | None,
    counts: Sequence[int],
    draws: Draws,
) -> bytes:
    """Groups by index; the members of a group keep the order of the input."""
    skip(draws, 1)
    destroyed = encrypt(DESTROYED_KEY_POINT, public_key, draws.scalar())
    blind = encrypt(BLIND_KEY_POINT, public_key, draws.scalar())
    indexed = zip(decrypted_indices(data, secret_key=secret_key), blocks(data, REGISTER_BYTES), strict=True)
    output = []
    for _, group in groupby(sorted(indexed, key=lambda each: each[0]), key=lambda each: each[0]):
        members = [decode_row(register)[1:] for _, register in group]
        if len(members) <= sketches:
            output.append(encode_row(_join(members, destroyed, blind, public_key, draws)))
    if noise is not None:
        output += _noise_tuples(noise, counts, public_key, public_key, draws)
    return b"".join(sorted(output))


def _join(
    members: list[list[Ciphertext]], destroyed: Ciphertext, blind: Ciphertext, public_key: Affine, draws: Draws
) -> list[Ciphertext]:
    first_key, count = members[0]
    same_key = encrypt(None, public_key, draws.scalar())
    for key, other_count in members[1:]:
        same_key = same_key.plus(key.minus(first_key).times(draws.scalar()))
        count = count.plus(other_count)
    count = count.plus(same_key.times(draws.scalar()))
    is_destroyed = destroyed.plus(same_key).minus(first_key).times(draws.scalar())
    is_blind = blind.plus(same_key).minus(first_key).times(draws.scalar())
    return [same_key, is_destroyed, is_blind, count]


def _noise_tuples(
    noise: TupleNoise, counts: Sequence[int], public_key: Affine, partial_public_key: Affine, draws: Draws
) -> list[bytes]:
    if noise.maximum_frequency < 2:
        return []
    tuples: list[bytes] = []

    def flag(plaintext: Point) -> Ciphertext:
        return encrypt(plaintext, partial_public_key, draws.scalar())

    def count(plaintext: Point) -> Ciphertext:
        return encrypt(plaintext, public_key, draws.scalar())

    for frequency, repetitions in enumerate(counts[: noise.maximum_frequency], start=1):
        for _ in range(repetitions):
            flags = [flag(None), flag(random_point(draws)), flag(random_point(draws))]
            tuples.append(encode_row([*flags, count(integer_point(frequency))]))
    for _ in range(counts[noise.maximum_frequency]):
        flags = [flag(random_point(draws)) for _ in range(3)]
        tuples.append(encode_row([*flags, count(random_point(draws))]))
    while len(tuples) < noise.total:
        zeros = [flag(None), flag(None)]
        value = random_point(draws)
        tuples.append(encode_row([*zeros, flag(value), count(value)]))
    return tuples


# Execution phase two


def decrypt_flags(
    data: bytes,
    *,
    secret_key: int,
    public_key: Affine,
    partial_public_key: Affine,
    noise: TupleNoise | None,
    counts: Sequence[int],
    draws: Draws,
) -> bytes:
    skip(draws, 1)
    output = []
    for block in blocks(data, TUPLE_BYTES):
        *flags, count = decode_row(block)
        lighter = [
            flag.partially_decrypted(secret_key).re_randomised(partial_public_key, draws.scalar()) for flag in flags
        ]
        output.append(encode_row([*lighter, count.re_randomised(public_key, draws.scalar())]))
    if noise is not None:
        output += _noise_tuples(noise, counts, public_key, partial_public_key, draws)
    return b"".join(sorted(output))


@dataclass(frozen=True, slots=True)
class ReachFigures:
    matrix: bytes
    reach: int
    tuples: int
    blind: int
    kept: int
    active: int


def estimate_reach(
    data: bytes,
    *,
    secret_key: int,
    public_key: Affine,
    maximum_frequency: int,
    decay_rate: float,
    sketch_size: int,
    sampling_width: float,
    reach_baseline: Baseline | None,
    noise: TupleNoise | None,
    draws: Draws,
) -> ReachFigures:
    skip(draws, 2)
    minus_one = encrypt(UNIT, public_key, draws.scalar()).negated()
    minus = [minus_one]
    while len(minus) < maximum_frequency - 1:
        minus.append(minus[-1].plus(minus_one))
    tuples = [decode_row(block) for block in blocks(data, TUPLE_BYTES)]
    blind, kept = 0, []
    for *flags, count in tuples:
        same_key, is_destroyed, is_blind = (flag.decrypted(secret_key) is None for flag in flags)
        blind += is_blind
        if same_key and not is_destroyed and not is_blind and maximum_frequency > 1:
            kept.append(count)
    active = len(tuples) - blind
    if reach_baseline is not None:
        active -= reach_baseline.total(1)
    if noise is not None:
        active -= noise.total * noise.contributors
    matrix = [count.plus(each).times(draws.scalar()).encoded() for count in kept for each in minus]
    active = max(active, 0)
    reach = estimator.estimate_reach(
        decay_rate=decay_rate, size=sketch_size, active=active, sampling_width=sampling_width
    )
    return ReachFigures(b"".join(matrix), reach, len(tuples), blind, len(kept), active)


# Execution phase three


def decrypt_counts(data: bytes, *, secret_key: int) -> bytes:
    ciphertexts = decode_row(data)
    return encode_row([ciphertext.partially_decrypted(secret_key) for ciphertext in ciphertexts])


def estimate_frequency(
    data: bytes, *, secret_key: int, maximum_frequency: int, baseline: Baseline | None
) -> dict[int, float]:
    if maximum_frequency < 2:
        raise ValueError("a frequency needs a maximum of at least 2")
    histogram = dict.fromkeys(range(1, maximum_frequency + 1), 0)
    for row in blocks(data, CIPHERTEXT_BYTES * (maximum_frequency - 1)):
        zeros = (i for i, each in enumerate(decode_row(row), start=1) if each.decrypted(secret_key) is None)
        histogram[next(zeros, maximum_frequency)] += 1
    if baseline is not None:
        histogram = {i: max(0, count - baseline.total(2)) for i, count in histogram.items()}
    total = sum(histogram.values())
    if total == 0:
        raise ValueError("there is neither data nor noise")
    return {i: count / total for i, count in histogram.items() if count}
