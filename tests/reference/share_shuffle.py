"""Honest Majority Share Shuffle in plain Python, written from its specification (sections in parentheses)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, log2

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from reference.fingerprint import fingerprint64
from reference.noise import Noise, Privacy, noise
from reference.sketch import float32

SEED_BYTES = 48
SALT = 1618033 + 20240417
FIRST, SECOND = "FIRST", "SECOND"


class Generator:
    """AES-256-CTR keystream; the seed is the key and the initial counter block (4)."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError("a seed has 48 bytes")
        self._stream = Cipher(algorithms.AES(seed[:32]), modes.CTR(seed[32:])).encryptor()
        self.position = 0

    def bytes(self, count: int) -> bytes:
        self.position += count
        return self._stream.update(bytes(count))

    def uniform(self, size: int, q: int) -> list[int]:
        """Values in [0, q) (4.1)."""
        if q <= 1 or size < 0:
            raise ValueError("modulus or size")
        bits = ceil(log2(q))
        width, mask = -(-bits // 8), 2**bits - 1
        failure = (2**bits - q) / 2**bits
        values: list[int] = []
        while len(values) < size:
            missing = size - len(values)
            batch = int(missing + 1.0 + failure * missing / (1 - failure))
            drawn = self.bytes(batch * width)
            groups = (int.from_bytes(drawn[at : at + width], "big") & mask for at in range(0, len(drawn), width))
            values += [value for value in groups if value < q][:missing]
        return values

    def nonzero(self, size: int, q: int) -> list[int]:
        """Values in [1, q) (4.2)."""
        failure = 1 / q
        values: list[int] = []
        while len(values) < size:
            missing = size - len(values)
            drawn = self.uniform(int(missing + 1.0 + failure * missing / (1 - failure)), q)
            values += [value for value in drawn if value][:missing]
        return values


def shuffled(values: Sequence[int], seed: bytes) -> list[int]:
    """Forward Fisher-Yates (4.4)."""
    moved = list(values)
    if len(moved) <= 1:
        return moved
    drawn = Generator(seed).bytes(16 * len(moved))
    for i in range(len(moved) - 1):
        j = i + int.from_bytes(drawn[16 * i : 16 * i + 16], "little") % (len(moved) - i)
        moved[i], moved[j] = moved[j], moved[i]
    return moved


def unshuffled(values: Sequence[int], seed: bytes) -> list[int]:
    """What `shuffled` made `values` of."""
    places = shuffled(range(len(values)), seed)
    return [value for _, value in sorted(zip(places, values, strict=True), key=lambda pair: pair[0])]


def expand(seed: bytes, size: int, q: int) -> list[int]:
    return Generator(seed).uniform(size, q)


def share(frequencies: Sequence[int], seed: bytes, q: int) -> list[int]:
    """What with the expanded seed gives the frequencies (5.1)."""
    if not frequencies or q <= 1 or any(not 0 <= each < q for each in frequencies):
        raise ValueError("frequencies or modulus")
    return [(f - s) % q for f, s in zip(frequencies, expand(seed, len(frequencies), q), strict=True)]


@dataclass(frozen=True, slots=True)
class ShareShuffle:
    """What the parties agree on (7.1). Refuses what is not admitted."""

    reach_only: bool
    maximum_combined_frequency: int
    ring_modulus: int
    mechanism: str
    reach: Privacy | None
    frequency: Privacy | None

    def __post_init__(self) -> None:
        q = self.ring_modulus
        if q <= 1 or q <= self.maximum_combined_frequency + 1 or self.maximum_combined_frequency < 1:
            raise ValueError("the ring modulus")
        if self.reach_only and any(q % divisor == 0 for divisor in range(2, int(q**0.5) + 1)):
            raise ValueError("the modulus is no prime")
        needed = [] if self.mechanism == "NONE" else [self.reach] + [self.frequency] * (not self.reach_only)
        given = [each for each in (self.reach, self.frequency) if each is not None]
        if any(each is None for each in needed) or len(given) != len(needed):
            raise ValueError("the privacy parameters")
        if any(epsilon < 1e-6 or delta <= 0 for epsilon, delta in given):
            raise ValueError("a privacy budget")
        for kind in self.noises:
            assert kind.offset >= 0

    def _noise(self, privacy: Privacy | None) -> Noise | None:
        return None if privacy is None else noise(self.mechanism, privacy, contributors=2, sensitivity=2)

    @property
    def noises(self) -> list[Noise]:
        """In the order of the draws: reach, then frequencies 1, 2, ..."""
        reach, frequency = self._noise(self.reach), self._noise(self.frequency)
        frequencies = [frequency] * self.maximum_combined_frequency if frequency else []
        return [each for each in (reach, *frequencies) if each]

    @property
    def noise_entries(self) -> int:
        """M, of each worker."""
        return sum(2 * each.offset for each in self.noises)


def own_noise(parameters: ShareShuffle, counts: Sequence[int], values: Sequence[int]) -> list[int]:
    """A worker's noise before it is masked: `counts` as drawn; `values` are those of reach noise (7.2, 7.3)."""
    total, q = parameters.noise_entries, parameters.ring_modulus
    if parameters.reach_only:
        return [*values, *[0] * (total - len(values))]
    entries = [k for k, count in enumerate(counts) for _ in range(count)]
    return [*entries, *[q - 1] * (total - len(entries))]


def shuffle(
    parameters: ShareShuffle,
    *,
    shares: Iterable[Sequence[int]],
    register_count: int,
    common_seed: bytes,
    order: str,
    counts: Sequence[int] = (),
    values: Sequence[int] = (),
) -> list[int]:
    """A worker's shuffle phase (7). Shares that were seeds must have been expanded."""
    q, shares = parameters.ring_modulus, list(shares)
    if register_count < 1 or not shares or any(len(each) != register_count for each in shares):
        raise ValueError("register counts")
    if any(not 0 <= value < q for each in shares for value in each):
        raise ValueError("a value is not less than the modulus")
    common = Generator(common_seed)
    vector = [sum(column) % q for column in zip(*shares, strict=True)]
    if parameters.reach_only:
        vector = [v * r % q for v, r in zip(vector, common.nonzero(register_count, q), strict=True)]
    if parameters.noises:
        noised = own_noise(parameters, counts, values)
        masks = [common.uniform(len(noised), q) for _ in range(2)]
        own = 0 if order == FIRST else 1
        for number, mask in enumerate(masks):
            vector += [(n - m) % q for n, m in zip(noised, mask, strict=True)] if number == own else mask
    return shuffled(vector, common.bytes(SEED_BYTES))


def drawn_noise(
    parameters: ShareShuffle, output: Sequence[int], register_count: int, common_seed: bytes, order: str
) -> list[int]:
    """A worker's own noise, read off what it made."""
    q, total = parameters.ring_modulus, parameters.noise_entries
    common = Generator(common_seed)
    if parameters.reach_only:
        common.nonzero(register_count, q)
    masks = [common.uniform(total, q) for _ in range(2)]
    vector = unshuffled(output, common.bytes(SEED_BYTES))
    own = 0 if order == FIRST else 1
    half = vector[register_count + own * total :][:total]
    return [(v + m) % q for v, m in zip(half, masks[own], strict=True)]


def aggregate(
    parameters: ShareShuffle,
    *,
    shares: Sequence[Sequence[int]],
    register_count: int,
    maximum_frequency: int,
    sampling_width: float,
) -> tuple[int, dict[int, float]]:
    """Reach and frequency distribution (8)."""
    if len(shares) != 2 or len(shares[0]) != len(shares[1]):
        raise ValueError("two shares of one length")
    if maximum_frequency < 1 or not 0 < sampling_width <= 1:
        raise ValueError("maximum frequency or sampling width")
    q, width, n = parameters.ring_modulus, float32(sampling_width), register_count
    values = [(one + other) % q for one, other in zip(*shares, strict=True)]
    reach_baseline = 2 * parameters.noises[0].offset if parameters.noises else 0
    if parameters.reach_only:
        reached = sum(value != 0 for value in values) - reach_baseline
        return int(min(max(reached, 0), n) / width), {}
    values = [value for value in values if value != q - 1]
    if any(value > parameters.maximum_combined_frequency for value in values):
        raise RuntimeError("a value beyond the maximum combined frequency")
    histogram = [values.count(k) for k in range(maximum_frequency)]
    reached = n - histogram[0]
    if parameters.noises:
        frequency_baseline = 2 * parameters.noises[1].offset
        histogram = [max(0, count - (frequency_baseline if k else reach_baseline)) for k, count in enumerate(histogram)]
        reached = min(max(reached + reach_baseline, 0), n)
    below = sum(histogram)
    top = 0 if below > n else n - below
    total = below + top - histogram[0]
    if total == 0:
        raise ValueError("neither data nor noise")
    distribution = {k: count / total for k, count in enumerate([*histogram, top]) if k and count}
    return int(reached / width), distribution


# The data provider's side


def place(vid: int) -> int:
    """By what the VIDs of a population are ordered (3.1)."""
    unsigned = fingerprint64(vid.to_bytes(8, "big") + SALT.to_bytes(8, "big"))
    return unsigned - 2**64 if unsigned >= 2**63 else unsigned


def vid_order(ranges: Iterable[tuple[int, int]]) -> list[int]:
    """All VIDs of inclusive ranges: where one stands is its index."""
    vids = [vid for first, last in ranges for vid in range(first, last + 1)]
    if len(set(vids)) != len(vids) or any(not 1 <= vid < 2**31 - 1 for vid in vids):
        raise ValueError("ranges")
    return sorted(vids, key=lambda vid: (place(vid), vid))


def sampling_range(population: int, start: float, width: float) -> tuple[range, range]:
    """Indices that are measured, and those after the wrap-around (3.2). Every step is rounded to single precision."""
    start, width, people = float32(start), float32(width), float32(population)
    first = int(float32(people * start))
    last = int(float32(people * float32(start + width))) - 1
    return range(first, min(last, population - 1) + 1), range(max(0, last - population + 1))


def frequency_vector(
    ranges: Iterable[tuple[int, int]], vids: Iterable[int], *, start: float, width: float, maximum: int
) -> list[int]:
    """Counts by local index (3.3)."""
    index = {vid: number for number, vid in enumerate(vid_order(ranges))}
    primary, wrapped = sampling_range(len(index), start, width)
    local: Callable[[int], int | None] = lambda g: (  # noqa: E731
        g - primary.start if g in primary else len(primary) + g if g in wrapped else None
    )
    counts = [0] * (len(primary) + len(wrapped))
    for vid in vids:
        entry = local(index[vid]) if vid in index else None
        if entry is not None:
            counts[entry] = min(counts[entry] + 1, maximum)
    return counts
