"""Noise counts: parameters, samplers and exact distributions (LLv2 specification, section 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, floor, log, sqrt
from random import Random

GEOMETRIC = "GEOMETRIC"
DISCRETE_GAUSSIAN = "DISCRETE_GAUSSIAN"

Privacy = tuple[float, float]  # epsilon and delta


@dataclass(frozen=True, slots=True)
class Noise:
    """How many noise items one of `contributors` parties adds: an integer in [0, 2 * offset] with mean `offset`."""

    mechanism: str
    contributors: int
    offset: int
    p: float = 0.0  # of the geometric mechanism
    deviation: float = 0.0  # of one party's share, for the discrete Gaussian

    def sample(self, random: Random) -> int:
        if self.mechanism == GEOMETRIC:
            return self.offset + self._polya(random) - self._polya(random)
        return self.offset + self._gaussian(random)

    def _polya(self, random: Random) -> int:
        while True:
            mean = random.gammavariate(1 / self.contributors, self.p / (1 - self.p))
            count = _poisson(mean, random)
            if count <= self.offset:
                return count

    def _gaussian(self, random: Random) -> int:
        variance = self.deviation**2
        scale = floor(self.deviation) + 1
        while True:
            draw = _geometric(1 / scale, random) - _geometric(1 / scale, random)
            accepted = random.random() < exp(-((abs(draw) - variance / scale) ** 2) / (2 * variance))
            if accepted and abs(draw) <= self.offset:
                return draw

    def masses(self) -> list[float]:
        """The probabilities of 0, 1, ..., 2 * offset."""
        if self.mechanism == GEOMETRIC:
            polya = [1.0]
            for k in range(self.offset):
                polya.append(polya[-1] * (k + 1 / self.contributors) / (k + 1) * self.p)
            return _normalised(_differences(_normalised(polya)))
        ordinates = range(-self.offset, self.offset + 1)
        return _normalised([exp(-(z**2) / (2 * self.deviation**2)) for z in ordinates])


def _normalised(weights: Sequence[float]) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]


def _differences(masses: Sequence[float]) -> list[float]:
    """The distribution of X - Y for independent X and Y of the given masses, from -n to n."""
    n = len(masses) - 1
    return [sum(masses[y + d] * masses[y] for y in range(max(0, -d), min(n, n - d) + 1)) for d in range(-n, n + 1)]


def _poisson(mean: float, random: Random) -> int:
    """The number of exponential waiting times that fit into `mean`."""
    count, waited = 0, random.expovariate(1.0)
    while waited <= mean:
        count += 1
        waited += random.expovariate(1.0)
    return count


def _geometric(rate: float, random: Random) -> int:
    """The number of failures before a success, whose probability is 1 - exp(-rate)."""
    return int(random.expovariate(rate))


def noise(mechanism: str, privacy: Privacy, *, contributors: int, sensitivity: float = 1.0) -> Noise:
    epsilon, delta = privacy
    if epsilon <= 0 or delta <= 0 or contributors < 1:
        raise ValueError("epsilon and delta must be positive and there must be a contributor")
    if mechanism == GEOMETRIC:
        rate = epsilon / sensitivity
        offset = ceil(log(2 * contributors * sensitivity * (1 + exp(epsilon)) / delta) / rate)
        return Noise(mechanism, contributors, offset, p=exp(-rate))
    if mechanism == DISCRETE_GAUSSIAN:
        deviation = sqrt(2 * log(1.25 / (delta / 2))) / epsilon / sqrt(contributors)
        offset = ceil(deviation * sqrt(2 * log(contributors * (1 + exp(epsilon)) / (delta / 2))))
        return Noise(mechanism, contributors, offset, deviation=deviation)
    raise ValueError(f"the mechanism {mechanism} is not distributed")


@dataclass(frozen=True, slots=True)
class RegisterNoise:
    """Noise of the setup phase (section 3). `group_floor` is ours: added to the publisher noise and padding."""

    mechanism: str
    contributors: int
    sketches: int
    blind_histogram: Privacy
    publisher: Privacy
    reach: Privacy
    group_floor: int = 0

    def __post_init__(self) -> None:
        if self.contributors < 1 or self.sketches < 1:
            raise ValueError("there must be a contributor and a sketch")

    def _noise(self, privacy: Privacy, sensitivity: float) -> Noise:
        return noise(self.mechanism, privacy, contributors=self.contributors, sensitivity=sensitivity)

    @property
    def blind_noise(self) -> Noise:
        return self._noise(self.blind_histogram, 2)

    @property
    def publisher_noise(self) -> Noise:
        return self._noise(self.publisher, self.sketches)

    @property
    def reach_noise(self) -> Noise:
        return self._noise(self.reach, 1)

    @property
    def total(self) -> int:
        blind = self.blind_noise.offset * self.sketches * (self.sketches + 1)
        return 2 * self.publisher_noise.offset + 2 * self.reach_noise.offset + blind

    def sample(self, random: Random) -> list[int]:
        """The counts in the order in which a stage takes them: n_1..n_S, publisher, reach."""
        noises = [self.blind_noise] * self.sketches + [self.publisher_noise, self.reach_noise]
        return [each.sample(random) for each in noises]


@dataclass(frozen=True, slots=True)
class TupleNoise:
    """Frequency noise of execution phases one and two (section 4.3)."""

    mechanism: str
    contributors: int
    maximum_frequency: int
    frequency: Privacy

    @property
    def noise(self) -> Noise:
        return noise(self.mechanism, self.frequency, contributors=self.contributors, sensitivity=2)

    @property
    def total(self) -> int:
        return 2 * self.noise.offset * (self.maximum_frequency + 1) if self.maximum_frequency >= 2 else 0

    def sample(self, random: Random) -> list[int]:
        """The counts in the order in which a stage takes them: n_1..n_F, destroyed."""
        if self.maximum_frequency < 2:
            return []
        return [self.noise.sample(random) for _ in range(self.maximum_frequency + 1)]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The mean of all parties' noise, which the aggregator subtracts."""

    mechanism: str
    contributors: int
    privacy: Privacy

    def total(self, sensitivity: float) -> int:
        each = noise(self.mechanism, self.privacy, contributors=self.contributors, sensitivity=sensitivity)
        return each.offset * self.contributors
