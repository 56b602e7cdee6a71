"""The 95 % intervals of Honest Majority Share Shuffle."""

from __future__ import annotations

from math import log, sqrt
from random import Random

import pytest
from scipy.stats import binom  # type: ignore[import-untyped]

from gristmill.consumer.frequency_vector_intervals import Noise, Sample, frequency_intervals, reach_interval

EXACT = Noise("NONE", 0.0, 0.0)


def gaussian(epsilon: float, delta: float = 1e-5) -> Noise:
    return Noise("DISCRETE_GAUSSIAN", epsilon, delta)


@pytest.mark.parametrize(("width", "variance"), [(0.1, 432809.1313761), (1.0, 4327.9113137641125)])
def test_the_variance_of_a_tiny_reach_is_the_published_one(width: float, variance: float) -> None:
    interval = reach_interval(reach=2, sample=Sample(10_000_000, width), noise=gaussian(0.1, 1e-9))
    assert interval.standard_deviation**2 == pytest.approx(variance, rel=1e-9)


def test_the_deviation_at_production_size_is_the_published_one() -> None:
    sample = Sample(6_000_000, 0.01666666753590107)
    interval = reach_interval(reach=54_000_000, sample=sample, noise=gaussian(0.0033, 1e-12))
    assert interval.standard_deviation == pytest.approx(146_909, abs=1)


def test_without_noise_and_sampling_the_interval_is_the_value() -> None:
    sample = Sample(1000, 1.0)
    assert reach_interval(reach=300, sample=sample, noise=EXACT).standard_deviation == 0
    shares = {1: 0.5, 2: 0.3, 3: 0.2}
    intervals = frequency_intervals(
        distribution=shares, reach=300, sample=sample, noise=EXACT, frequency_noise=EXACT, maximum_frequency=3
    )
    for bucket, share in shares.items():
        assert (intervals[bucket].low, intervals[bucket].high) == pytest.approx((share, share))


def test_noise_larger_than_the_reach_says_that_nothing_is_known() -> None:
    intervals = frequency_intervals(
        distribution={1: 1.0},
        reach=1,
        sample=Sample(1000, 1.0),
        noise=gaussian(0.1),
        frequency_noise=gaussian(0.1),
        maximum_frequency=2,
    )
    assert intervals[1].standard_deviation == pytest.approx(sqrt(1 / 12))


@pytest.mark.parametrize(
    ("width", "epsilon", "counts"),
    [
        (1.0, 1.0, {1: 500, 2: 300, 3: 150, 4: 40, 5: 10}),
        (1.0, 1.0, {1: 900, 2: 90, 3: 9, 4: 0, 5: 0}),
        (0.3, 3.0, {1: 1500, 2: 900, 3: 300, 4: 200, 5: 100}),
        (1.0, 1.0, {1: 500, 20: 500}),
    ],
    ids=["all buckets", "buckets that noise hides", "sampled", "a last one that empty ones take from"],
)
def test_nineteen_of_twenty_intervals_hold_the_exact_value(
    width: float, epsilon: float, counts: dict[int, int]
) -> None:
    """By the aggregator's own arithmetic (share-shuffle specification, section 8.1) over a simulated noise."""
    rounds, top, population = 300, max(counts), 10_000
    noise, random = gaussian(epsilon), Random(7)
    sample, reach = Sample(int(population * width), width), sum(counts.values())
    people = [*(times for times, count in counts.items() for _ in range(count)), *[0] * (population - reach)]
    held = dict.fromkeys(range(top + 1), 0)
    for _ in range(rounds):
        measured, distribution = aggregated(random.sample(people, sample.size), top, noise, random, width)
        held[0] += contains(reach_interval(reach=measured, sample=sample, noise=noise), reach)
        intervals = frequency_intervals(
            distribution=distribution,
            reach=measured,
            sample=sample,
            noise=noise,
            frequency_noise=noise,
            maximum_frequency=top,
        )
        for times in range(1, top + 1):
            held[times] += contains(intervals[times], counts.get(times, 0) / reach)
    least = binom.ppf(1e-3, rounds, 0.93)
    assert {what: count for what, count in held.items() if count < least} == {}


def test_the_interval_is_not_wider_than_it_need_be() -> None:
    """Its standard deviation is that of the noise itself."""
    noise = gaussian(1.0)
    interval = reach_interval(reach=1000, sample=Sample(10_000, 1.0), noise=noise)
    assert interval.standard_deviation == pytest.approx(sqrt(2 * log(1.25 / 0.5e-5)))


def contains(interval: object, value: float) -> bool:
    return bool(interval.low <= value <= interval.high)  # type: ignore[attr-defined]


def aggregated(
    sampled: list[int], top: int, noise: Noise, random: Random, width: float
) -> tuple[int, dict[int, float]]:
    size, deviation = len(sampled), sqrt(noise.variance)
    often = [0] * (top + 1)
    for times in sampled:
        often[min(times, top)] += 1
    noisy = [count + round(random.gauss(0, deviation)) for count in often[:top]]
    reach = min(max(size - noisy[0], 0), size)
    kept = [max(0, count) for count in noisy]
    last = max(0, size - sum(kept))
    total = size - kept[0] if sum(kept) <= size else sum(kept) - kept[0]
    shares = {times: count / total for times, count in enumerate([*kept, last]) if times and count}
    return int(reach / width), shares
