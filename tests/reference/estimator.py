"""From active registers to reach (LLv2 specification, section 8)."""

from math import exp, trunc

from scipy.special import exp1  # type: ignore[import-untyped]

from reference.sketch import float32


def expected_active(decay_rate: float, size: int, reach: int) -> float:
    """How many registers `reach` people touch on average."""
    if reach == 0:
        return 0.0
    head, share = exp(decay_rate), reach / size
    low, high = decay_rate * share / (head - 1), decay_rate * head * share / (head - 1)
    return float(size * (1 - (exp1(low) - exp1(high)) / decay_rate))


def estimate_reach(*, decay_rate: float, size: int, active: int, sampling_width: float) -> int:
    """The original's integer bisection, overshoots included (no active register gives 1); the width is float32."""
    if decay_rate <= 1 or active >= size:
        raise ValueError("the decay rate must exceed 1, and the sketch must not be saturated")
    low, high = 0, 1
    while int(expected_active(decay_rate, size, high)) < active:
        low, high = high, high * 2
    middle = (low + high) // 2
    while high > low:
        if int(expected_active(decay_rate, size, middle)) > active:
            high = middle - 1
        else:
            low = middle + 1
        middle = (low + high) // 2
    return trunc(middle / float32(sampling_width))
