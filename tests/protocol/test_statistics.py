"""200 seeded measurements: how often the truth lies inside the 95 % interval, and how the errors are distributed."""

from random import Random
from typing import Any

import pytest
from scipy.stats import binom, kstest  # type: ignore[import-untyped]

from gristmill import _native
from gristmill.consumer.intervals import frequency_intervals, reach_interval
from protocol.measurement import Plan, measure, natively

PEOPLE = 300
SEEN_ONCE = 0.6  # the others are seen twice, by one provider or by both
RUNS = {"DISCRETE_GAUSSIAN": 150, "GEOMETRIC": 50}
PRIVACY = (1.5, 0.05)
TOTAL = sum(RUNS.values())


def plan(mechanism: str) -> Plan:
    return Plan(
        maximum_frequency=2,
        sketch_size=1000,
        mechanism=mechanism,
        blind_and_publisher=(4.0, 0.5),
        reach=PRIVACY,
        frequency=PRIVACY,
        group_floor=3,
    )


def one_measurement(mechanism: str, seed: str) -> tuple[float, bool, bool]:
    """The standardised error of the reach, and whether the intervals of reach and of "seen once" hold the truth."""
    random = Random(seed)
    people = [random.getrandbits(63) for _ in range(PEOPLE)]
    once = round(PEOPLE * SEEN_ONCE)
    impressions: tuple[list[int], list[int]] = ([], [])
    for number, vid in enumerate(people):
        for _ in range(1 if number < once else 2):
            random.choice(impressions).append(vid)
    chosen = plan(mechanism)
    sketches = [
        _native.build_sketch(
            vids, decay_rate=chosen.decay_rate, size=chosen.sketch_size, sampling_indicator_size=10_000_000
        )
        for vids in impressions
    ]
    measured = measure(chosen, sketches, natively(seed))
    settings: dict[str, Any] = {
        "reach": measured.reach,
        "decay_rate": chosen.decay_rate,
        "sketch_size": chosen.sketch_size,
        "sampling_width": chosen.sampling_width,
        "epsilon": PRIVACY[0],
        "delta": PRIVACY[1],
        "mechanism": mechanism,
    }
    reach = reach_interval(**settings)
    once_interval = frequency_intervals(
        distribution=measured.distribution,
        **settings,
        frequency_epsilon=PRIVACY[0],
        frequency_delta=PRIVACY[1],
        maximum_frequency=chosen.maximum_frequency,
    )[1]
    return (
        (measured.reach - PEOPLE) / reach.standard_deviation,
        reach.low <= PEOPLE <= reach.high,
        once_interval.low <= SEEN_ONCE <= once_interval.high,
    )


@pytest.fixture(scope="module")
def measurements() -> list[tuple[float, bool, bool]]:
    seeds = [(mechanism, f"{mechanism} {number}") for mechanism, runs in RUNS.items() for number in range(runs)]
    print("seeds:", ", ".join(f"'{name} 0' to '{name} {runs - 1}'" for name, runs in RUNS.items()))
    return [one_measurement(mechanism, seed) for mechanism, seed in seeds]


def test_the_truth_lies_inside_the_interval_as_often_as_it_should(measurements: list[tuple[float, bool, bool]]) -> None:
    least, most = binom.ppf(1e-6, TOTAL, 0.95), binom.ppf(1 - 1e-6, TOTAL, 0.95)
    reach, frequency = (sum(each[place] for each in measurements) for place in (1, 2))
    print(f"{reach} reaches and {frequency} shares of {TOTAL} inside; between {least:.0f} and {most:.0f} expected")
    assert least <= reach <= most
    assert least <= frequency <= most


def test_the_standardised_errors_are_normal(measurements: list[tuple[float, bool, bool]]) -> None:
    p = kstest([each[0] for each in measurements], "norm").pvalue
    print(f"Kolmogorov-Smirnov p = {p:.4f}")
    assert p > 1e-4
