"""On what condition a write goes through."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """The wire's edit token: nobody has written through a wire-compatible method since this version was read."""

    number: int


@dataclass(frozen=True, slots=True)
class Fence:
    """The lease: this claim is still the latest, and its owner holds it. Writes by others do not disturb it."""

    number: int
    owner: str


Guard = Version | Fence
