"""Liquid Legions v2: reach and frequency, in three laps; with maximum frequency 1, reach alone, in two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gristmill.protocols import liquid_legions, table
from gristmill.protocols.liquid_legions import CIPHERTEXT, Lap
from gristmill.protocols.table import Protocol, Role
from gristmill.protocols.wire import Wire

REGISTER: Final = 3 * CIPHERTEXT
"""Index, key, count."""
TUPLE: Final = 4 * CIPHERTEXT
"""Three flags and a count."""


class Stage(table.Stage):
    INITIALIZATION_PHASE = 1
    WAIT_REQUISITIONS_AND_KEY_SET = 2
    CONFIRMATION_PHASE = 3
    WAIT_TO_START = 4
    WAIT_SETUP_PHASE_INPUTS = 5
    SETUP_PHASE = 6
    WAIT_EXECUTION_PHASE_ONE_INPUTS = 7
    EXECUTION_PHASE_ONE = 8
    WAIT_EXECUTION_PHASE_TWO_INPUTS = 9
    EXECUTION_PHASE_TWO = 10
    WAIT_EXECUTION_PHASE_THREE_INPUTS = 11
    EXECUTION_PHASE_THREE = 12
    COMPLETE = 13


class Message(table.Message):
    SETUP_PHASE_INPUT = 1
    EXECUTION_PHASE_ONE_INPUT = 2
    EXECUTION_PHASE_TWO_INPUT = 3
    EXECUTION_PHASE_THREE_INPUT = 4


S, M = Stage, Message

ONE = Lap(
    S.WAIT_EXECUTION_PHASE_ONE_INPUTS,
    M.EXECUTION_PHASE_ONE_INPUT,
    S.EXECUTION_PHASE_ONE,
    "blind_registers",
    "join_registers",
)
TWO = Lap(
    S.WAIT_EXECUTION_PHASE_TWO_INPUTS,
    M.EXECUTION_PHASE_TWO_INPUT,
    S.EXECUTION_PHASE_TWO,
    "decrypt_flags",
    "estimate_reach",
)
THREE = Lap(
    S.WAIT_EXECUTION_PHASE_THREE_INPUTS,
    M.EXECUTION_PHASE_THREE_INPUT,
    S.EXECUTION_PHASE_THREE,
    "decrypt_counts",
    "estimate_frequency",
)

UNITS: Mapping[table.Message, int] = {
    M.SETUP_PHASE_INPUT: REGISTER,
    M.EXECUTION_PHASE_ONE_INPUT: REGISTER,
    M.EXECUTION_PHASE_TWO_INPUT: TUPLE,
    M.EXECUTION_PHASE_THREE_INPUT: CIPHERTEXT,
}

LLV2 = Protocol(
    name="LIQUID_LEGIONS_SKETCH_AGGREGATION_V2",
    number=1,
    stages=Stage,
    messages=Message,
    paths=liquid_legions.paths(Stage, Message, laps=(ONE, TWO, THREE)),
    units=UNITS,
    requisition_unit=REGISTER,
    many=Role.NON_AGGREGATOR,
)

LLV2_REACH = Protocol(
    name="LIQUID_LEGIONS_SKETCH_AGGREGATION_V2",
    number=1,
    stages=Stage,
    messages=Message,
    paths=liquid_legions.paths(Stage, Message, laps=(ONE, TWO)),
    units=UNITS,
    requisition_unit=REGISTER,
    many=Role.NON_AGGREGATOR,
    omits=frozenset({THREE.wait, THREE.message, THREE.work}),
)


def protocol(maximum_frequency: int) -> Protocol:
    """The table of a computation, for all its life. An unset maximum frequency (0) means 1."""
    return LLV2 if maximum_frequency > 1 else LLV2_REACH


def _choose(part: Any) -> Protocol:
    return protocol(part.parameters.maximum_frequency)


WIRE = Wire(
    member="liquid_legions_v2",
    tables=(LLV2, LLV2_REACH),
    choose=_choose,
    ring=liquid_legions.ring,
    secrets=liquid_legions.SECRETS,
)
