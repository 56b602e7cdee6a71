"""Hundreds of seeded measurements: how often the truth lies inside the 95 % interval, how errors are distributed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from scipy.stats import binom, kstest  # type: ignore[import-untyped]

from gristmill import _native
from gristmill.consumer.intervals import frequency_intervals, reach_interval
from protocol.measurement import Plan, measure, natively

pytestmark = pytest.mark.timeout(900)

# About 40 active registers and as much deviation in them as the reach noise can give: an error is a whole number of
# registers, which must be small beside the deviation for the errors to look normal.
PEOPLE = 300
SAMPLING_WIDTH = 0.15
SEEN_ONCE = 0.8  # the others are seen twice, by one provider or by both
RUNS = {
    ("llv2", "DISCRETE_GAUSSIAN"): 150,
    ("llv2", "GEOMETRIC"): 50,
    ("reach_only", "DISCRETE_GAUSSIAN"): 150,
    ("reach_only", "GEOMETRIC"): 50,
}
REACH_PRIVACY = {"DISCRETE_GAUSSIAN": (0.2, 0.3), "GEOMETRIC": (0.2, 0.1)}
FREQUENCY_PRIVACY = (3.0, 0.05)
TINY = (20.0, 0.5)
WITH_FREQUENCY = 20  # every so many runs one has three duchies and measures frequencies; the others have two


@dataclass(frozen=True, slots=True)
class Errors:
    """The standardised error of the reach, and whether the intervals of reach and of "seen once" hold the truth."""

    reach: float
    reach_inside: bool
    share_inside: bool | None


def one_measurement(protocol: str, mechanism: str, number: int) -> Errors:
    random = Random(seed := seed_of(protocol, mechanism, number))
    with_frequency = protocol == "llv2" and number % WITH_FREQUENCY == 0
    once = round(PEOPLE * SEEN_ONCE)
    impressions: tuple[list[int], list[int]] = ([], [])
    for person in range(PEOPLE):
        vid = random.getrandbits(63)
        for _ in range(1 if person < once else 2):
            random.choice(impressions).append(vid)
    plan = Plan(
        protocol=protocol,
        maximum_frequency=2 if with_frequency else 1,
        sketch_size=1000,
        sampling_width=SAMPLING_WIDTH,
        duchies=3 if with_frequency else 2,
        mechanism=mechanism,
        blind_and_publisher=TINY,
        reach=REACH_PRIVACY[mechanism],
        frequency=FREQUENCY_PRIVACY if with_frequency else None,
        group_floor=3,
    )
    sketches = [
        _native.build_sketch(
            vids,
            decay_rate=plan.decay_rate,
            size=plan.sketch_size,
            sampling_indicator_size=10_000_000,
            sampling_width=plan.sampling_width,
        )
        for vids in impressions
    ]
    measured = measure(plan, sketches, natively(seed))
    settings: dict[str, Any] = {
        "reach": measured.reach,
        "decay_rate": plan.decay_rate,
        "sketch_size": plan.sketch_size,
        "sampling_width": plan.sampling_width,
        "epsilon": REACH_PRIVACY[mechanism][0],
        "delta": REACH_PRIVACY[mechanism][1],
        "mechanism": mechanism,
    }
    interval = reach_interval(**settings)
    share_inside = None
    if with_frequency:
        settings |= {"frequency_epsilon": FREQUENCY_PRIVACY[0], "frequency_delta": FREQUENCY_PRIVACY[1]}
        shares = frequency_intervals(distribution=measured.distribution, **settings, maximum_frequency=2)
        share_inside = shares[1].low <= SEEN_ONCE <= shares[1].high
    error = (measured.reach - PEOPLE) / interval.standard_deviation
    return Errors(error, interval.low <= PEOPLE <= interval.high, share_inside)


def seed_of(protocol: str, mechanism: str, number: int) -> str:
    return f"{mechanism} {number}" if protocol == "llv2" else f"{protocol} {mechanism} {number}"


@pytest.fixture(scope="module", params=["llv2", "reach_only"])
def measurements(request: pytest.FixtureRequest) -> list[Errors]:
    chosen = [(protocol, mechanism, runs) for (protocol, mechanism), runs in RUNS.items() if protocol == request.param]
    ranges = [f"'{seed_of(*run, 0)}' to '{seed_of(*run, runs - 1)}'" for *run, runs in chosen]
    print("seeds:", ", ".join(ranges))
    protocols, mechanisms, numbers = zip(*((*run, n) for *run, runs in chosen for n in range(runs)), strict=True)
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(one_measurement, protocols, mechanisms, numbers))


def as_often_as_it_should(inside: list[bool]) -> bool:
    """Whether the number of truths inside lies between the 1e-6 quantiles of what 95 % would give."""
    least, most = (binom.ppf(quantile, len(inside), 0.95) for quantile in (1e-6, 1 - 1e-6))
    print(f"{sum(inside)} of {len(inside)} truths inside; from {least:.0f} to {most:.0f} expected")
    return bool(least <= sum(inside) <= most)


def test_the_true_reach_lies_inside_the_interval_as_often_as_it_should(measurements: list[Errors]) -> None:
    assert as_often_as_it_should([each.reach_inside for each in measurements])


@pytest.mark.parametrize("measurements", ["llv2"], indirect=True)
def test_the_true_share_lies_inside_the_interval_as_often_as_it_should(measurements: list[Errors]) -> None:
    assert as_often_as_it_should([each.share_inside for each in measurements if each.share_inside is not None])


def test_the_standardised_errors_are_normal(measurements: list[Errors]) -> None:
    p = kstest([each.reach for each in measurements], "norm").pvalue
    print(f"Kolmogorov-Smirnov p = {p:.4f}")
    assert p > 1e-4
