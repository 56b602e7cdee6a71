"""The 95 % intervals of Liquid Legions v2."""

from itertools import pairwise
from typing import Any

import pytest

from gristmill.consumer.intervals import Interval, frequency_intervals, noise_variance, reach_interval

SKETCH: dict[str, Any] = {"decay_rate": 12.0, "sketch_size": 100_000, "sampling_width": 1.0, "epsilon": 1.0, "delta": 1e-5}
FREQUENCY: dict[str, Any] = {"frequency_epsilon": 1.0, "frequency_delta": 1e-5}


@pytest.mark.parametrize(
    ("decay_rate", "width", "variance"),
    [
        (1e-3, 0.1, 432817.78878559935),
        (1e-3, 1.0, 4328.084473679164),
        (100.0, 0.1, 433242.32234),
        (100.0, 1.0, 4336.57924),
    ],
)
def test_the_variance_of_a_tiny_reach_is_the_published_one(decay_rate: float, width: float, variance: float) -> None:
    interval = reach_interval(
        reach=2, decay_rate=decay_rate, sketch_size=100_000, sampling_width=width, epsilon=0.1, delta=1e-9
    )
    assert interval.standard_deviation**2 == pytest.approx(variance, rel=1e-8)


def test_the_deviation_at_production_size_is_the_published_one() -> None:
    interval = reach_interval(
        reach=54_000_000,
        decay_rate=5.6,
        sketch_size=1_000_000,
        sampling_width=0.01666666753590107,
        epsilon=0.0033,
        delta=1e-12,
    )
    assert interval.standard_deviation == pytest.approx(718_148, abs=1)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 718_148, rel=1e-4)


def test_the_geometric_mechanism_has_the_variance_of_a_difference_of_geometric_variables() -> None:
    p = 2.718281828459045**-0.5
    differences = [(1 - p) / (1 + p) * p ** abs(k) for k in range(-400, 401)]
    variance = sum(mass * k**2 for mass, k in zip(differences, range(-400, 401), strict=True))
    assert noise_variance("GEOMETRIC", 1.0, 1e-5, sensitivity=2) == pytest.approx(variance)


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(ValueError, match="CONTINUOUS_LAPLACE"):
        noise_variance("CONTINUOUS_LAPLACE", 1.0, 1e-5, sensitivity=1)


def test_less_privacy_gives_a_narrower_reach() -> None:
    deviations = [
        reach_interval(reach=2000, **SKETCH | {"epsilon": epsilon}).standard_deviation for epsilon in (0.1, 1, 10)
    ]
    assert all(wider > narrower for wider, narrower in pairwise(deviations))


def test_a_smaller_sample_gives_a_wider_reach() -> None:
    deviations = [
        reach_interval(reach=2000, **SKETCH | {"sampling_width": width}).standard_deviation for width in (0.1, 0.5, 1)
    ]
    assert all(wider > narrower for wider, narrower in pairwise(deviations))


def test_a_reach_is_never_negative() -> None:
    assert reach_interval(reach=1, **SKETCH).low == 0


def test_every_bucket_has_an_interval_within_0_and_1_around_its_share() -> None:
    shares = {1: 0.97, 2: 0.03}
    intervals = frequency_intervals(distribution=shares, reach=300, **SKETCH, **FREQUENCY, maximum_frequency=4)
    assert sorted(intervals) == [1, 2, 3, 4]
    for bucket, interval in intervals.items():
        assert 0 <= interval.low <= shares.get(bucket, 0) <= interval.high <= 1
    assert intervals[1].high == 1
    assert intervals[4].low == 0 < intervals[4].high


def test_a_reach_that_may_be_nobody_tells_nothing_about_frequencies() -> None:
    intervals = frequency_intervals(distribution={1: 1.0}, reach=4, **SKETCH, **FREQUENCY, maximum_frequency=3)
    assert [each.standard_deviation for each in intervals.values()] == pytest.approx([(1 / 12) ** 0.5] * 3)


def test_more_noise_widens_every_frequency() -> None:
    def intervals(epsilon: float) -> dict[int, Interval]:
        privacy: dict[str, Any] = {"frequency_epsilon": epsilon, "frequency_delta": 1e-5}
        shares = {1: 0.5, 2: 0.3, 3: 0.2}
        return frequency_intervals(distribution=shares, reach=2000, **SKETCH, **privacy, maximum_frequency=3)

    noisy, calm = intervals(0.5), intervals(5.0)
    assert all(noisy[bucket].standard_deviation > calm[bucket].standard_deviation for bucket in noisy)
