"""What a measurement prints at its end: the answer, beside the exact one if that is known, as a table and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from gristmill.consumer.result import MeasurementResult, VectorSize
from gristmill.measure.truth import Truth

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gristmill.consumer.intervals import Interval

BAR: Final = 26
"""Width of the chart's bars, in characters."""


_OF_SKETCHES: Final = (
    "How the 95 % intervals are computed: from the measured values alone. The variances of the sketch, of the sampling "
    "of people and of the noise are added and carried from registers to people by the slope of the estimator; an "
    "interval is 1.96 standard deviations to either side (gristmill.consumer.intervals)."
)
_OF_VECTORS: Final = (
    "How the 95 % intervals are computed: from the measured values alone. The variances of the sampling of people and "
    "of the noise are added; an interval is 1.96 standard deviations to either side "
    "(gristmill.consumer.frequency_vector_intervals)."
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value and its 95 % interval."""

    value: float
    low: float
    high: float

    def holds(self, exact: float) -> bool:
        return self.low <= exact <= self.high


@dataclass(frozen=True, slots=True)
class Answer:
    """A decrypted and verified result with its intervals; `frequency` has shares of the reach by times seen."""

    reach: Estimate
    frequency: Mapping[int, Estimate]


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long one duchy worked on one stage."""

    duchy: str
    stage: str
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of the data providers' encrypted sketches or shares, and of the messages between duchies."""

    sketches: int
    between_duchies: int


def answer_of(result: MeasurementResult) -> Answer:
    """The measured values with their 95 % intervals."""
    reach, shares = _intervals(result)
    return Answer(
        Estimate(result.reach, reach.low, reach.high),
        {
            times: Estimate(result.frequency.get(times, 0.0), interval.low, interval.high)
            for times, interval in shares.items()
        },
    )


def _intervals(result: MeasurementResult) -> tuple[Interval, Mapping[int, Interval]]:
    """Of the reach, and of the share of each frequency if there are any."""
    from gristmill.consumer import frequency_vector_intervals as of_vectors
    from gristmill.consumer import intervals as of_sketches

    reach: dict[str, Any] = {"reach": result.reach}
    frequency: dict[str, Any] = {
        "distribution": result.frequency,
        "maximum_frequency": result.maximum_frequency,
    }
    if isinstance(result.counted_by, VectorSize):
        reach["sample"] = of_vectors.Sample(result.counted_by.size, result.sampling_width)
        reach["noise"] = of_vectors.Noise(result.noise_mechanism, *result.reach_privacy)
        if result.frequency_privacy is None:
            return of_vectors.reach_interval(**reach), {}
        frequency["frequency_noise"] = of_vectors.Noise(result.noise_mechanism, *result.frequency_privacy)
        return of_vectors.reach_interval(**reach), of_vectors.frequency_intervals(**reach, **frequency)
    reach |= {
        "decay_rate": result.counted_by.decay_rate,
        "sketch_size": result.counted_by.size,
        "sampling_width": result.sampling_width,
        "epsilon": result.reach_privacy[0],
        "delta": result.reach_privacy[1],
        "mechanism": result.noise_mechanism,
    }
    if result.frequency_privacy is None:
        return of_sketches.reach_interval(**reach), {}
    frequency["frequency_epsilon"], frequency["frequency_delta"] = result.frequency_privacy
    return of_sketches.reach_interval(**reach), of_sketches.frequency_intervals(**reach, **frequency)


def method(result: MeasurementResult) -> str:
    """How the intervals were computed, in a few sentences."""
    return _OF_VECTORS if isinstance(result.counted_by, VectorSize) else _OF_SKETCHES


def results(answer: Answer, exact: Truth | None, *, unicode: bool = True, events: str = "times seen") -> RenderableType:
    """Reach and the histogram of what `events` names: measured, 95 % interval, exact if it is known, chart."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("measured", justify="right", style="bold")
    table.add_column("95 % interval", justify="right")
    if exact:
        table.add_column("exact", justify="right", style="green")
    table.add_column("")
    reach = answer.reach
    table.add_row(
        "reach",
        f"{reach.value:,.0f}",
        f"{reach.low:,.0f} to {reach.high:,.0f}",
        *([f"{exact.reach:,}"] if exact else []),
        bar(reach, exact.reach if exact else None, scale=max(reach.high, exact.reach if exact else 0), unicode=unicode),
    )
    if answer.frequency:
        table.add_row(events)
    top = max(answer.frequency, default=1)
    known = exact.frequency if exact else {}
    scale = max([estimate.high for estimate in answer.frequency.values()] + list(known.values()) + [1e-9])
    for times, estimate in sorted(answer.frequency.items()):
        share = known.get(times, 0.0) if exact else None
        table.add_row(
            f"  {times}{' or more' if times == top else ''}",
            f"{estimate.value:.1%}",
            f"{estimate.low:.1%} to {estimate.high:.1%}",
            *([f"{share:.1%}"] if share is not None else []),
            bar(estimate, share, scale=scale, unicode=unicode),
        )
    return table


def bar(estimate: Estimate, exact: float | None, *, scale: float, unicode: bool = True) -> str:
    """BAR characters: solid to the interval's low end, shaded over the interval, a stroke at a known exact value."""
    solid, shaded, stroke = ("█", "▒", "┃") if unicode else ("#", "=", "|")

    def column(value: float) -> int:
        return round(min(max(value / scale, 0.0), 1.0) * (BAR - 1))

    low, high = column(estimate.low), column(estimate.high)
    cells = [solid if place < low else shaded if place <= high else " " for place in range(BAR)]
    if exact is not None:
        cells[column(exact)] = stroke
    return "".join(cells).rstrip()


def legend(*, exact: bool = True, unicode: bool = True) -> str:
    """What the bars mean."""
    solid, shaded, stroke = ("█", "▒", "┃") if unicode else ("#", "=", "|")
    return f"{solid} measured, {shaded} its 95 % interval" + (f", {stroke} the exact value" if exact else "")


def verdict(answer: Answer, exact: Truth) -> str:
    """How many of the exact values lie in their intervals, in one sentence."""
    estimates = [(answer.reach, float(exact.reach))]
    estimates += [(estimate, exact.frequency.get(times, 0.0)) for times, estimate in answer.frequency.items()]
    inside = sum(estimate.holds(value) for estimate, value in estimates)
    if len(estimates) == 1:
        where = "inside" if inside else "outside"
        return f"The exact value lies {where} its 95 % interval (about 19 of 20 should lie inside)."
    return f"{inside} of {len(estimates)} exact values lie inside their 95 % interval (about 19 of 20 should)."


def what_left(
    traffic: Traffic, *, by_shares: bool = False, publishers: str = "the publishers", identifier: str = "ID"
) -> str:
    """One sentence: what each party gave out of its hands; without the data's bytes where they are not known (0)."""
    data = "shares of which either alone is noise" if by_shares else "encrypted registers"
    messages = "seeds and shuffled shares" if by_shares else "shuffled ciphertexts"
    size = f"{_size(traffic.sketches)} of " if traffic.sketches else ""
    return (
        f"What left each party: {publishers} sent {size}{data}, no {identifier}; "
        f"the duchies sent each other {_size(traffic.between_duchies)} of {messages}, and the "
        "aggregator the result, which only the measurement consumer can decrypt; the kingdom passed on signed "
        "specifications, public keys and that result."
    )


def _size(length: int) -> str:
    return f"{length / 1e6:.1f} MB" if length >= 1e6 else f"{length / 1e3:.0f} kB"


def stage_times(times: Sequence[StageTime]) -> RenderableType:
    """Seconds of work by stage and duchy, in the order in which the stages began."""
    from rich.table import Table

    duchies = sorted({time.duchy for time in times})
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("seconds of work")
    for duchy in duchies:
        table.add_column(duchy, justify="right")
    for stage in dict.fromkeys(time.stage for time in times):
        seconds = {time.duchy: time.duration.total_seconds() for time in times if time.stage == stage}
        table.add_row(words(stage), *(f"{seconds[duchy]:.2f}" if duchy in seconds else "" for duchy in duchies))
    return table


def words(stage: str) -> str:
    """`EXECUTION_PHASE_ONE` for people: `execution phase one`."""
    return stage.replace("_", " ").lower()
