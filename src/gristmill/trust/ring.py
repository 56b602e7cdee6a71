"""The order of the duchies in a ring: all must compute the same one, bit for bit (LLv2 specification, "Ring order")."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def ring_order(keys: Mapping[str, bytes], *, aggregator: str, computation: str) -> list[str]:
    """Duchy IDs in ring order: the others by their position's sort key, then the aggregator.

    `keys` maps each duchy to its serialized public ElGamal key (70 bytes); `computation` is the global ID. The duchy
    after the last one is the first. Raises `KeyError` if the aggregator has no key.
    """
    keys[aggregator]  # an aggregator that does not take part is an error
    others = [duchy for duchy in keys if duchy != aggregator]
    return [*sorted(others, key=lambda duchy: sort_key(keys[duchy], computation)), aggregator]


def sort_key(key: bytes, computation: str) -> int:
    """SHA-1 of the key read as text, followed by the computation's ID; the digest is a signed big-endian integer."""
    text = decode_like_java(key) + computation
    return int.from_bytes(hashlib.sha1(text.encode(), usedforsecurity=False).digest(), "big", signed=True)


def decode_like_java(data: bytes) -> str:
    """Decode UTF-8 as the constructor of Java's String does.

    Python's "replace" differs in one case: the encoding of a surrogate (`ed`, then `a0`..`bf`) becomes one replacement
    character here, not one for each byte. About 1.5 % of all keys contain such bytes.
    """
    text: list[str] = []
    position = 0
    while position < len(data):
        length, valid = _sequence(data, position)
        text.append(data[position : position + length].decode() if valid else _REPLACEMENT)
        position += length
    return "".join(text)


def _sequence(data: bytes, start: int) -> tuple[int, bool]:
    """Length of the sequence at `start`, and whether it is valid; an invalid one becomes one replacement character."""
    lead = data[start]
    if lead < 0x80:
        return 1, True
    if 0xC2 <= lead <= 0xDF:
        continuations, lowest, highest = 1, 0x80, 0xBF
    elif 0xE0 <= lead <= 0xEF:
        continuations, lowest, highest = 2, 0xA0 if lead == 0xE0 else 0x80, 0xBF
    elif 0xF0 <= lead <= 0xF4:
        continuations, lowest, highest = 3, 0x90 if lead == 0xF0 else 0x80, 0x8F if lead == 0xF4 else 0xBF
    else:
        return 1, False
    tail = data[start + 1 : start + 1 + continuations]
    for index, byte in enumerate(tail):
        if not (lowest if index == 0 else 0x80) <= byte <= (highest if index == 0 else 0xBF):
            return 1 + index, False
    if len(tail) < continuations:
        return 1 + len(tail), False
    surrogate = lead == 0xED and tail[0] >= 0xA0
    return 1 + continuations, not surrogate
