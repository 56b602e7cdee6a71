"""Noise counts against their exact distributions."""

from collections import Counter
from random import Random

import pytest
from scipy.stats import chisquare  # type: ignore[import-untyped]

from gristmill import _native
from reference.noise import Noise, noise

SETTINGS = [  # mechanism, (epsilon, delta), contributors, sensitivity
    ("GEOMETRIC", (1.0, 1.0), 3, 2.0),
    ("GEOMETRIC", (1.0, 1e-5), 3, 1.0),
    ("GEOMETRIC", (0.1, 0.3), 1, 1.0),
    ("GEOMETRIC", (0.5, 1e-3), 2, 4.0),
    ("DISCRETE_GAUSSIAN", (1.0, 1.0), 3, 1.0),
    ("DISCRETE_GAUSSIAN", (1.0, 1e-5), 3, 1.0),
    ("DISCRETE_GAUSSIAN", (0.1, 1e-5), 2, 1.0),
    ("DISCRETE_GAUSSIAN", (4.0, 0.1), 1, 1.0),
]
DRAWS = 20_000


def p_value(counts: list[int], parameters: Noise) -> float:
    """Of the chi-square test, neighbouring outcomes pooled until each pool is expected 10 times."""
    masses = parameters.masses()
    assert all(0 <= count < len(masses) for count in counts)
    found, pools, expected, seen = Counter(counts), [], 0.0, 0
    for outcome, mass in enumerate(masses):
        expected, seen = expected + mass * len(counts), seen + found[outcome]
        if expected >= 10:
            pools.append((expected, seen))
            expected, seen = 0.0, 0
    last_expected, last_seen = pools.pop()
    pools.append((last_expected + expected, last_seen + seen))
    if len(pools) == 1:
        return 1.0
    return float(chisquare([each[1] for each in pools], [each[0] for each in pools]).pvalue)


def test_the_masses_add_up_and_centre_on_the_offset() -> None:
    for mechanism, privacy, contributors, sensitivity in SETTINGS:
        parameters = noise(mechanism, privacy, contributors=contributors, sensitivity=sensitivity)
        masses = parameters.masses()
        assert len(masses) == 2 * parameters.offset + 1
        assert sum(masses) == pytest.approx(1)
        assert sum(count * mass for count, mass in enumerate(masses)) == pytest.approx(parameters.offset)


@pytest.mark.parametrize(("mechanism", "privacy", "contributors", "sensitivity"), SETTINGS)
def test_the_native_counts_follow_the_exact_distribution(
    mechanism: str, privacy: tuple[float, float], contributors: int, sensitivity: float
) -> None:
    seed = f"{mechanism} {privacy} {contributors} {sensitivity}".encode().ljust(64)[:64]
    epsilon, delta = privacy
    counts = _native.sample_noise(
        mechanism=mechanism,
        epsilon=epsilon,
        delta=delta,
        contributors=contributors,
        sensitivity=sensitivity,
        count=DRAWS,
        randomness=_native.Randomness.seeded(Random(seed).randbytes(32)),
    )
    assert len(counts) == DRAWS
    assert p_value(counts, noise(mechanism, privacy, contributors=contributors, sensitivity=sensitivity)) > 1e-4


@pytest.mark.parametrize(("mechanism", "privacy", "contributors", "sensitivity"), SETTINGS)
def test_the_reference_counts_follow_the_exact_distribution(
    mechanism: str, privacy: tuple[float, float], contributors: int, sensitivity: float
) -> None:
    parameters = noise(mechanism, privacy, contributors=contributors, sensitivity=sensitivity)
    random = Random(20)
    assert p_value([parameters.sample(random) for _ in range(DRAWS // 4)], parameters) > 1e-4


def test_a_wrong_distribution_is_found_out() -> None:
    parameters = noise("DISCRETE_GAUSSIAN", (1.0, 1e-5), contributors=3)
    other = noise("DISCRETE_GAUSSIAN", (0.9, 1e-5), contributors=3)
    random = Random(21)
    counts = [min(other.sample(random), 2 * parameters.offset) for _ in range(DRAWS)]
    assert p_value(counts, parameters) < 1e-4


def test_the_noise_of_all_contributors_together_has_the_variance_that_the_intervals_assume() -> None:
    from gristmill.consumer.intervals import noise_variance

    for mechanism, sensitivity in (("GEOMETRIC", 2.0), ("DISCRETE_GAUSSIAN", 1.0)):
        masses = noise(mechanism, (1.0, 1e-9), contributors=3, sensitivity=sensitivity).masses()
        middle = len(masses) // 2
        of_one = sum(mass * (count - middle) ** 2 for count, mass in enumerate(masses))
        assert 3 * of_one == pytest.approx(noise_variance(mechanism, 1.0, 1e-9, sensitivity), rel=1e-4)
