"""The data provider's side: sampling VIDs, building a sketch, encrypting it (LLv2 specification, section 1)."""

import struct
from collections.abc import Iterable, Sequence
from math import exp, log

from reference import curve
from reference.curve import Affine
from reference.draws import Draws
from reference.el_gamal import encode_row, encrypt, integer_point
from reference.fingerprint import fingerprint64

DESTROYED_KEY_POINT = curve.hash_to_curve(b"destroyed_register_key")

# (index, stored key, frequency); the stored key is the key plus one, or 0 if the register is destroyed
Register = tuple[int, int, int]


def float32(value: float) -> float:
    """The nearest single-precision number."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


_SAMPLE_UNIT = float32(1 / 8388607)


def vid_sample(vid: int) -> float:
    """The place of a VID in [0, 1], in single precision."""
    fingerprint = fingerprint64(((vid + 1414214) % 2**64).to_bytes(8, "little"))
    return float32(_SAMPLE_UNIT * (fingerprint & 0x7FFFFF))


def is_sampled(vid: int, start: float, width: float) -> bool:
    """Whether the sampling interval, which may wrap around at 1, contains the VID."""
    start, end, unit = float32(start), float32(float32(start) + float32(width)), vid_sample(vid)
    return start <= unit < end or unit < end - 1.0


def _fingerprint(name: str, item: str) -> int:
    return fingerprint64(f"AnySketchFingerprint:{item}:{name}".encode())


def register_index(item: str, decay_rate: float, size: int) -> int:
    unit = float(_fingerprint("Index", item)) / float(2**64 - 1)
    head = exp(decay_rate)
    return min(int((1 - log(head + unit * (1 - head)) / decay_rate) * size), size - 1)


def register_key(item: str, sampling_indicator_size: int) -> int:
    return _fingerprint("SamplingIndicator", item) % sampling_indicator_size


def build_sketch(
    vids: Iterable[int],
    *,
    decay_rate: float,
    size: int,
    sampling_indicator_size: int,
    sampling_start: float = 0.0,
    sampling_width: float = 1.0,
) -> list[Register]:
    """One impression per VID in `vids`; repeated VIDs add up. Registers in the order of their first VID."""
    registers: dict[int, tuple[int, int]] = {}
    for vid in vids:
        if not is_sampled(vid, sampling_start, sampling_width):
            continue
        index = register_index(str(vid), decay_rate, size)
        stored = register_key(str(vid), sampling_indicator_size) + 1
        key, frequency = registers.get(index, (stored, 0))
        registers[index] = (key if key == stored else 0, frequency + 1)
    return [(index, key, frequency) for index, (key, frequency) in registers.items()]


def encrypt_sketch(registers: Sequence[Register], *, public_key: Affine, maximum_frequency: int, draws: Draws) -> bytes:
    """198 bytes a register: index, key, and frequency capped at one more than the maximum (1.5)."""
    cap = max(maximum_frequency, 1) + 1
    output = []
    for index, key, frequency in registers:
        if key > 0 and frequency <= 0:
            raise ValueError("a frequency is at least 1")
        count = integer_point(min(frequency, cap)) if key > 0 else DESTROYED_KEY_POINT
        key_point = curve.hash_integer(key) if key > 0 else DESTROYED_KEY_POINT
        plaintexts = (curve.hash_integer(index), key_point, count)
        output.append(encode_row([encrypt(plaintext, public_key, draws.scalar()) for plaintext in plaintexts]))
    return b"".join(output)
