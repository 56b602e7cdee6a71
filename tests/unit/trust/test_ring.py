"""The order of the duchies in a ring, against values made with OpenJDK 17."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.trust.consent import serialize_el_gamal_key
from gristmill.trust.ring import decode_like_java, ring_order, sort_key

_HEAD = "1221036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2961a21"
ELEMENTS = (
    "02d1432ca007a6c6d739fce2d21feb56d9a2c35cf968265f9093c4b691e11386b3",
    "039ef370ff4d216225401781d88a03f5a670a5040e6333492cb4e0cd991abbd5a3",
    "02d0f25ab445fc9c29e7e2509adc93308430f432522ffa93c2ae737ceb480b66d7",
)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (_HEAD + "0391813ca062ab9d090fa063cd042b6f7fb77e3aa15c4c668742f0b1b4ce8478e8",
         -675517715872461726502205455881786313403997508372),
        (_HEAD + "025623dde364c184f05e9ab1f66f9939c5a28d479538f37fda36c49b6743ab0f19",
         724024265367592537436653983404598714314803289969),
        (_HEAD + "02c158752f2e8d4cc2acea64432f899120ba6cfb93fe37731592da56526822b375",
         -267133313390840807001407092690955878334213553078),
        (_HEAD + "029890da5ceda0805e6aea0466366fae2923476b1848c4a31f612ef67de94835d9",
         -64525669296491396828903642403013558971030240751),
        (_HEAD + "03df77b33cf02bbf67edb14123907ad6a952141da89e6df747133949161e633e37",
         276247224746284219824213278805175629910252360866),
        ("eda0", -620180851014255849855161400519147668101591069969),
        ("", -370261434687248296935042589109909818048005850059),
    ],
)  # fmt: skip
def test_the_sort_key_of_a_key_is_javas(key: str, expected: int) -> None:
    assert sort_key(bytes.fromhex(key), "abcDEF123_-") == expected


@pytest.mark.parametrize(
    ("computation", "digest_starts", "order"),
    [
        ("AAAAAAAAAHs", ("9cea72b3", "a3d4e081", "b4ac57e1"), ["one", "two", "three"]),
        ("c1", ("5089e4f0", "6dbbac8e", "0df60e61"), ["three", "one", "two"]),
    ],
)
def test_duchies_stand_in_the_order_of_their_keys_with_the_aggregator_last(
    computation: str, digest_starts: tuple[str, ...], order: list[str]
) -> None:
    keys = {
        name: serialize_el_gamal_key(bytes.fromhex(element))
        for name, element in zip(("one", "two", "three"), ELEMENTS, strict=True)
    }
    digests = [
        hashlib.new("sha1", (decode_like_java(key) + computation).encode(), usedforsecurity=False).hexdigest()
        for key in keys.values()
    ]
    assert tuple(digest[:8] for digest in digests) == digest_starts
    assert ring_order({"aggregator": b"", **keys}, aggregator="aggregator", computation=computation) == [
        *order,
        "aggregator",
    ]


def test_an_aggregator_that_does_not_take_part_is_an_error() -> None:
    with pytest.raises(KeyError):
        ring_order({"one": b""}, aggregator="aggregator", computation="c1")


@given(st.binary(max_size=80))
def test_decoding_differs_from_pythons_only_in_surrogates(data: bytes) -> None:
    surrogates = any(data[i] == 0xED and 0xA0 <= data[i + 1] <= 0xBF for i in range(len(data) - 1))
    if not surrogates:
        assert decode_like_java(data) == data.decode("utf-8", "replace")


@given(st.text(max_size=40))
def test_valid_text_is_decoded_as_it_is(text: str) -> None:
    assert decode_like_java(text.encode()) == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [("eda080", "\ufffd"), ("eda041", "\ufffdA"), ("eda0", "\ufffd"), ("edb1bf41", "\ufffdA"), ("ed9fbf", "\ud7ff")],
)
def test_an_encoded_surrogate_becomes_one_replacement_character(data: str, expected: str) -> None:
    assert decode_like_java(bytes.fromhex(data)) == expected
