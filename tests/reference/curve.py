"""The group: NIST P-256 points, their encoding, and hashing to the curve (specification of the primitives, 1 and 2).

A point is an affine pair (x, y), and infinity is None. Scalar multiplication works in Jacobian coordinates.
"""

from functools import lru_cache
from hashlib import sha256

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
INFINITY = None
POINT_BYTES = 33

Affine = tuple[int, int]
Point = Affine | None
Jacobian = tuple[int, int, int]  # x = X / Z^2, y = Y / Z^3; infinity has Z = 0

_JACOBIAN_INFINITY: Jacobian = (1, 1, 0)


def _double(point: Jacobian) -> Jacobian:
    x, y, z = point
    zz = z * z % P
    yy = y * y % P
    xyy = x * yy % P
    slope = 3 * (x - zz) * (x + zz) % P  # a = -3
    x3 = (slope * slope - 8 * xyy) % P
    return x3, (slope * (4 * xyy - x3) - 8 * yy * yy) % P, 2 * y * z % P


def _add_affine(left: Jacobian, right: Affine) -> Jacobian:
    x1, y1, z1 = left
    x2, y2 = right
    if z1 == 0:
        return x2, y2, 1
    zz = z1 * z1 % P
    h = (x2 * zz - x1) % P
    r = (y2 * zz * z1 - y1) % P
    if h == 0:
        return _double(left) if r == 0 else _JACOBIAN_INFINITY
    hh = h * h % P
    hhh = h * hh % P
    v = x1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - y1 * hhh) % P, z1 * h % P


def _affine(point: Jacobian) -> Point:
    x, y, z = point
    if z == 0:
        return INFINITY
    inverse = pow(z, -1, P)
    square = inverse * inverse % P
    return x * square % P, y * square * inverse % P


def add(left: Point, right: Point) -> Point:
    if left is None:
        return right
    if right is None:
        return left
    return _affine(_add_affine((*left, 1), right))


def negate(point: Point) -> Point:
    return None if point is None else (point[0], -point[1] % P)


def subtract(left: Point, right: Point) -> Point:
    return add(left, negate(right))


def _signed_digits(scalar: int, width: int) -> list[int]:
    """The non-adjacent form with odd digits below 2^(width-1) in absolute value, least significant first."""
    digits = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = scalar % (1 << width)
            if digit >= 1 << (width - 1):
                digit -= 1 << width
            scalar -= digit
        digits.append(digit)
        scalar >>= 1
    return digits


def multiply(scalar: int, point: Point) -> Point:
    """scalar times any point."""
    scalar %= N
    if scalar == 0 or point is None:
        return INFINITY
    twice = add(point, point)
    odd_multiples: list[Affine] = [point]
    for _ in range(3):
        following = add(odd_multiples[-1], twice)
        assert following is not None
        odd_multiples.append(following)
    result = _JACOBIAN_INFINITY
    for digit in reversed(_signed_digits(scalar, 4)):
        result = _double(result)
        if digit > 0:
            result = _add_affine(result, odd_multiples[digit // 2])
        elif digit < 0:
            x, y = odd_multiples[-digit // 2]
            result = _add_affine(result, (x, P - y))
    return _affine(result)


@lru_cache(maxsize=16)
def _table(point: Affine) -> list[list[Affine]]:
    """Row i has 1..63 times 64^i times the point: a multiplication is then at most 43 additions."""
    rows = []
    base: Point = point
    for _ in range(43):
        row: list[Affine] = []
        multiple: Point = None
        for _ in range(63):
            multiple = add(multiple, base)
            assert multiple is not None
            row.append(multiple)
        rows.append(row)
        base = add(multiple, base)
    return rows


def multiply_fixed(scalar: int, point: Affine) -> Point:
    """scalar times a point that many multiplications share: the generator or a public key."""
    scalar %= N
    result = _JACOBIAN_INFINITY
    for row in _table(point):
        digit = scalar & 63
        if digit:
            result = _add_affine(result, row[digit - 1])
        scalar >>= 6
    return _affine(result)


def multiply_base(scalar: int) -> Point:
    return multiply_fixed(scalar, G)


def _square_root(value: int) -> int | None:
    root = pow(value, (P + 1) // 4, P)
    return root if root * root % P == value else None


def _right_side(x: int) -> int:
    return (x * x * x - 3 * x + B) % P


def encode(point: Point) -> bytes:
    """The compressed form, 33 bytes. Raises ValueError for infinity, which has none."""
    if point is None:
        raise ValueError("POINT_AT_INFINITY has no encoding")
    x, y = point
    return bytes([2 + (y & 1)]) + x.to_bytes(32, "big")


def decode(encoding: bytes) -> Affine:
    """Reads a compressed or uncompressed point. Raises ValueError for everything else."""
    if len(encoding) == 65 and encoding[0] == 4:
        x, y = int.from_bytes(encoding[1:33], "big"), int.from_bytes(encoding[33:], "big")
        if x >= P or y >= P or (y * y - _right_side(x)) % P:
            raise ValueError("the point is not on the curve")
        return x, y
    if len(encoding) != POINT_BYTES or encoding[0] not in (2, 3):
        raise ValueError("a point is 33 bytes that begin with 02 or 03, or 65 that begin with 04")
    x = int.from_bytes(encoding[1:], "big")
    root = _square_root(_right_side(x)) if x < P else None
    if root is None:
        raise ValueError("no point has this x")
    return x, root if root & 1 == encoding[0] & 1 else P - root


def minimal_bytes(value: int) -> bytes:
    """Big-endian without leading zeros; zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def random_oracle(message: bytes) -> int:
    """SHA-256 twice with a counter in front, reduced modulo the field's prime (2.1)."""
    digests = sha256(b"\x01" + message).digest() + sha256(b"\x02" + message).digest()
    return int.from_bytes(digests, "big") % P


@lru_cache(maxsize=1 << 16)
def hash_to_curve(message: bytes) -> Affine:
    """The first x in the chain of hashes that has a point; of its two points the one with even y (2.2)."""
    x = random_oracle(message)
    while True:
        right = _right_side(x)
        root = _square_root(right)
        if right and root is not None:
            return x, root if root & 1 == 0 else P - root
        x = random_oracle(minimal_bytes(x))


def hash_integer(value: int) -> Affine:
    return hash_to_curve(str(value).encode())
