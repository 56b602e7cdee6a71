"""How many people a sketch can count, and which size would do for more.

A Liquid Legions sketch counts people by its active registers. When nearly all are active a few more people, or the
noise, change nothing that could be counted; when all are, there is no estimate at all.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Final

from gristmill import _native
from gristmill.consumer.intervals import noise_variance
from gristmill.consumer.request import Privacy
from gristmill.errors import SketchTooSmall
from gristmill.measure.question import LARGEST_SKETCH, Question, Sketch

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
    sketch, privacy, (_, width) = question.sketch, question.reach, question.sampling
    if reach <= capacity(sketch, privacy, width):
        return ""
    size = sufficient_size(reach, sketch, privacy, width)
    if size is None:
        return f"No size up to {LARGEST_SKETCH:,} would do: measure with a larger --decay-rate or --reach-epsilon."
    return f"Measure with --sketch-size={size} or more, or sample fewer people with --vid-sampling."


def require_room(reach: int, question: Question) -> None:
    """ConfigurationError if the sketch of the question is too small for the people that there are."""
    if cure := too_small(reach, question):
        sketch = question.sketch
        raise SketchTooSmall(
            f"{sketch.size:,} registers with decay rate {sketch.decay_rate:g} are too few for these people",
            cure=cure,
        )
