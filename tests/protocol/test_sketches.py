"""Sketches and primitives: the reference against the native code on made-up input."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill import _native
from reference import curve, sketch
from reference.estimator import estimate_reach
from reference.fingerprint import fingerprint64

quick = settings(max_examples=50, deadline=None, derandomize=True)
vids = st.integers(-(2**63), 2**63 - 1)


@quick
@given(
    vids=st.lists(vids, max_size=60),
    decay_rate=st.sampled_from([2.0, 5.6, 12.0]),
    size=st.integers(1, 40),
    sampling_indicator_size=st.integers(1, 50),
    start=st.sampled_from([0.0, 0.25, 0.7]),
    width=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_both_build_the_same_sketch(
    vids: list[int], decay_rate: float, size: int, sampling_indicator_size: int, start: float, width: float
) -> None:
    vids = vids + vids[::3]
    settings: dict[str, Any] = {
        "decay_rate": decay_rate,
        "size": size,
        "sampling_indicator_size": sampling_indicator_size,
        "sampling_start": start,
        "sampling_width": width,
    }
    expected = sketch.build_sketch(vids, **settings)
    assert sorted(_native.build_sketch(vids, **settings)) == sorted(expected)


@quick
@given(vid=vids)
def test_both_sample_a_vid_alike(vid: int) -> None:
    assert _native.vid_sample(vid) == sketch.vid_sample(vid)


@quick
@given(data=st.binary(max_size=300))
def test_both_hash_bytes_alike(data: bytes) -> None:
    assert _native.fingerprint64(data) == fingerprint64(data)
    assert _native.hash_to_curve(data) == curve.encode(curve.hash_to_curve(data))


@quick
@given(scalar=st.integers(1, curve.N - 1) | st.integers(1, 2**64))
def test_both_multiply_the_generator_alike(scalar: int) -> None:
    assert _native.public_element(curve.minimal_bytes(scalar)) == curve.encode(curve.multiply_base(scalar))


@quick
@given(
    decay_rate=st.floats(1.5, 25),
    size=st.integers(10, 10**7),
    fill=st.floats(0, 0.9),
    width=st.sampled_from([0.016666668, 0.3, 1.0]),
)
def test_both_estimate_the_same_reach_but_for_the_last_digit(
    decay_rate: float, size: int, fill: float, width: float
) -> None:
    settings: dict[str, Any] = {
        "decay_rate": decay_rate,
        "size": size,
        "active": int(size * fill),
        "sampling_width": width,
    }
    native, reference = _native.estimate_reach(**settings), estimate_reach(**settings)
    assert abs(native - reference) <= max(1 / width + 1, reference * 1e-11)
