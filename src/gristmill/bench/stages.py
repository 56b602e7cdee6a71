"""The stages of a Liquid Legions measurement among three duchies, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gristmill import _native as native
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

Budget = tuple[float, float]


@dataclass(frozen=True)
class Noise:
    """Privacy budgets (epsilon, delta) of a measurement with discrete Gaussian noise."""

    reach: Budget = (0.0033, 1e-12)
    frequency: Budget = (0.115, 1e-12)
    blind_histogram: Budget = (1.0, 1.0)
    publisher: Budget = (1.0, 1.0)

    def registers(self, providers: int) -> dict[str, Any]:
        """Arguments of RegisterNoise."""
        budgets = {"reach": self.reach, "blind_histogram": self.blind_histogram, "publisher": self.publisher}
        return {**self._common(), "sketches": providers, **budgets}

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


@dataclass(frozen=True)
class Call:
    """One run of a native function, by name, with arguments that JSON can hold."""

    stage: str
    function: str
    arguments: dict[str, Any] = field(repr=False)

    @property
    def inputs(self) -> list[str]:
        """The files that it reads: no other call does, so they may go when it has returned."""
        return [name for argument in ("own", "received", "inputs") for name in self.arguments.get(argument, [])]


def calls(size: Size) -> Iterator[Call]:
    """All calls of a measurement with fresh keys; names of files are relative."""
    pairs = [native.generate_key_pair() for _ in range(DUCHIES)]
    secrets, elements = [secret.hex() for secret, _ in pairs], [element for _, element in pairs]
    composite = native.combine_public_keys(elements).hex()
    public = {"public_key": composite}
    common = {"threads": size.threads}
    frequency = {"maximum_frequency": size.maximum_frequency}
    tuple_noise = size.noise.tuples(size.maximum_frequency) if size.noise else None

    def call(stage: str, function: str, **arguments: Any) -> Call:
        return Call(stage, function, common | arguments)

    for provider in range(size.providers):
        sketch = {"provider": provider, "registers": size.registers, **frequency}
        yield call(EDP, "encrypt_sketch", sketch=sketch, output=f"edp{provider}", **public, **frequency)

    for duchy in range(DUCHIES):
        own = [f"edp{provider}" for provider in range(duchy, size.providers, DUCHIES)]
        received = [f"setup{worker}" for worker in range(AGGREGATOR)] if duchy == AGGREGATOR else []
        named: dict[str, Any] = {"own": own, "received": received, "output": f"setup{duchy}", **public, **frequency}
        named["noise"] = size.noise.registers(size.providers) if size.noise else None
        yield call(SETUP, "llv2_setup", **named)

    given = [f"setup{AGGREGATOR}"]
    for worker in range(AGGREGATOR):
        named = {"inputs": given, "output": f"one{worker}", "secret_key": secrets[worker], **public}
        yield call(PHASE_ONE_WORKER, "llv2_blind_registers", **named)
        given = [named["output"]]
    secret = {"secret_key": secrets[AGGREGATOR]}
    named = {"inputs": given, "output": "tuples", "sketches": size.providers, "noise": tuple_noise, **secret, **public}
    yield call(PHASE_ONE_AGGREGATOR, "llv2_join_registers", **named)

    given = ["tuples"]
    for worker in range(AGGREGATOR):
        named = {"inputs": given, "output": f"two{worker}", "secret_key": secrets[worker], **public}
        named |= {"partial_public_key": native.combine_public_keys(elements[worker + 1 :]).hex(), "noise": tuple_noise}
        yield call(PHASE_TWO_WORKER, "llv2_decrypt_flags", **named)
        given = [named["output"]]
    named = {"inputs": given, "output": "matrix", "noise": tuple_noise, **secret, **public, **frequency}
    named["reach_baseline"] = size.noise.baseline(size.noise.reach) if size.noise else None
    named |= {
        "decay_rate": DECAY_RATE,
        "sketch_size": max(sketch_size(size.registers), LEAST_SIZE),
        "sampling_width": 1.0,
    }
    yield call(PHASE_TWO_AGGREGATOR, "llv2_estimate_reach", **named)

    if size.maximum_frequency == 1:  # reach alone ends here
        return
    given = ["matrix"]
    for worker in range(AGGREGATOR):
        named = {"inputs": given, "output": f"three{worker}", "secret_key": secrets[worker]}
        yield call(PHASE_THREE_WORKER, "llv2_decrypt_counts", **named)
        given = [named["output"]]
    named = {"inputs": given, "baseline": size.noise.baseline(size.noise.frequency) if size.noise else None, **secret}
    yield call(PHASE_THREE_AGGREGATOR, "llv2_estimate_frequency", **named, **frequency)
