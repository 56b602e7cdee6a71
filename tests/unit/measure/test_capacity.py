"""Which sketch is too small for how many people."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill import _native
from gristmill.consumer.request import Privacy
from gristmill.edp.population import Population
from gristmill.errors import ConfigurationError
from gristmill.measure.capacity import FULL, capacity, require_room, sufficient_size, too_small
from gristmill.measure.method import LARGEST_SKETCH, Shares, Sketch
from gristmill.measure.question import Question

PRIVACY = Privacy(1.0, 1e-5)
DECAY_RATES = st.floats(1.1, 20)


@given(st.integers(0, 10**9), DECAY_RATES, st.floats(0.05, 1))
def test_the_size_that_is_named_does_and_a_much_smaller_one_does_not(reach: int, decay: float, width: float) -> None:
    sketch = Sketch(decay_rate=decay)
    size = sufficient_size(reach, sketch, PRIVACY, width)
    if size is None:
        assert capacity(replace(sketch, size=LARGEST_SKETCH), PRIVACY, width) < reach
        return
    assert capacity(replace(sketch, size=size), PRIVACY, width) >= reach
    if size >= 20:
        assert capacity(replace(sketch, size=int(size * 0.8)), PRIVACY, width) <= reach


@pytest.mark.parametrize("people", [20_000, 100_000])
def test_a_sketch_at_its_capacity_is_as_full_as_it_may_be(people: int) -> None:
    sketch = Sketch(decay_rate=2.0, size=sufficient_size(people, Sketch(2.0), PRIVACY, 1.0) or 0)
    registers = _native.build_sketch(
        range(people), decay_rate=sketch.decay_rate, size=sketch.size, sampling_indicator_size=10_000
    )
    assert len(registers) / sketch.size == pytest.approx(FULL, abs=0.05)


def test_more_noise_needs_more_registers() -> None:
    assert capacity(Sketch(size=200), Privacy(0.2, 1e-5), 1.0) < capacity(Sketch(size=200), PRIVACY, 1.0)


def test_the_usual_sketch_has_room_for_a_country() -> None:
    require_room(lambda: 200_000_000, 3, Question())


def test_what_to_measure_with_instead_is_named_and_would_do() -> None:
    question = Question(method=Sketch(3.0, 1000))
    with pytest.raises(ConfigurationError, match="1,000 registers") as refused:
        require_room(lambda: 50_000, 3, question)
    size = re.search(r"--sketch-size=(\d+)", refused.value.cure)
    assert size
    assert too_small(50_000, replace(question, method=Sketch(3.0, int(size[1])))) == ""


def test_where_no_size_would_do_another_cure_is_named() -> None:
    assert "larger --decay-rate" in too_small(10**10, Question(method=Sketch(1.1, 1000)))


SHARES = Question(method=Shares(Population([(1, 1000)])))


@pytest.mark.parametrize(("publishers", "frequency"), [(12, 10), (1, 125), (125, 1)])
def test_frequencies_that_fit_into_the_ring_have_room(publishers: int, frequency: int) -> None:
    """Frequency times publishers plus 1 is below 127."""
    question = replace(SHARES, maximum_frequency=max(2, frequency), frequency=PRIVACY if frequency > 1 else None)
    require_room(uncounted, publishers, question)
    with pytest.raises(ConfigurationError, match=r"--max-frequency is"):
        require_room(uncounted, publishers + 1, question)


def test_the_largest_frequency_that_fits_is_named() -> None:
    with pytest.raises(ConfigurationError, match="counts up to 9 each") as refused:
        require_room(uncounted, 13, SHARES)
    assert "--max-frequency=9" in refused.value.cure
    require_room(uncounted, 13, replace(SHARES, maximum_frequency=9))


def test_a_sample_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="takes nobody of a population of 1,000"):
        require_room(uncounted, 2, replace(SHARES, sampling=(0.5, 0.0001)))


def uncounted() -> int:
    raise AssertionError("the people need not be counted")
