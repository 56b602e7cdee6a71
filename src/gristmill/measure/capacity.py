"""How many people can be counted, and what would do for more.

A Liquid Legions sketch counts people by its active registers. When nearly all are active a few more people, or the
noise, change nothing that could be counted; when all are, there is no estimate at all. A frequency vector has an entry
for everybody; there, everybody's frequencies together must fit into the ring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from typing import Final

from gristmill import _native
from gristmill.consumer.intervals import noise_variance
from gristmill.consumer.request import Privacy
from gristmill.errors import SketchTooSmall
from gristmill.measure.method import LARGEST_SKETCH, Shares, Sketch, require
from gristmill.measure.question import Question
from gristmill.protocols.share_shuffle import largest_frequency

FULL: Final = 0.9
"""Share of active registers above which a sketch counts as too small."""
_NOISE_DEVIATIONS: Final = 4
_MECHANISM: Final = "DISCRETE_GAUSSIAN"
"""The development kingdom's."""


def capacity(sketch: Sketch, privacy: Privacy, width: float) -> int:
    """The largest reach in people for which the registers are not FULL, nor with the noise on top."""
    noise = _NOISE_DEVIATIONS * sqrt(noise_variance(_MECHANISM, privacy.epsilon, privacy.delta, sensitivity=1))
    active = int(sketch.size * FULL - noise)
    if active < 1:
        return 0
    try:
        return _native.estimate_reach(
            decay_rate=sketch.decay_rate, size=sketch.size, active=active, sampling_width=width
        )
    except _native.InvalidArgument:  # more than 64 bits
        return 2**63 - 1


def sufficient_size(reach: int, sketch: Sketch, privacy: Privacy, width: float) -> int | None:
    """The least size, rounded up to two digits, whose capacity is `reach`; None if the largest one is too small."""
    low, high = 1, LARGEST_SKETCH
    if capacity(replace(sketch, size=high), privacy, width) < reach:
        return None
    while high - low > 1:  # the capacity grows with the size
        middle = (low + high) // 2
        if capacity(replace(sketch, size=middle), privacy, width) < reach:
            low = middle
        else:
            high = middle
    unit = int(10 ** max(0, len(str(high)) - 2))
    return -(-high // unit) * unit


def too_small(reach: int, question: Question) -> str:
    """What to measure with instead when the question's sketch cannot count `reach` people; empty if it can."""
    sketch, privacy, (_, width) = question.method, question.reach, question.sampling
    if isinstance(sketch, Shares):
        return ""
    if reach <= capacity(sketch, privacy, width):
        return ""
    size = sufficient_size(reach, sketch, privacy, width)
    if size is None:
        return f"No size up to {LARGEST_SKETCH:,} would do: measure with a larger --decay-rate or --reach-epsilon."
    return f"Measure with --sketch-size={size} or more, or sample fewer people with --vid-sampling."


def require_room(people: Callable[[], int], publishers: int, question: Question) -> None:
    """ConfigurationError if the method of the question is too small for the people and publishers that there are.

    `people` counts them, which takes a while, and is asked only if it matters.
    """
    if isinstance(question.method, Shares):
        _require_room_in_ring(question.method, publishers, question)
    elif cure := too_small(people(), question):
        sketch = question.method
        raise SketchTooSmall(
            f"{sketch.size:,} registers with decay rate {sketch.decay_rate:g} are too few for these people",
            cure=cure,
        )


def _require_room_in_ring(shares: Shares, publishers: int, question: Question) -> None:
    frequency, limit = question.frequencies or 1, largest_frequency(publishers, shares.ring_modulus)
    fewer = f"Measure with --max-frequency={limit} or less, or the reach alone with --reach-only."
    require(
        frequency <= limit,
        f"share shuffle of {publishers} publishers counts up to {limit} each, and --max-frequency is {frequency}",
        fewer if limit > 1 else "Measure with fewer publishers.",
    )
    size = _native.hmss_register_count(shares.population.size, *question.sampling)
    require(
        size > 0,
        f"--vid-sampling takes nobody of a population of {shares.population.size:,}",
        "Sample a larger share, or give a larger --population.",
    )
