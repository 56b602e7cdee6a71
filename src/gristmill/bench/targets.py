"""What the stages have to reach: the rows that `make bench` measures, in libcrypto multiplications."""

from __future__ import annotations

from dataclasses import dataclass

REFERENCE_U = 47.2
"""Microseconds of a multiplication on the processor (AMD Zen 3) on which the existing system was measured."""


@dataclass(frozen=True)
class Target:
    """Existing, required and aim are in `unit`: U an item, or for `run-noise` seconds."""

    id: str
    work: str
    item: str
    existing: float
    required: float
    aim: float

    @property
    def unit(self) -> str:
        return self.item if self.id == "run-noise" else f"U per {self.item}"


TARGETS = (
    Target("p1w", "phase one, worker", "register", 11.9, 1.25, 1.05),
    Target("p1a", "phase one, aggregator", "register", 9.8, 1.9, 1.5),
    Target("p2w", "phase two, worker", "tuple", 19.9, 1.8, 1.5),
    Target("p2a", "phase two, aggregator, flag tests included", "kept tuple", 25.8, 5.5, 4.2),
    Target("p3w", "phase three, worker", "ciphertext", 1.73, 0.48, 0.40),
    Target("p3a", "phase three, aggregator", "ciphertext examined", 1.7, 0.48, 0.38),
    Target("noise", "noise of the setup phase", "noise register", 8.7, 0.34, 0.25),
    Target("edp", "EDP encryption", "register", 9.4, 0.40, 0.32),
    Target("ro-w", "reach only: execution, worker", "register", 4.6, 0.95, 0.82),
    Target("ro-a", "reach only: execution, aggregator", "register", 1.75, 0.48, 0.40),
    Target("ro-noise", "reach only: noise of the setup phase", "noise register", 3.2, 0.15, 0.12),
    Target("ro-edp", "reach only: EDP encryption", "register", 3.6, 0.16, 0.13),
    Target("h2c", "hash to curve", "text", 0.97, 0.09, 0.07),
    Target("run", "whole run at all duchies", "input register", 76, 10.5, 8.5),
    Target("run-noise", "whole run with noise, 3 x 1,000", f"CPU seconds at U = {REFERENCE_U} us", 266, 30, 24),
)
