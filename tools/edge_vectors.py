"""Write tests/native/edge_vectors.json: libcrypto's answers about scalars and points at the edges, for P-256.

    python tools/edge_vectors.py

The choice of scalars and points is ours, the answers are libcrypto's. Scalars and coordinates are big-endian hex.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "tests" / "native" / "edge_vectors.json"
CURVE = 415  # P-256 in OpenSSL's numbering
COMPRESSED, UNCOMPRESSED, HYBRID = 2, 4, 6
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
WINDOWS = range(4, 9)  # bits of a digit in any table of multiples that one would make


class Libcrypto:
    """The few functions that are asked. Objects are never freed: the process ends soon."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
        self._group = self._call("EC_GROUP_new_by_curve_name", CURVE)

    def version(self) -> str:
        """Name, number and date."""
        function = self._library.OpenSSL_version
        function.restype = ctypes.c_char_p
        return str(function(0).decode())

    def decode(self, encoding: bytes) -> int | None:
        """The point, unless the bytes are none."""
        point = self._call("EC_POINT_new", self._group)
        return point if self._ask("EC_POINT_oct2point", self._group, point, encoding, len(encoding), None) else None

    def encode(self, point: int, form: int = COMPRESSED) -> str | None:
        """The point's bytes; none for infinity."""
        if self._ask("EC_POINT_is_at_infinity", self._group, point):
            return None
        buffer = ctypes.create_string_buffer(65)
        length = self._ask("EC_POINT_point2oct", self._group, point, form, buffer, 65, None)
        return buffer.raw[:length].hex()

    def combine(self, a: int | None, point: int | None, b: int | None) -> int:
        """a times the generator plus b times the point."""
        numbers = [None if scalar is None else self._number(scalar) for scalar in (a, b)]
        result = self._call("EC_POINT_new", self._group)
        if not self._ask("EC_POINT_mul", self._group, result, numbers[0], point, numbers[1], None):
            raise SystemExit("libcrypto could not multiply")
        return result

    def plus(self, left: int, right: int) -> int:
        """The sum of two points."""
        result = self._call("EC_POINT_new", self._group)
        self._ask("EC_POINT_add", self._group, result, left, right, None)
        return result

    def reduce(self, value: int) -> int:
        """The value modulo the group's order."""
        remainder, context = self._call("BN_new"), self._call("BN_CTX_new")
        order = self._call("EC_GROUP_get0_order", self._group)
        self._ask("BN_nnmod", remainder, self._number(value), order, context)
        buffer = ctypes.create_string_buffer(32)
        self._ask("BN_bn2binpad", remainder, buffer, 32)
        return int.from_bytes(buffer.raw)

    def _number(self, value: int) -> int:
        encoding = value.to_bytes(64)
        return self._call("BN_bin2bn", encoding, len(encoding), None)

    def _ask(self, name: str, *arguments: object) -> int:
        function = getattr(self._library, name)
        function.restype = ctypes.c_int
        return int(function(*map(_pointer, arguments)))

    def _call(self, name: str, *arguments: object) -> int:
        function = getattr(self._library, name)
        function.restype = ctypes.c_void_p
        return int(function(*map(_pointer, arguments)))


def _pointer(argument: object) -> object:
    """Addresses are wider than the int that ctypes takes a number for."""
    return ctypes.c_void_p(argument) if isinstance(argument, int) and argument > 2**20 else argument


def scalars() -> Iterator[int]:
    """Numbers of 256 bits at which a multiplication could go wrong; some of them are no scalars."""
    yield from range(18)
    yield from (N // 2, N // 2 + 1, N, N + 1, N + 2, 2**256 - 1, 2**256 - 2)
    yield from (int("5" * 64, 16), int("a" * 64, 16), int("0f" * 32, 16), int("f0" * 32, 16))
    for bits in (31, 32, 63, 64, 65, 127, 128, 129, 191, 192, 223, 224, 255):
        yield from (2**bits - 1, 2**bits, 2**bits + 1)
    for window in WINDOWS:  # every digit zero but one; every digit at the edge of a signed digit; a carry through all
        for position in (1, 2, 255 // window - 1, 255 // window):
            yield from (2 ** (window * position) - 1, 2 ** (window * position) + 1)
        ones = sum(2 ** (window * position) for position in range(255 // window))
        half = 2 ** (window - 1)
        yield from (ones, ones * half, ones * (half - 1), ones * (2 * half - 1), ones * half + 1)
    for high, low in ((256, 224), (256, 128), (255, 1), (200, 100), (192, 64), (128, 64)):  # a long run of ones
        yield 2**high - 2**low


def scalar_rows() -> list[int]:
    """Those, and what they leave to the order."""
    chosen = list(scalars())
    return list(dict.fromkeys(chosen + [N - scalar for scalar in chosen if scalar < N]))


def point_encodings(crypto: Libcrypto, points: list[int]) -> Iterator[bytes]:
    """Byte strings that are points, nearly points, and nothing of the kind."""
    for x in (
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        P - 1,
        P - 2,
        P - 3,
        P - 4,
        P,
        P + 1,
        P + 5,
        2**256 - 1,
        N,
        2**255,
        2**224,
        2**96,
    ):
        for first in (2, 3):
            yield bytes([first]) + x.to_bytes(32)
    for point in points[:2]:
        for form in (COMPRESSED, UNCOMPRESSED, HYBRID):
            encoding = bytes.fromhex(crypto.encode(point, form) or "")
            yield encoding
            yield encoding[:-1]
            yield encoding + b"\0"
            yield from (bytes([first]) + encoding[1:] for first in (0, 1, 2, 3, 4, 5, 6, 7, 0x82, 0xFF))
            yield encoding[:-1] + bytes([encoding[-1] ^ 1])
        yield b"\4" + encoding[1:33] + (P - int.from_bytes(encoding[33:])).to_bytes(32)
    yield from (b"", b"\0", b"\2", b"\4", bytes(33), bytes(65), b"\4" + bytes(64), b"\xff" * 33, b"\xff" * 65)


def rows() -> dict[str, object]:
    """All vectors."""
    crypto = Libcrypto()
    numbers = [scalar for scalar in scalar_rows() if 0 < scalar < N]
    bases = [crypto.combine(scalar, None, None) for scalar in (1, N - 1, 2, 0xC0FFEE)]
    by_zero_x = crypto.decode(b"\2" + bytes(32))
    points = [*bases, *([by_zero_x] if by_zero_x else [])]
    wide = [
        0,
        1,
        N - 1,
        N,
        N + 1,
        2**256 - 1,
        2**256,
        N * N - 1,
        N * N,
        N * N + 1,
        N << 255,
        N << 256,
        2**511,
        2**512 - 1,
    ]
    encodings = dict.fromkeys(point_encodings(crypto, bases[2:]))
    return {
        "libcrypto": crypto.version(),
        "not_scalars": [f"{scalar:064x}" for scalar in scalar_rows() if not 0 < scalar < N],
        "scalars": [f"{scalar:064x}" for scalar in numbers],
        "points": [crypto.encode(point) for point in points],
        "products": [[crypto.encode(crypto.combine(None, point, scalar)) for scalar in numbers] for point in points],
        "sums": [[crypto.encode(crypto.plus(left, right)) for right in points] for left in points],
        "reductions": [[f"{value:0128x}", f"{crypto.reduce(value):064x}"] for value in wide],
        "decoding": [
            [encoding.hex(), crypto.encode(point) if (point := crypto.decode(encoding)) else None]
            for encoding in encodings
        ],
    }


if __name__ == "__main__":
    PAGE.write_text(json.dumps(rows(), indent=0) + "\n")
