"""95 % intervals for the reach and the frequencies that Honest Majority Share Shuffle measures.

A frequency vector has an entry for each person of the sample, so that only the sampling of people and the noise of the
two workers make a difference. Their variances are added; an interval is 1.96 standard deviations to either side.

Source: "From histogram to result", section 7.1 (variance of the noise) and section 7.3 (frequency vectors). Beyond it:
the geometric mechanism, and in the frequencies the shift that comes from cutting noisy buckets off at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, sqrt

from gristmill.consumer.intervals import QUANTILE, UNIFORM_VARIANCE, Interval, clamping_excess, noise_variance

_SENSITIVITY = 2
"""Of the geometric noise, for reach as for frequencies; the discrete Gaussian needs none."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How all noise of one kind was made. `NONE` needs neither epsilon nor delta."""

    mechanism: str
    epsilon: float
    delta: float

    @property
    def variance(self) -> float:
        """In entries of the vector, of both workers together."""
        return noise_variance(self.mechanism, self.epsilon, self.delta, _SENSITIVITY)


@dataclass(frozen=True, slots=True)
class Sample:
    """Which people the vector has entries for: how many, and which share of the population that is."""

    size: int
    width: float

    def variance(self, people: float) -> float:
        """In squared people: of how many of these are in a sample that is drawn from the population without return."""
        population = max(2.0, ceil(self.size / self.width), people)
        return (1 - self.width) / self.width * (population - people) * people / (population - 1)

    def covariance(self, part: float, whole: float) -> float:
        """Of a part of the people with the whole that it is a part of."""
        population = max(2.0, ceil(self.size / self.width), whole)
        return (1 - self.width) / self.width * (population - whole) * part / (population - 1)


def reach_interval(*, reach: float, sample: Sample, noise: Noise) -> Interval:
    """The interval of a reach in people."""
    deviation = sqrt(_reach_variance(reach, sample, noise))
    return Interval(max(0.0, reach - QUANTILE * deviation), reach + QUANTILE * deviation, deviation)


def frequency_intervals(
    *,
    distribution: Mapping[int, float],
    reach: float,
    sample: Sample,
    noise: Noise,
    frequency_noise: Noise,
    maximum_frequency: int,
) -> dict[int, Interval]:
    """The interval of every bucket's share of the reached people, 1 to the maximum frequency, within [0, 1].

    Buckets that are missing from `distribution` count as 0. `noise` is that of the reach. The last bucket is what the
    others leave of the reach, and has the noise of all of them.
    """
    reach_variance = _reach_variance(reach, sample, noise)
    too_small = reach - QUANTILE * sqrt(reach_variance) <= 0
    of_reach, of_bucket = noise.variance / sample.width**2, frequency_noise.variance / sample.width**2
    shares = {bucket: distribution.get(bucket, 0.0) for bucket in range(1, maximum_frequency + 1)}
    excess = {bucket: clamping_excess(share * reach, sqrt(of_bucket)) for bucket, share in shares.items()}
    intervals = {}
    for bucket, share in shares.items():
        people = share * reach
        variance, covariance = sample.variance(people) + of_bucket, sample.covariance(people, reach)
        shift = excess[bucket]
        if bucket == maximum_frequency:  # what the others leave of the reach
            variance += of_reach + (maximum_frequency - 2) * of_bucket
            covariance += of_reach
            shift = -sum(other for other_bucket, other in excess.items() if other_bucket != bucket)
        if too_small:
            variance = UNIFORM_VARIANCE
        else:
            variance = max(0.0, share**2 * reach_variance + variance - 2 * share * covariance) + shift**2
            variance /= reach**2
        deviation = sqrt(variance)
        low, high = share - QUANTILE * deviation, share + QUANTILE * deviation
        intervals[bucket] = Interval(max(0.0, low), min(1.0, high), deviation)
    return intervals


def _reach_variance(reach: float, sample: Sample, noise: Noise) -> float:
    return sample.variance(reach) + noise.variance / sample.width**2
