"""The reference and the native code agree byte for byte, and both with the plain truth."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import by_native, by_reference
from protocol.calls import Call
from protocol.measurement import Plan, by_both, measure
from protocol.recorded import Outcome
from protocol.truth import truth
from reference import curve
from reference.estimator import estimate_reach
from reference.noise import RegisterNoise, TupleNoise
from reference.sketch import Register

# few indices and keys, so that registers collide, agree, differ and are destroyed
register = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(1, 5))
sketch = st.lists(register, max_size=4, unique_by=lambda each: each[0])
sketches = st.lists(sketch, min_size=2, max_size=4).filter(any)
quick = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

TINY = (20.0, 0.5)  # privacy so weak that a party's noise is between 0 and 2 items


@quick
@given(sketches=sketches, maximum_frequency=st.integers(2, 4), duchies=st.integers(2, 4), seed=st.integers(0, 99))
def test_any_sketches_without_noise_give_the_truth_in_both(
    sketches: list[list[Register]], maximum_frequency: int, duchies: int, seed: int
) -> None:
    expected = truth(sketches, maximum_frequency)
    plan = Plan(maximum_frequency=maximum_frequency, duchies=duchies)
    if not expected.histogram:
        with pytest.raises(ValueError, match=r"neither|no |nothing|total"):
            measure(plan, sketches, by_both(str(seed)))
        return
    measured = measure(plan, sketches, by_both(str(seed)))
    assert measured.reach == _reach(plan, expected.active)
    kept = expected.histogram.total()
    assert measured.distribution == {f: n / kept for f, n in expected.histogram.items()}


@quick
@given(sketches=sketches, duchies=st.integers(2, 4), seed=st.integers(0, 99))
def test_any_sketches_without_noise_give_the_true_reach_in_both(
    sketches: list[list[Register]], duchies: int, seed: int
) -> None:
    plan = Plan(protocol="reach_only", duchies=duchies)
    assert measure(plan, sketches, by_both(str(seed))).reach == _reach(plan, truth(sketches, 1).active)


@pytest.mark.parametrize("carry_out", [by_reference.run, by_native.run])
def test_both_refuse_to_rewrite_registers_without_noise_parameters(carry_out: Callable[[Call], Outcome]) -> None:
    parameters = {"public_key": curve.G, "maximum_frequency": 1, "noise": None}
    register = b"".join(curve.encode(curve.G) for _ in range(6))
    with pytest.raises(ValueError, match="noise parameters"):
        carry_out(Call("setup", {"own": register, "received": b""}, parameters, scalars=(2,) * 6))


@pytest.mark.parametrize(
    ("mechanism", "maximum_frequency", "protocol"),
    [
        ("DISCRETE_GAUSSIAN", 1, "llv2"),
        ("DISCRETE_GAUSSIAN", 3, "llv2"),
        ("GEOMETRIC", 2, "llv2"),
        ("DISCRETE_GAUSSIAN", 1, "reach_only"),
        ("GEOMETRIC", 1, "reach_only"),
    ],
)
def test_with_noise_the_result_is_the_truth_plus_noise_less_the_baseline(
    mechanism: str, maximum_frequency: int, protocol: str
) -> None:
    sketches = [[(1, 1, 2), (2, 2, 1), (3, 0, 1), (5, 4, 9)], [(1, 1, 1), (2, 3, 1), (4, 4, 1)]]
    frequency = TINY if maximum_frequency > 1 else None
    plan = Plan(
        maximum_frequency,
        protocol,
        mechanism=mechanism,
        blind_and_publisher=TINY,
        reach=TINY,
        frequency=frequency,
        group_floor=3,
    )
    random = Random(f"{mechanism} {maximum_frequency}")

    def counts(noise: RegisterNoise | TupleNoise) -> list[int]:
        if isinstance(noise, TupleNoise):
            return [random.randint(0, 2 * noise.noise.offset) for _ in range(noise.maximum_frequency + 1)]
        offsets = [noise.blind_noise.offset] * noise.sketches
        return [random.randint(0, 2 * mu) for mu in (*offsets, noise.publisher_noise.offset, noise.reach_noise.offset)]

    measured = measure(plan, sketches, by_both(mechanism), counts)
    expected = truth(sketches, maximum_frequency)
    register_noise, tuple_noise = plan.register_noise(len(sketches)), plan.tuple_noise()
    assert register_noise is not None
    reach_noise = sum(each[-1] for each in measured.register_counts) - 3 * register_noise.reach_noise.offset
    assert measured.reach == _reach(plan, max(0, expected.active + reach_noise))
    if tuple_noise is None:
        assert measured.distribution == {}
        return
    baseline = 3 * tuple_noise.noise.offset
    noisy = {
        f: max(0, expected.histogram[f] + sum(each[f - 1] for each in measured.tuple_counts) - baseline)
        for f in range(1, maximum_frequency + 1)
    }
    assert measured.distribution == {f: n / sum(noisy.values()) for f, n in noisy.items() if n}


def _reach(plan: Plan, active: int) -> int:
    return estimate_reach(
        decay_rate=plan.decay_rate, size=plan.sketch_size, active=active, sampling_width=plan.sampling_width
    )
