"""Two ways in which the protocol as deployed miscounts, and that ours does not (LLv2 specification, P1 and P2)."""

from collections.abc import Sequence

from protocol.measurement import Plan, by_both, measure, natively
from reference.estimator import estimate_reach
from reference.noise import RegisterNoise, TupleNoise
from reference.sketch import Register

SKETCHES: list[list[Register]] = [[(i, i + 1, 1) for i in range(start, start + 4)] for start in (0, 2)]  # 6 indices
TINY = (20.0, 0.5)


def reach_of(active: int) -> int:
    return estimate_reach(decay_rate=12.0, size=1000, active=active, sampling_width=1.0)


def test_without_the_partial_key_a_reach_measurement_counts_blind_histogram_noise() -> None:
    def reach(partial_key_given: bool) -> int:
        plan = Plan(1, blind_and_publisher=(1.0, 1.0), reach=TINY, group_floor=3, partial_key_given=partial_key_given)
        return measure(plan, SKETCHES, natively("P1")).reach

    assert abs(reach(True) - reach_of(6)) <= 2  # reach noise of at most one register
    assert reach(False) > reach_of(6) + 6


def test_without_a_group_floor_a_lone_publisher_noise_register_is_counted() -> None:
    def measured(group_floor: int) -> tuple[int, float]:
        publisher = iter([0, 0, 1])

        def counts(noise: RegisterNoise | TupleNoise) -> Sequence[int]:
            if isinstance(noise, TupleNoise):
                return [noise.noise.offset] * (noise.maximum_frequency + 1)
            blind = [noise.blind_noise.offset] * noise.sketches
            return [*blind, next(publisher), noise.reach_noise.offset]

        plan = Plan(3, blind_and_publisher=TINY, reach=TINY, frequency=TINY, group_floor=group_floor)
        result = measure(plan, SKETCHES, by_both("P2"), counts)
        return result.reach, result.distribution.get(3, 0.0)

    assert measured(group_floor=0) == (reach_of(7), 1 / 7)  # a viewer too many, and seen 3 times or more
    assert measured(group_floor=3) == (reach_of(6), 0.0)
