"""95 % intervals for the reach and the frequencies that Liquid Legions v2 measures.

The registers that people touch, the sampling of people and the noise of the duchies each have a known variance; their
sum, carried from registers to people by the slope of the estimator at the measured reach, gives the standard deviation.
An interval is 1.96 of it to either side, cut off where no value can lie.

Source: "From histogram to result", section 7.1 (variance of the noise) and section 7.4 (Liquid Legions). Beyond it: the
geometric mechanism, and in the frequencies the shift that comes from cutting noisy buckets off at zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import erf, exp, log, pi, sqrt

QUANTILE = 1.959963984540054
UNIFORM_VARIANCE = 1 / 12
_UNIFORM_DECAY = 0.01  # below this the registers are taken as equally probable


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval and the standard deviation behind it, in the unit of the measured value."""

    low: float
    high: float
    standard_deviation: float


def noise_variance(mechanism: str, epsilon: float, delta: float, sensitivity: float) -> float:
    """The variance of all duchies' noise together, in registers; it does not depend on how many they are."""
    if mechanism == "NONE":
        return 0.0
    if epsilon <= 0 or delta <= 0:
        raise ValueError(f"epsilon {epsilon} and delta {delta} must be positive")
    if mechanism == "DISCRETE_GAUSSIAN":
        return 2 * log(1.25 / (delta / 2)) / epsilon**2
    if mechanism == "GEOMETRIC":
        p = exp(-epsilon / sensitivity)
        return 2 * p / (1 - p) ** 2
    raise ValueError(f"the noise mechanism {mechanism} belongs to no protocol of several duchies")


def reach_interval(
    *,
    reach: float,
    decay_rate: float,
    sketch_size: int,
    sampling_width: float,
    epsilon: float,
    delta: float,
    mechanism: str = "DISCRETE_GAUSSIAN",
) -> Interval:
    """The interval of a reach in people. The standard deviation is the one of section 7.4 at the measured reach."""
    noise = noise_variance(mechanism, epsilon, delta, sensitivity=1)
    deviation = sqrt(_Registers(decay_rate, sketch_size).reach_variance(reach, sampling_width, noise))
    return Interval(max(0.0, reach - QUANTILE * deviation), reach + QUANTILE * deviation, deviation)


def frequency_intervals(
    *,
    distribution: Mapping[int, float],
    reach: float,
    decay_rate: float,
    sketch_size: int,
    sampling_width: float,
    epsilon: float,
    delta: float,
    frequency_epsilon: float,
    frequency_delta: float,
    maximum_frequency: int,
    mechanism: str = "DISCRETE_GAUSSIAN",
) -> dict[int, Interval]:
    """The interval of every bucket's share of the reached people, 1 to the maximum frequency, within [0, 1].

    Buckets that are missing from `distribution` count as 0. `epsilon` and `delta` are those of the reach.
    """
    registers = _Registers(decay_rate, sketch_size)
    noise = noise_variance(mechanism, frequency_epsilon, frequency_delta, sensitivity=2)
    reach_variance = registers.reach_variance(reach, sampling_width, noise_variance(mechanism, epsilon, delta, 1))
    usable = registers.usable(reach * sampling_width)
    too_small = reach - QUANTILE * sqrt(reach_variance) <= 0 or usable < 1
    usable_variance = registers.usable_variance(reach * sampling_width, sampling_width)
    shares = {bucket: distribution.get(bucket, 0.0) for bucket in range(1, maximum_frequency + 1)}
    excess = {bucket: clamping_excess(share * usable, sqrt(noise)) for bucket, share in shares.items()}
    intervals = {}
    for bucket, share in shares.items():
        if too_small:
            variance = UNIFORM_VARIANCE
        else:
            spread = share * (1 - share) / reach
            of_bucket = (share**2 - spread) * usable_variance + spread * usable * (reach - usable) + noise
            of_total = usable_variance + maximum_frequency * noise
            shared = share * usable_variance + noise
            variance = (share**2 * of_total + of_bucket - 2 * share * shared) / usable**2
            shift = (excess[bucket] - share * sum(excess.values())) / usable
            variance = max(0.0, variance) + shift**2
        deviation = sqrt(variance)
        low, high = share - QUANTILE * deviation, share + QUANTILE * deviation
        intervals[bucket] = Interval(max(0.0, low), min(1.0, high), deviation)
    return intervals


def clamping_excess(count: float, deviation: float) -> float:
    """How much max(0, count + noise) exceeds the count on average, with normal noise of that standard deviation."""
    if deviation == 0:
        return 0.0
    scaled = count / deviation
    density = exp(-(scaled**2) / 2) / sqrt(2 * pi)
    return deviation * density - count * (1 - erf(scaled / sqrt(2))) / 2


@dataclass(frozen=True, slots=True)
class _Registers:
    """Sums over the registers of a sketch, whose probabilities p fall off exponentially."""

    decay_rate: float
    size: int

    def _sum(self, power: int, people: float) -> float:
        """The sum of p^power * (1 - p)^people over all registers, as an integral; power is 0, 1 or 2."""
        from mpmath import ei, mp, mpf  # type: ignore[import-untyped]  # imported late: it takes a while

        decay, size = self.decay_rate, self.size
        if decay < _UNIFORM_DECAY:
            return float(max(1e-16, size ** (1 - power) * exp(-people / size)))
        with mp.workdps(40):  # the differences below cancel most of a double's digits
            highest = mpf(decay) / (size * (1 - mp.exp(-decay)))
            lowest = highest * mp.exp(-decay)
            if power == 0:
                integral = ei(-highest * people) - ei(-lowest * people)
            else:  # p^(power - 1) * (1 - p)^people, integrated by q = 1 - p
                n, high, low = mpf(people) + 1, 1 - lowest, 1 - highest
                integral = (high**n - low**n) / n
                if power == 2:
                    integral -= (high ** (n + 1) - low ** (n + 1)) / (n + 1)
            return max(1e-16, float(size / mpf(decay) * integral))

    def reach_variance(self, reach: float, width: float, noise: float) -> float:
        people = max(1.0, reach * width)
        slope = self._sum(1, people)
        occupied = (
            self._sum(0, people)
            - self._sum(0, 2 * people)
            + people * self._sum(2, 2 * people)
            - people * slope**2
            + noise
        )
        return max(0.0, occupied / (width * slope) ** 2 + reach * (1 / width - 1))

    def usable(self, people: float) -> float:
        """The expected number of registers with exactly one of the sampled people."""
        return people * self._sum(1, people - 1) if people >= 2 else 0.0

    def usable_variance(self, people: float, width: float) -> float:
        if people < 3:
            return 0.0
        y = people
        usable = self.usable(y)
        pairs = y * (y - 1) * (self._sum(1, y - 2) ** 2 - self._sum(2, 2 * y - 4)) - y**3 * self._sum(2, y - 2) ** 2
        sampling = y * (1 - width) * (self._sum(1, y - 1) - y * self._sum(2, y - 1)) ** 2
        return max(0.0, usable + pairs - usable**2 + sampling)
