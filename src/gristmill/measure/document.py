"""A measurement's answer for programs: plain values for JSON. docs/tutorial.md shows one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gristmill.consumer.result import MeasurementResult, SketchSize, VectorSize
from gristmill.errors import GristmillError
from gristmill.measure.method import Shares, Sketch
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
        **_method(result, question),
        "duchies": list(question.duchies),
        "events": dict(events),
        "seconds": round(finished.duration.total_seconds(), 3),
        "warnings": warnings,
    }


def _method(result: MeasurementResult, question: Question) -> dict[str, Any]:
    """What people were counted by; null for what they were not."""
    counted_by, method = result.counted_by, question.method
    sketch = vector = None
    if isinstance(counted_by, SketchSize) and isinstance(method, Sketch):
        sketch = {
            "decay_rate": counted_by.decay_rate,
            "size": counted_by.size,
            # Registers of the reach-only protocol have no key.
            "sampling_indicator_size": method.sampling_indicator_size
            if result.protocol == "liquid_legions_v2"
            else None,
        }
    elif isinstance(counted_by, VectorSize) and isinstance(method, Shares):
        ranges = [f"{first}-{last}" for first, last in method.population.ranges]
        vector = {"size": counted_by.size, "population": ranges}
    return {"sketch": sketch, "frequency_vector": vector}


def error_document(error: GristmillError, logs: str | None = None) -> dict[str, Any]:
    """What went wrong, in the place of an answer."""
    return {"error": error.described() | ({"logs": logs} if logs else {})}


def _estimate(estimate: Estimate, exact: float | None, *, whole: bool = False) -> dict[str, float]:
    """A measured value with its 95 % interval. A reach is a whole number, its interval rounded to whole people."""
    values = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    if exact is not None:
        values["exact"] = exact
    return {name: round(value) if whole else value for name, value in values.items()}
