"""ElGamal on points and the Pohlig-Hellman layer over it (specification of the primitives, 3 to 5)."""

from typing import NamedTuple, Self

from reference import curve
from reference.curve import Affine, Point

CIPHERTEXT_BYTES = 66


class Ciphertext(NamedTuple):
    u: Point
    e: Point

    def plus(self, other: "Ciphertext") -> "Ciphertext":
        return Ciphertext(curve.add(self.u, other.u), curve.add(self.e, other.e))

    def minus(self, other: "Ciphertext") -> "Ciphertext":
        return Ciphertext(curve.subtract(self.u, other.u), curve.subtract(self.e, other.e))

    def negated(self) -> "Ciphertext":
        return Ciphertext(curve.negate(self.u), curve.negate(self.e))

    def times(self, scalar: int) -> "Ciphertext":
        return Ciphertext(curve.multiply(scalar, self.u), curve.multiply(scalar, self.e))

    def re_randomised(self, public_key: Affine, r: int) -> "Ciphertext":
        return self.plus(encrypt(None, public_key, r))

    def decrypted(self, secret_key: int) -> Point:
        return curve.subtract(self.e, curve.multiply(secret_key, self.u))

    def partially_decrypted(self, secret_key: int) -> "Ciphertext":
        return Ciphertext(self.u, self.decrypted(secret_key))

    def blinded(self, secret_key: int, pohlig_hellman_key: int) -> "Ciphertext":
        return self.partially_decrypted(secret_key).times(pohlig_hellman_key)

    def encoded(self) -> bytes:
        return curve.encode(self.u) + curve.encode(self.e)

    @classmethod
    def decoded(cls, block: bytes) -> Self:
        if len(block) != CIPHERTEXT_BYTES:
            raise ValueError("a ciphertext is 66 bytes")
        return cls(curve.decode(block[: curve.POINT_BYTES]), curve.decode(block[curve.POINT_BYTES :]))


def encrypt(plaintext: Point, public_key: Affine, r: int) -> Ciphertext:
    return Ciphertext(curve.multiply_base(r), curve.add(plaintext, curve.multiply_fixed(r, public_key)))


def combine_public_keys(elements: list[Affine]) -> Point:
    combined: Point = None
    for element in elements:
        combined = curve.add(combined, element)
    return combined


def decode_row(block: bytes) -> list[Ciphertext]:
    """The ciphertexts of a register (3), of a flag and count tuple (4) or of a matrix row."""
    return [Ciphertext.decoded(block[i : i + CIPHERTEXT_BYTES]) for i in range(0, len(block), CIPHERTEXT_BYTES)]


def encode_row(row: list[Ciphertext]) -> bytes:
    return b"".join(ciphertext.encoded() for ciphertext in row)


def blocks(data: bytes, size: int) -> list[bytes]:
    if len(data) % size:
        raise ValueError(f"{len(data)} bytes are not a whole number of blocks of {size}")
    return [data[i : i + size] for i in range(0, len(data), size)]


UNIT = curve.hash_to_curve(b"unit_ec_point")


def integer_point(value: int) -> Point:
    """value times the unit point; zero is infinity (5)."""
    return curve.multiply_fixed(value, UNIT)
