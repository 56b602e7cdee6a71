"""A measurement's answer for programs: plain values for JSON. docs/tutorial.md shows one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gristmill.errors import GristmillError
from gristmill.measure.question import Question
from gristmill.measure.report import Estimate, answer_of
from gristmill.measure.run import Finished
from gristmill.measure.truth import Truth


def document(
    finished: Finished, question: Question, events: Mapping[str, int], exact: Truth | None, warnings: list[str]
) -> dict[str, Any]:
    """`events` are counts by publisher. `exact` stands beside each value if it is known."""
    result, answer = finished.result, answer_of(finished.result)
    top, frequency = question.maximum_frequency, question.frequency
    start, width = question.sampling
    period = question.period()
    return {
        "measurement": result.measurement,
        "protocol": result.protocol,
        "reach": _estimate(answer.reach, exact.reach if exact else None, whole=True),
        "frequency": [
            {"times": times, "or_more": times == top}
            | _estimate(estimate, exact.frequency.get(times, 0.0) if exact else None)
            for times, estimate in sorted(answer.frequency.items())
        ],
        "privacy": {
            "reach": {"epsilon": question.reach.epsilon, "delta": question.reach.delta},
            "frequency": {"epsilon": frequency.epsilon, "delta": frequency.delta} if frequency else None,
            "noise_mechanism": result.noise_mechanism,
        },
        "sampling": {"start": start, "width": width},
        "period": [time.isoformat() for time in period] if period else None,
        "sketch": {
            "decay_rate": result.decay_rate,
            "size": result.sketch_size,
            "sampling_indicator_size": question.sketch.sampling_indicator_size,
        },
        "duchies": list(question.duchies),
        "events": dict(events),
        "seconds": round(finished.duration.total_seconds(), 3),
        "warnings": warnings,
    }


def error_document(error: GristmillError, logs: str | None = None) -> dict[str, Any]:
    """What went wrong, in the place of an answer."""
    return {"error": error.described() | ({"logs": logs} if logs else {})}


def _estimate(estimate: Estimate, exact: float | None, *, whole: bool = False) -> dict[str, float]:
    """A measured value with its 95 % interval. A reach is a whole number, its interval rounded to whole people."""
    values = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    if exact is not None:
        values["exact"] = exact
    return {name: round(value) if whole else value for name, value in values.items()}
