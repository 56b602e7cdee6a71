"""Reading the noise counts of a recorded stage off its output.

A fresh encryption has u = r * G for a recorded scalar r, and then e - r * Y is its plaintext: what a stage added is
recognised without any secret key, and without guessing where in the list of scalars it was drawn.
"""

from collections import Counter
from collections.abc import Sequence

from reference import curve, llv2
from reference.curve import Affine
from reference.el_gamal import CIPHERTEXT_BYTES, blocks, integer_point
from reference.noise import RegisterNoise, TupleNoise
from reference.sketch import DESTROYED_KEY_POINT


class _Fresh:
    """The encryptions that a stage made itself, recognised by their encoded u."""

    def __init__(self, scalars: Sequence[int]) -> None:
        self._scalars = {curve.encode(curve.multiply_base(scalar)): scalar for scalar in scalars}

    def has(self, ciphertext: bytes) -> bool:
        return ciphertext[: curve.POINT_BYTES] in self._scalars

    def plaintext(self, ciphertext: bytes, public_key: Affine) -> curve.Point:
        scalar = self._scalars[ciphertext[: curve.POINT_BYTES]]
        return curve.subtract(curve.decode(ciphertext[curve.POINT_BYTES :]), curve.multiply_fixed(scalar, public_key))


def register_noise_counts(
    output: bytes, noise: RegisterNoise, public_key: Affine, scalars: Sequence[int]
) -> tuple[int, ...]:
    """n_1..n_S, publisher and reach noise of a recorded setup phase."""
    fresh = _Fresh(scalars)
    blind: Counter[curve.Point] = Counter()
    publisher = reach = padding = 0
    for register in blocks(output, llv2.REGISTER_BYTES):
        index, key, _ = blocks(register, CIPHERTEXT_BYTES)
        if not fresh.has(index):
            continue
        index_point = fresh.plaintext(index, public_key)
        if index_point == llv2.PADDING_INDEX_POINT:
            padding += 1
        elif index_point == llv2.PUBLISHER_INDEX_POINT:
            publisher += 1
        elif fresh.plaintext(key, public_key) == DESTROYED_KEY_POINT:
            reach += 1
        else:
            blind[index_point] += 1
    if publisher + reach + padding + blind.total() != noise.total:
        raise ValueError("the recorded noise registers do not add up to the total that the parameters give")
    sizes = Counter(blind.values())
    return (*(sizes[size] for size in range(1, noise.sketches + 1)), publisher, reach)


def index_noise_counts(
    output: bytes, noise: RegisterNoise, public_key: Affine, scalars: Sequence[int]
) -> tuple[int, ...]:
    """n_1..n_S, publisher and reach noise of a recorded setup phase of the reach-only protocol."""
    fresh = _Fresh(scalars)
    reach_points = {curve.hash_to_curve(f"reach_dp_noise{scalar}".encode()) for scalar in scalars}
    plaintexts = Counter(
        fresh.plaintext(register, public_key) for register in blocks(output, CIPHERTEXT_BYTES) if fresh.has(register)
    )
    if plaintexts.total() != noise.total + 2 * noise.group_floor:
        raise ValueError("the recorded noise registers do not add up to the total that the parameters give")
    padding, publisher = (plaintexts.pop(point, 0) for point in (llv2.PADDING_INDEX_POINT, llv2.PUBLISHER_INDEX_POINT))
    if not padding or publisher < noise.group_floor:
        raise ValueError("the recorded noise has no padding, or no publisher noise")
    reach = len(reach_points & plaintexts.keys())
    sizes = Counter(size for point, size in plaintexts.items() if point not in reach_points)
    return (*(sizes[size] for size in range(1, noise.sketches + 1)), publisher - noise.group_floor, reach)


def tuple_noise_counts(
    output: bytes, noise: TupleNoise, public_key: Affine, partial_public_key: Affine, scalars: Sequence[int]
) -> tuple[int, ...]:
    """n_1..n_F and the destroyed tuples' count of a recorded execution phase one or two."""
    fresh = _Fresh(scalars)
    frequencies = {integer_point(f): f for f in range(1, noise.maximum_frequency + 1)}
    counts, destroyed, total = Counter[int](), 0, 0
    for each in blocks(output, llv2.TUPLE_BYTES):
        flag, _, _, count = blocks(each, CIPHERTEXT_BYTES)
        if not fresh.has(count):
            continue
        total += 1
        frequency = frequencies.get(fresh.plaintext(count, public_key))
        if frequency is not None:
            counts[frequency] += 1
        elif fresh.plaintext(flag, partial_public_key) is not None:
            destroyed += 1
    if total != noise.total:
        raise ValueError("the recorded noise tuples do not add up to the total that the parameters give")
    return (*(counts[f] for f in range(1, noise.maximum_frequency + 1)), destroyed)
