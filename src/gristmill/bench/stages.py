"""What the benchmark runs: measurements of some size among three duchies, call by call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gristmill.bench.sketches import DECAY_RATE, sketch_size

LEAST_SIZE = 1_000_000
"""Of the sketch when the reach is estimated: noise of a real budget would saturate a small one."""
DUCHIES = 3
AGGREGATOR = 2

EDP = "EDP encryption"
SETUP = "setup"
PHASE_ONE_WORKER = "phase one, worker"
PHASE_ONE_AGGREGATOR = "phase one, aggregator"
PHASE_TWO_WORKER = "phase two, worker"
PHASE_TWO_AGGREGATOR = "phase two, aggregator"
PHASE_THREE_WORKER = "phase three, worker"
PHASE_THREE_AGGREGATOR = "phase three, aggregator"
EXECUTION_WORKER = "execution, worker"
EXECUTION_AGGREGATOR = "execution, aggregator"
SHUFFLE_WORKER = "shuffle, worker"
AGGREGATION = "aggregation"

Budget = tuple[float, float]


@dataclass(frozen=True)
class Noise:
    """Privacy budgets (epsilon, delta) of a measurement with discrete Gaussian noise."""

    reach: Budget = (0.0033, 1e-12)
    frequency: Budget = (0.115, 1e-12)
    blind_histogram: Budget = (1.0, 1.0)
    publisher: Budget = (1.0, 1.0)

    def registers(self, providers: int, group_floor: int = 0) -> dict[str, Any]:
        """Arguments of RegisterNoise."""
        budgets = {"reach": self.reach, "blind_histogram": self.blind_histogram, "publisher": self.publisher}
        return {**self._common(), "sketches": providers, **budgets, "group_floor": group_floor}

    def tuples(self, maximum_frequency: int) -> dict[str, Any]:
        """Arguments of TupleNoise."""
        return {**self._common(), "maximum_frequency": maximum_frequency, "frequency": self.frequency}

    def baseline(self, budget: Budget) -> dict[str, Any]:
        """Arguments of Baseline."""
        return {**self._common(), "privacy": budget}

    @staticmethod
    def _common() -> dict[str, Any]:
        return {"mechanism": "DISCRETE_GAUSSIAN", "contributors": DUCHIES}


@dataclass(frozen=True)
class Size:
    """What is measured: `providers` sketches of `registers` active registers each."""

    registers: int
    providers: int = 3
    maximum_frequency: int = 10
    threads: int = 1
    noise: Noise | None = None
    protocol: str = "llv2"
    """`llv2`; `reach-only`, in which the maximum frequency means nothing; or `hmss`, in which registers are people."""

    def estimate(self) -> dict[str, Any]:
        """Arguments of the functions that estimate reach."""
        sketch = {"decay_rate": DECAY_RATE, "sketch_size": max(sketch_size(self.registers), LEAST_SIZE)}
        baseline = self.noise.baseline(self.noise.reach) if self.noise else None
        return {**sketch, "sampling_width": 1.0, "reach_baseline": baseline}


@dataclass(frozen=True)
class Call:
    """One run of a native function, by name, with arguments that JSON can hold."""

    stage: str
    function: str
    arguments: dict[str, Any] = field(repr=False)

    @property
    def inputs(self) -> list[str]:
        """The files that it reads: no other call does, so they may go when it has returned."""
        return [
            name for argument in ("own", "received", "inputs", "shares") for name in self.arguments.get(argument, [])
        ]
