"""What the stages have to reach: the rows that `make bench` measures, in libcrypto multiplications or nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass

REFERENCE_U = 47.2
"""Microseconds of a multiplication on the processor (AMD Zen 3) on which the existing system was measured."""


@dataclass(frozen=True)
class Target:
    """Existing, required and aim are in `unit`: U an item, nanoseconds an entry, or for `run-noise` seconds.

    None where the existing system was not measured, or where there is no aim beyond what is required.
    """

    id: str
    work: str
    item: str
    existing: float | None
    required: float
    aim: float | None

    @property
    def in_nanoseconds(self) -> bool:
        """Share shuffle has no public-key operation to be compared with."""
        return self.id.startswith("hmss-")

    @property
    def unit(self) -> str:
        return self.item if self.id == "run-noise" else f"{'ns' if self.in_nanoseconds else 'U'} per {self.item}"


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
    Target("hmss-3", "share shuffle: worker, 3 EDPs", "entry", 69, 18, 14),
    Target("hmss-10", "share shuffle: worker, 10 EDPs", "entry", 127, 25, 19),
    Target("hmss-shuffle", "share shuffle: one seed expanded, shuffled", "entry", 35, 12, 10),
    Target("hmss-aggregate", "share shuffle: aggregator", "entry", 23, 4, 2),
    Target("hmss-parse", "share shuffle: reading a share", "entry", None, 3, None),
    Target("h2c", "hash to curve", "text", 0.97, 0.09, 0.07),
    Target("run", "whole run at all duchies", "input register", 76, 10.5, 8.5),
    Target("run-noise", "whole run with noise, 3 x 1,000", f"CPU seconds at U = {REFERENCE_U} us", 266, 30, 24),
)
