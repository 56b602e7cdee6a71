"""Reading the noise counts of a recorded stage off its output.

A fresh encryption has u = r * G for a recorded scalar r, and then e - r * Y is its plaintext: what a stage added is
recognised without any secret key, and without guessing where in the list of scalars it was drawn.
"""

from collections import Counter
from collections.abc import Sequence

from reference import curve, llv2
from reference.curve import Affine
from reference.el_gamal import Ciphertext, blocks, decode_row, integer_point
from reference.noise import RegisterNoise, TupleNoise
from reference.sketch import DESTROYED_KEY_POINT


def _scalars_by_u(scalars: Sequence[int]) -> dict[curve.Point, int]:
    return {curve.multiply_base(scalar): scalar for scalar in scalars}


def _plaintext(ciphertext: Ciphertext, public_key: Affine, scalar: int) -> curve.Point:
    return curve.subtract(ciphertext.e, curve.multiply_fixed(scalar, public_key))


def register_noise_counts(
    output: bytes, noise: RegisterNoise, public_key: Affine, scalars: Sequence[int]
) -> tuple[int, ...]:
    """n_1..n_S, publisher and reach noise of a recorded setup phase."""
    drawn = _scalars_by_u(scalars)
    blind: Counter[curve.Point] = Counter()
    publisher = reach = padding = 0
    for block in blocks(output, llv2.REGISTER_BYTES):
        index, key, _ = decode_row(block)
        if index.u not in drawn:
            continue
        index_point = _plaintext(index, public_key, drawn[index.u])
        if index_point == llv2.PADDING_INDEX_POINT:
            padding += 1
        elif index_point == llv2.PUBLISHER_INDEX_POINT:
            publisher += 1
        elif _plaintext(key, public_key, drawn[key.u]) == DESTROYED_KEY_POINT:
            reach += 1
        else:
            blind[index_point] += 1
    if publisher + reach + padding + blind.total() != noise.total:
        raise ValueError("the recorded noise registers do not add up to the total that the parameters give")
    sizes = Counter(blind.values())
    return (*(sizes[size] for size in range(1, noise.sketches + 1)), publisher, reach)


def tuple_noise_counts(
    output: bytes, noise: TupleNoise, public_key: Affine, partial_public_key: Affine, scalars: Sequence[int]
) -> tuple[int, ...]:
    """n_1..n_F and the destroyed tuples' count of a recorded execution phase one or two."""
    drawn = _scalars_by_u(scalars)
    frequencies = {integer_point(f): f for f in range(1, noise.maximum_frequency + 1)}
    counts, destroyed, total = Counter[int](), 0, 0
    for block in blocks(output, llv2.TUPLE_BYTES):
        flag, _, _, count = decode_row(block)
        if count.u not in drawn:
            continue
        total += 1
        frequency = frequencies.get(_plaintext(count, public_key, drawn[count.u]))
        if frequency is not None:
            counts[frequency] += 1
        elif _plaintext(flag, partial_public_key, drawn[flag.u]) is not None:
            destroyed += 1
    if total != noise.total:
        raise ValueError("the recorded noise tuples do not add up to the total that the parameters give")
    return (*(counts[f] for f in range(1, noise.maximum_frequency + 1)), destroyed)
