"""The yardstick: one multiplication of a P-256 point that is not the generator, by the libcrypto of this machine.

Stages are compared with it because both get slower and faster together, on other processors and under other load.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import statistics
import time

_P_256 = 415  # its number in OpenSSL


class Yardstick:
    """Times EC_POINT_mul whenever it is asked to, so that a run can do so all along."""

    def __init__(self, crypto: ctypes.CDLL) -> None:
        crypto.OpenSSL_version.restype = ctypes.c_char_p
        for function in ("EC_GROUP_new_by_curve_name", "EC_POINT_new", "EC_GROUP_get0_order", "BN_new"):
            getattr(crypto, function).restype = ctypes.c_void_p
        self._crypto = crypto
        self.keystream = Keystream(crypto)
        self._group = ctypes.c_void_p(crypto.EC_GROUP_new_by_curve_name(_P_256))
        self._point, self._product = (ctypes.c_void_p(crypto.EC_POINT_new(self._group)) for _ in range(2))
        self._scalar = ctypes.c_void_p(crypto.BN_new())
        order = ctypes.c_void_p(crypto.EC_GROUP_get0_order(self._group))
        crypto.BN_rand_range(self._scalar, order)
        crypto.EC_POINT_mul(self._group, self._point, self._scalar, None, None, None)
        crypto.BN_rand_range(self._scalar, order)
        self._samples: list[float] = []
        self.measure()

    @property
    def version(self) -> str:
        version: bytes = self._crypto.OpenSSL_version(0)
        return version.decode()

    @property
    def fastest(self) -> float:
        """Microseconds of a multiplication: the fastest sample so far. On a machine that others use too, that is the
        one that they disturbed least, and the one that flatters the stages least."""
        return min(self._samples)

    @property
    def median(self) -> float:
        """Microseconds of a multiplication in the middle sample; far from the fastest, the machine was busy."""
        return statistics.median(self._samples)

    def measure(self, repetitions: int = 3, multiplications: int = 50) -> None:
        """Takes a few samples, of the processor time of this thread: some milliseconds."""
        crypto, group, point, product, scalar = (
            self._crypto,
            self._group,
            self._point,
            self._product,
            self._scalar,
        )
        for _ in range(repetitions):
            start = time.thread_time()
            for _ in range(multiplications):
                crypto.EC_POINT_mul(group, product, None, point, scalar, None)
            self._samples.append((time.thread_time() - start) / multiplications * 1e6)
        self.keystream.measure()


class Keystream:
    """Times AES-256-CTR over 16 bytes: what a shuffled entry takes of it."""

    _BYTES = 1 << 20

    def __init__(self, crypto: ctypes.CDLL) -> None:
        for function in ("EVP_CIPHER_CTX_new", "EVP_aes_256_ctr"):
            getattr(crypto, function).restype = ctypes.c_void_p
        self._crypto = crypto
        self._context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
        cipher = ctypes.c_void_p(crypto.EVP_aes_256_ctr())
        crypto.EVP_EncryptInit_ex(self._context, cipher, None, os.urandom(32), os.urandom(16))
        self._zeros, self._made = (ctypes.create_string_buffer(self._BYTES) for _ in range(2))
        self.fastest = float("inf")
        """Nanoseconds, of the fastest sample so far."""
        self.measure()

    def measure(self, repetitions: int = 5) -> None:
        """Takes a few samples, of the processor time of this thread: a millisecond."""
        length = ctypes.c_int()
        for _ in range(repetitions):
            start = time.thread_time()
            self._crypto.EVP_EncryptUpdate(self._context, self._made, ctypes.byref(length), self._zeros, self._BYTES)
            self.fastest = min(self.fastest, (time.thread_time() - start) / self._BYTES * 16e9)


def yardstick() -> Yardstick | None:
    """None where there is no libcrypto of OpenSSL 1.1 or later."""
    name = ctypes.util.find_library("crypto")
    try:
        return Yardstick(ctypes.CDLL(name)) if name else None
    except (OSError, AttributeError):  # a library that cannot be loaded, or another of that name
        return None
