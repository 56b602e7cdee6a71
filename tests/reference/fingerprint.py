"""FarmHash Fingerprint64 of a byte string, the hash behind sketches and the VID sampler."""

_MASK = 2**64 - 1
_K0 = 0xC3A5C85C97CB3127
_K1 = 0xB492B66FBE98F273
_K2 = 0x9AE16A3B2F90404F


def _rotate(value: int, shift: int) -> int:
    value &= _MASK
    return (value >> shift | value << (64 - shift)) & _MASK


def _fold(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _fetch64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _fetch32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _hash16(u: int, v: int, factor: int) -> int:
    a = _fold((u ^ v) * factor & _MASK)
    b = _fold((v & _MASK ^ a) * factor)
    return b * factor & _MASK


def _upto_16(data: bytes) -> int:
    length = len(data)
    if length >= 8:
        factor = _K2 + 2 * length
        a = _fetch64(data, 0) + _K2
        b = _fetch64(data, length - 8)
        c = _rotate(b, 37) * factor + a
        d = (_rotate(a, 25) + b) * factor
        return _hash16(c & _MASK, d & _MASK, factor)
    if length >= 4:
        factor = _K2 + 2 * length
        return _hash16(length + (_fetch32(data, 0) << 3), _fetch32(data, length - 4), factor)
    if length > 0:
        y = data[0] + (data[length >> 1] << 8)
        z = length + (data[length - 1] << 2)
        return _fold(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _upto_32(data: bytes) -> int:
    length = len(data)
    factor = _K2 + 2 * length
    a = _fetch64(data, 0) * _K1
    b = _fetch64(data, 8)
    c = _fetch64(data, length - 8) * factor
    d = _fetch64(data, length - 16) * _K2
    u = _rotate(a + b, 43) + _rotate(c, 30) + d
    v = a + _rotate(b + _K2, 18) + c
    return _hash16(u & _MASK, v & _MASK, factor)


def _upto_64(data: bytes) -> int:
    length = len(data)
    factor = _K2 + 2 * length
    a = _fetch64(data, 0) * _K2 & _MASK
    b = _fetch64(data, 8)
    c = _fetch64(data, length - 8) * factor & _MASK
    d = _fetch64(data, length - 16) * _K2
    y = (_rotate(a + b, 43) + _rotate(c, 30) + d) & _MASK
    z = _hash16(y, (a + _rotate(b + _K2, 18) + c) & _MASK, factor)
    e = _fetch64(data, 16) * factor & _MASK
    f = _fetch64(data, 24)
    g = (y + _fetch64(data, length - 32)) * factor & _MASK
    h = (z + _fetch64(data, length - 24)) * factor
    u = _rotate(e + f, 43) + _rotate(g, 30) + h
    v = e + _rotate(f + a, 18) + g
    return _hash16(u & _MASK, v & _MASK, factor)


def _weak_hash32(data: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_fetch64(data, at + 8 * i) for i in range(4))
    a += w
    b = _rotate(b + a + z, 21)
    c = a
    a += x + y
    b += _rotate(a, 44)
    return (a + z) & _MASK, (b + c) & _MASK


def _long(data: bytes) -> int:
    seed = 81
    x = seed
    y = (seed * _K1 + 113) & _MASK
    z = _fold(y * _K2 + 113) * _K2 & _MASK
    v, w = (0, 0), (0, 0)
    x = (x * _K2 + _fetch64(data, 0)) & _MASK
    end = (len(data) - 1) // 64 * 64
    last = len(data) - 64
    for at in range(0, end, 64):
        x = _rotate(x + y + v[0] + _fetch64(data, at + 8), 37) * _K1 & _MASK
        y = _rotate(y + v[1] + _fetch64(data, at + 48), 42) * _K1 & _MASK
        x ^= w[1]
        y = (y + v[0] + _fetch64(data, at + 40)) & _MASK
        z = _rotate(z + w[0], 33) * _K1 & _MASK
        v = _weak_hash32(data, at, v[1] * _K1, x + w[0])
        w = _weak_hash32(data, at + 32, z + w[1], y + _fetch64(data, at + 16))
        z, x = x, z
    factor = (_K1 + ((z & 0xFF) << 1)) & _MASK
    w = ((w[0] + (len(data) - 1 & 63)) & _MASK, w[1])
    v = ((v[0] + w[0]) & _MASK, v[1])
    w = ((w[0] + v[0]) & _MASK, w[1])
    x = _rotate(x + y + v[0] + _fetch64(data, last + 8), 37) * factor & _MASK
    y = _rotate(y + v[1] + _fetch64(data, last + 48), 42) * factor & _MASK
    x ^= w[1] * 9 & _MASK
    y = (y + v[0] * 9 + _fetch64(data, last + 40)) & _MASK
    z = _rotate(z + w[0], 33) * factor & _MASK
    v = _weak_hash32(data, last, v[1] * factor, x + w[0])
    w = _weak_hash32(data, last + 32, z + w[1], y + _fetch64(data, last + 16))
    z, x = x, z
    u = _hash16(v[0], w[0], factor) + _fold(y) * _K0 + z
    return _hash16(u & _MASK, (_hash16(v[1], w[1], factor) + x) & _MASK, factor)


def fingerprint64(data: bytes) -> int:
    if len(data) <= 16:
        return _upto_16(data)
    if len(data) <= 32:
        return _upto_32(data)
    if len(data) <= 64:
        return _upto_64(data)
    return _long(data)
