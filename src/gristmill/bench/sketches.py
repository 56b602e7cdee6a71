"""Sketches such as data providers make: people of one population, some seen by several of them."""

from __future__ import annotations

import random

from gristmill import _native as native

DECAY_RATE = 12.0
REGISTERS_OF_A_SKETCH = 10
"""A sketch has this many registers for each that is active: a tenth is in use, whatever the size."""
PEOPLE_OF_AN_AUDIENCE = 10
"""The population is this many times the audience of one data provider: a tenth is reached by each, independently."""


def sketch(provider: int, registers: int, maximum_frequency: int) -> list[tuple[int, int, int]]:
    """Exactly so many active registers: index, key + 1 or 0 if destroyed, a frequency from 1 to the maximum.

    Indexes and keys come from real VIDs by way of `build_sketch`, so two VIDs of a provider share a register, and two
    providers an index, as often as they do in life. The same arguments give the same sketch.
    """
    source = random.Random(f"{provider} {registers}")  # noqa: S311 - made-up people
    people = range(1, PEOPLE_OF_AN_AUDIENCE * _audience(registers) + 1)
    audience = _audience(registers)
    while True:
        size = {"size": sketch_size(registers), "sampling_indicator_size": 10_000_000}
        active = native.build_sketch(source.sample(people, audience), decay_rate=DECAY_RATE, **size)
        if len(active) >= registers:
            break
        audience = min(audience * 2, len(people))
    chosen = sorted(source.sample(active, registers))
    return [(index, key, source.randint(1, maximum_frequency)) for index, key, _ in chosen]


def sketch_size(registers: int) -> int:
    """Registers of the whole sketch, active or not."""
    return REGISTERS_OF_A_SKETCH * registers


def _audience(registers: int) -> int:
    """People who fill somewhat more than so many registers of a sketch of that size and decay rate."""
    return registers * 3 // 2 + 1
