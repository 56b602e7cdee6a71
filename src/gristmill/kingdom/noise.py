"""Which noise a kingdom's protocols add."""

from __future__ import annotations

from enum import Enum


class NoiseMechanism(Enum):
    """Those that all protocols know. Public and system API number mechanisms differently: convert by name."""

    GEOMETRIC = "GEOMETRIC"
    DISCRETE_GAUSSIAN = "DISCRETE_GAUSSIAN"
