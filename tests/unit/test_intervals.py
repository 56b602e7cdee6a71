"""The 95 % intervals of Liquid Legions v2."""

from collections import Counter
from itertools import pairwise
from math import exp, log
from random import Random
from typing import Any

import pytest
from scipy.stats import binom  # type: ignore[import-untyped]

from gristmill.consumer.intervals import Interval, frequency_intervals, noise_variance, reach_interval
from reference.estimator import estimate_reach
from reference.noise import noise

PRIVACY: dict[str, Any] = {"epsilon": 1.0, "delta": 1e-5}
SKETCH: dict[str, Any] = {"decay_rate": 12.0, "sketch_size": 100_000, "sampling_width": 1.0, **PRIVACY}
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


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 1e-5), (-1.0, 1e-5), (1.0, 0.0)])
def test_privacy_that_is_not_positive_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        reach_interval(reach=2000, **SKETCH | {"epsilon": epsilon, "delta": delta})


def test_nobody_and_no_noise_to_speak_of_have_intervals_too() -> None:
    quiet = SKETCH | {"epsilon": 2000.0, "mechanism": "GEOMETRIC"}
    assert reach_interval(reach=0, **quiet).low == 0
    shares = frequency_intervals(
        distribution={1: 1.0}, reach=2000, **quiet, frequency_epsilon=2000.0, frequency_delta=1e-5, maximum_frequency=2
    )
    assert shares[1].high == 1
    assert shares[2].low == 0


@pytest.mark.parametrize("mechanism", ["DISCRETE_GAUSSIAN", "GEOMETRIC"])
@pytest.mark.parametrize("width", [1.0, 0.5])
def test_intervals_hold_the_truth_19_times_out_of_20_or_more_often(mechanism: str, width: float) -> None:
    """Register counts simulated without cryptography: 200 measurements of 1,000 people, three buckets empty."""
    runs, people, size, maximum = 200, 1000, 2000, 6
    truth = {1: 0.6, 2: 0.3, 3: 0.1, 4: 0.0, 5: 0.0, 6: 0.0}
    random, inside = Random(f"{mechanism} {width}"), Counter[int]()
    sketch = {"decay_rate": 12.0, "sampling_width": width}
    reach_noise = noise(mechanism, (1.0, 1e-5), contributors=3)
    bucket_noise = noise(mechanism, (1.0, 1e-5), contributors=3, sensitivity=2)
    for _ in range(runs):
        registers: dict[int, list[int]] = {}
        for person in range(people):
            if random.random() < width:
                unit = 1 - log(exp(12.0) + random.random() * (1 - exp(12.0))) / 12.0
                seen = 1 if person < 600 else 2 if person < 900 else 3
                registers.setdefault(int(unit * size), []).append(seen)
        active = len(registers) + sum(reach_noise.sample(random) - reach_noise.offset for _ in range(3))
        reach = estimate_reach(active=active, size=size, **sketch)
        kept = Counter(seen[0] for seen in registers.values() if len(seen) == 1)
        added = {f: sum(bucket_noise.sample(random) - bucket_noise.offset for _ in range(3)) for f in truth}
        noisy = {f: max(0, kept[f] + added[f]) for f in truth}
        shares = {f: count / sum(noisy.values()) for f, count in noisy.items()}
        settings: dict[str, Any] = {"reach": reach, "sketch_size": size, **sketch, **PRIVACY, "mechanism": mechanism}
        interval = reach_interval(**settings)
        inside[0] += interval.low <= people <= interval.high
        intervals = frequency_intervals(distribution=shares, **settings, **FREQUENCY, maximum_frequency=maximum)
        inside.update(f for f, each in intervals.items() if each.low <= truth[f] <= each.high)
    least = binom.ppf(1e-6, runs, 0.95)
    assert all(inside[place] >= least for place in range(maximum + 1)), inside
