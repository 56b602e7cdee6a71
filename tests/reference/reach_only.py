"""Every stage of the reach-only protocol, both roles (reach-only specification, sections 2, 4 and 5).

A register is one ciphertext. A stage's output ends with one ciphertext more, that of the excessive noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reference import curve, estimator
from reference.curve import Affine
from reference.draws import Draws, random_point, skip
from reference.el_gamal import CIPHERTEXT_BYTES, UNIT, Ciphertext, blocks, decode_row, encrypt, integer_point
from reference.llv2 import PADDING_INDEX_POINT, PUBLISHER_INDEX_POINT
from reference.noise import Baseline, RegisterNoise


def encrypt_sketch(registers: Sequence[int], *, public_key: Affine, draws: Draws) -> bytes:
    """66 bytes a register, which has nothing but its index (2)."""
    return b"".join(encrypt(curve.hash_integer(index), public_key, draws.scalar()).encoded() for index in registers)


def setup(
    *,
    registers: bytes,
    excessive_noise: bytes,
    public_key: Affine,
    noise: RegisterNoise | None,
    counts: Sequence[int],
    draws: Draws,
) -> bytes:
    """All registers, own and received, with noise; the sum of all excessive noise, own and received (4.2, 4.3)."""
    output = blocks(registers, CIPHERTEXT_BYTES)
    identifiers = 0
    if noise is not None:
        identifiers = sum(counts[: noise.sketches])
        output += _noise_registers(noise, counts, public_key, draws)
    skip(draws, 3)
    total = _encrypt_by_multiplying(identifiers, public_key, draws.scalar())
    for received in decode_row(excessive_noise):
        total = total.plus(received)
    return b"".join(sorted(output)) + total.encoded()


def _encrypt_by_multiplying(value: int, public_key: Affine, r: int) -> Ciphertext:
    """Unlike a count of Liquid Legions v2, for which r alone is the randomness."""
    return encrypt(UNIT, public_key, r).times(value) if value else encrypt(None, public_key, r)


def _noise_registers(noise: RegisterNoise, counts: Sequence[int], public_key: Affine, draws: Draws) -> list[bytes]:
    blind, publisher, reach = counts[: noise.sketches], counts[noise.sketches], counts[noise.sketches + 1]
    skip(draws, 3)
    registers: list[bytes] = []

    def add(index: Affine) -> None:
        registers.append(encrypt(index, public_key, draws.scalar()).encoded())

    ids = [[random_point(draws, "blinded_histogram_noise") for _ in range(n)] for n in blind]
    for repetitions, group_ids in enumerate(ids, start=1):
        for index in group_ids:
            for _ in range(repetitions):
                add(index)
    for _ in range(publisher + 1):
        add(PUBLISHER_INDEX_POINT)
    for _ in range(reach):
        add(random_point(draws, "reach_dp_noise"))
    while len(registers) < noise.total + 2:
        add(PADDING_INDEX_POINT)
    return registers


def blind_registers(*, registers: bytes, excessive_noise: bytes, secret_key: int, draws: Draws) -> bytes:
    """Not aggregator (5.1)."""
    pohlig_hellman_key = draws.scalar()
    skip(draws, 5)
    blinded = [
        Ciphertext.decoded(block).blinded(secret_key, pohlig_hellman_key).encoded()
        for block in blocks(registers, CIPHERTEXT_BYTES)
    ]
    return b"".join(sorted(blinded)) + Ciphertext.decoded(excessive_noise).partially_decrypted(secret_key).encoded()


@dataclass(frozen=True, slots=True)
class ReachOnlyFigures:
    reach: int
    registers: int
    distinct: int
    excessive_noise: int
    active: int


def estimate_reach(
    *,
    registers: bytes,
    excessive_noise: bytes,
    secret_key: int,
    decay_rate: float,
    sketch_size: int,
    sampling_width: float,
    reach_baseline: Baseline | None,
    noise: RegisterNoise | None,
) -> ReachOnlyFigures:
    """Aggregator (5.2)."""
    ciphertexts = decode_row(registers)
    distinct = len({curve.encode(ciphertext.decrypted(secret_key)) for ciphertext in ciphertexts})
    most = 2 * noise.blind_noise.offset * noise.sketches * noise.contributors if noise else 0
    identifiers = _decode_count(Ciphertext.decoded(excessive_noise).decrypted(secret_key), most)
    active = distinct - identifiers
    if noise is not None:
        active -= 2  # the publisher noise's index and the padding's
    if reach_baseline is not None:
        active -= reach_baseline.total(1)
    active = max(active, 0)
    reach = estimator.estimate_reach(
        decay_rate=decay_rate, size=sketch_size, active=active, sampling_width=sampling_width
    )
    return ReachOnlyFigures(reach, len(ciphertexts), distinct, identifiers, active)


def _decode_count(point: curve.Point, most: int) -> int:
    candidate = integer_point(0)
    for count in range(most + 1):
        if candidate == point:
            return count
        candidate = curve.add(candidate, UNIT)
    raise ValueError(f"the excessive noise is none of 0 to {most}")
