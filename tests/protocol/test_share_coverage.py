"""Share shuffle from events to intervals, many times over: 19 of 20 intervals hold what is true.

Data providers, both workers and the aggregator are the native core in this process, with real noise. Each time other
people of the population are reached, so that sampling makes a difference, too.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from secrets import token_bytes

import pytest
from scipy.stats import binom  # type: ignore[import-untyped]

from gristmill import _native as native
from gristmill.consumer.frequency_vector_intervals import Noise, Sample, frequency_intervals, reach_interval

PEOPLE, TOP, MODULUS, ROUNDS = 6000, 4, 127, 120
TIMES = {1: 700, 2: 500, 3: 200, 4: 60, 6: 40}
"""Times seen -> how many people."""
PRIVACY = (2.0, 1e-5)


@pytest.mark.parametrize(("mechanism", "width"), [("DISCRETE_GAUSSIAN", 0.5), ("GEOMETRIC", 1.0)])
def test_nineteen_of_twenty_intervals_hold_what_is_true(mechanism: str, width: float, tmp_path: Path) -> None:
    random, noise, reached = Random(3), Noise(mechanism, *PRIVACY), sum(TIMES.values())
    index = native.VidIndex([(1, PEOPLE)], threads=1, progress=native.Progress())
    held: Counter[int] = Counter()
    for _ in range(ROUNDS):
        people = random.sample(range(1, PEOPLE + 1), reached)
        often = dict(zip(people, (times for times, count in TIMES.items() for _ in range(count)), strict=True))
        found = measured(index, often, mechanism, width, random, tmp_path)
        sample = Sample(found.register_count, width)
        held[0] += holds(reach_interval(reach=found.reach, sample=sample, noise=noise), reached)
        intervals = frequency_intervals(
            distribution=found.frequency_distribution,
            reach=found.reach,
            sample=sample,
            noise=noise,
            frequency_noise=noise,
            maximum_frequency=TOP,
        )
        for times, interval in intervals.items():
            held[times] += holds(interval, sum(min(each, TOP) == times for each in often.values()) / reached)
    least = binom.ppf(1e-4, ROUNDS, 0.93)
    assert {what: held[what] for what in range(TOP + 1) if held[what] < least} == {}
    assert sum(held.values()) < (TOP + 1) * ROUNDS, "never wrong: the intervals are too wide"


def holds(interval: object, value: float) -> bool:
    return bool(interval.low <= value <= interval.high)  # type: ignore[attr-defined]


def measured(
    index: native.VidIndex, often: dict[int, int], mechanism: str, width: float, random: Random, directory: Path
) -> native.ShareFigures:
    """By two data providers, each of whom gives its share to another worker."""
    parameters = native.ShareShuffle(
        reach_only=False,
        maximum_combined_frequency=2 * TOP,
        ring_modulus=MODULUS,
        mechanism=mechanism,
        reach=PRIVACY,
        frequency=PRIVACY,
    )
    split = [(vid, random.randint(0, times)) for vid, times in often.items()]
    events = (
        [vid for vid, here in split for _ in range(here)],
        [vid for vid, here in split for _ in range(often[vid] - here)],
    )
    seeds = [token_bytes(48) for _ in events]
    shares = [directory / f"share{place}" for place in range(2)]
    for vids, seed, share in zip(events, seeds, shares, strict=True):
        vector = native.FrequencyVector(
            index, vids, sampling_start=0.3, sampling_width=width, maximum=TOP, progress=native.Progress()
        )
        share.unlink(missing_ok=True)
        vector.share(
            output=str(share), seed=seed, ring_modulus=MODULUS, maximum=TOP, threads=1, progress=native.Progress()
        )
    common, outputs = token_bytes(48), []
    for place, order in enumerate(("FIRST", "SECOND")):
        outputs.append(directory / order)
        outputs[-1].unlink(missing_ok=True)
        native.hmss_shuffle(
            parameters,
            shares=[str(shares[place])],
            seeds=[seeds[1 - place]],
            register_count=len(vector),
            output=str(outputs[-1]),
            common_seed=common,
            order=order,
            randomness=native.Randomness.operating_system(),
            threads=1,
            progress=native.Progress(),
        )
    return native.hmss_aggregate(
        parameters,
        inputs=[str(output) for output in outputs],
        maximum_frequency=TOP,
        sampling_width=width,
        threads=1,
        progress=native.Progress(),
    )
