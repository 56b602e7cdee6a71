"""Three duchies and some data providers, whose stages run in this process, in either Liquid Legions protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gristmill import _native as native

Sketch = Sequence[tuple[int, int, int]]
WORKERS = 2
AGGREGATOR = 2
ESTIMATE: dict[str, Any] = {"decay_rate": 12.0, "sketch_size": 1000, "sampling_width": 1.0}
_WITHOUT_PUBLIC_KEY = ("reach_only_blind_registers",)


@dataclass
class Duchies:
    """A computation from encryption to result; every stage gets its own seed, made from one."""

    folder: Path
    sketches: Sequence[Sketch]
    maximum_frequency: int
    seed: str
    threads: int = 2
    block: int | None = None
    register_noise: native.RegisterNoise | None = None
    tuple_noise: native.TupleNoise | None = None
    reach_baseline: native.Baseline | None = None
    outputs: dict[str, bytes] = field(default_factory=dict)
    progress: native.Progress = field(default_factory=native.Progress)
    """Of the stage that ran last."""

    def __post_init__(self) -> None:
        self.secrets = [bytes([number + 3]) * 32 for number in range(WORKERS + 1)]
        elements = [native.public_element(secret) for secret in self.secrets]
        self.public_key = native.combine_public_keys(elements)
        self.partial_keys = [native.combine_public_keys(elements[number + 1 :] or elements) for number in range(3)]

    def run(self, function: Any, name: str, **arguments: Any) -> Any:
        """Runs a stage whose output file is called `name`."""
        if name:
            arguments["output"] = str(self.folder / name)
            arguments["randomness"] = self.source(name)
            if function.__name__ not in _WITHOUT_PUBLIC_KEY:
                arguments["public_key"] = self.public_key
        self.progress = native.Progress()
        common = {"threads": self.threads, "progress": self.progress, "block": self.block}
        result = function(**arguments, **common)
        if name:
            self.outputs[name] = (self.folder / name).read_bytes()
        return result

    def source(self, name: str) -> native.Randomness:
        return native.Randomness.seeded(f"{self.seed} {name}".encode())

    def path(self, name: str) -> list[str]:
        return [str(self.folder / name)]

    def encrypt(self) -> None:
        for number, sketch in enumerate(self.sketches):
            self.run(native.encrypt_sketch, f"edp{number}", registers=sketch, maximum_frequency=self.maximum_frequency)

    def setup(self) -> None:
        """Provider i's sketch goes to duchy i mod 3; the aggregator's output is the last."""
        for duchy in range(3):
            own = [path for number in range(duchy, len(self.sketches), 3) for path in self.path(f"edp{number}")]
            received = [path for worker in range(WORKERS) for path in self.path(f"setup{worker}")]
            self.run(
                native.llv2_setup,
                f"setup{duchy}",
                own=own,
                received=received if duchy == AGGREGATOR else [],
                maximum_frequency=self.maximum_frequency,
                noise=self.register_noise,
            )

    def join(self) -> None:
        before = f"setup{AGGREGATOR}"
        for worker in range(WORKERS):
            secret = self.secrets[worker]
            self.run(native.llv2_blind_registers, f"one{worker}", inputs=self.path(before), secret_key=secret)
            before = f"one{worker}"
        self.run(
            native.llv2_join_registers,
            "tuples",
            inputs=self.path(before),
            secret_key=self.secrets[AGGREGATOR],
            sketches=len(self.sketches),
            noise=self.tuple_noise,
        )

    def everything(self, baseline: native.Baseline | None) -> tuple[int, dict[int, float]]:
        """Active registers and shares of frequencies."""
        self.encrypt()
        self.setup()
        self.join()
        active = self.reach().active
        return active, self.frequencies(baseline)

    def reach(self) -> native.ReachFigures:
        before = "tuples"
        for worker in range(WORKERS):
            self.run(
                native.llv2_decrypt_flags,
                f"two{worker}",
                inputs=self.path(before),
                secret_key=self.secrets[worker],
                partial_public_key=self.partial_keys[worker],
                noise=self.tuple_noise,
            )
            before = f"two{worker}"
        figures: native.ReachFigures = self.run(
            native.llv2_estimate_reach,
            "matrix",
            inputs=self.path(before),
            secret_key=self.secrets[AGGREGATOR],
            maximum_frequency=self.maximum_frequency,
            **ESTIMATE,
            reach_baseline=self.reach_baseline,
            noise=self.tuple_noise,
        )
        return figures

    def frequencies(self, baseline: native.Baseline | None = None) -> dict[int, float]:
        before = "matrix"
        for worker in range(WORKERS):
            output = str(self.folder / f"three{worker}")
            self.run(
                native.llv2_decrypt_counts,
                "",
                inputs=self.path(before),
                output=output,
                secret_key=self.secrets[worker],
            )
            before = f"three{worker}"
            self.outputs[before] = Path(output).read_bytes()
        shares: dict[int, float] = self.run(
            native.llv2_estimate_frequency,
            "",
            inputs=self.path(before),
            secret_key=self.secrets[AGGREGATOR],
            maximum_frequency=self.maximum_frequency,
            baseline=baseline,
        )
        return shares


class ReachOnlyDuchies(Duchies):
    """The same in the reach-only protocol."""

    def encrypt(self) -> None:
        for number, sketch in enumerate(self.sketches):
            indexes = [index for index, _, _ in sketch]
            self.run(native.encrypt_reach_only_sketch, f"edp{number}", indexes=indexes)

    def setup(self) -> None:
        for duchy in range(3):
            own = [path for number in range(duchy, len(self.sketches), 3) for path in self.path(f"edp{number}")]
            received = [path for worker in range(WORKERS) for path in self.path(f"setup{worker}")]
            blobs = received if duchy == AGGREGATOR else []
            self.run(native.reach_only_setup, f"setup{duchy}", own=own, received=blobs, noise=self.register_noise)

    def blind(self) -> None:
        before = f"setup{AGGREGATOR}"
        for worker in range(WORKERS):
            secret, inputs = self.secrets[worker], self.path(before)
            self.run(native.reach_only_blind_registers, f"blind{worker}", inputs=inputs, secret_key=secret)
            before = f"blind{worker}"

    def count(self, before: str = f"blind{WORKERS - 1}") -> native.ReachOnlyFigures:
        figures: native.ReachOnlyFigures = self.run(
            native.reach_only_estimate_reach,
            "",
            inputs=self.path(before),
            spill_folder=str(self.folder),
            secret_key=self.secrets[AGGREGATOR],
            **ESTIMATE,
            reach_baseline=self.reach_baseline,
            noise=self.register_noise,
        )
        return figures

    def everything(self, baseline: native.Baseline | None) -> tuple[int, dict[int, float]]:
        self.encrypt()
        self.setup()
        self.blind()
        return self.count().active, {}
