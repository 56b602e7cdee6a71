"""Reach-only Liquid Legions v2: registers of one ciphertext, and one lap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gristmill.protocols import liquid_legions, table
from gristmill.protocols.liquid_legions import CIPHERTEXT, Lap
from gristmill.protocols.table import Protocol, Role
from gristmill.protocols.wire import Wire


class Stage(table.Stage):
    INITIALIZATION_PHASE = 1
    WAIT_REQUISITIONS_AND_KEY_SET = 2
    CONFIRMATION_PHASE = 3
    WAIT_TO_START = 4
    WAIT_SETUP_PHASE_INPUTS = 5
    SETUP_PHASE = 6
    WAIT_EXECUTION_PHASE_INPUTS = 7
    EXECUTION_PHASE = 8
    COMPLETE = 9


class Message(table.Message):
    SETUP_PHASE_INPUT = 1
    EXECUTION_PHASE_INPUT = 2


S, M = Stage, Message

EXECUTION = Lap(
    S.WAIT_EXECUTION_PHASE_INPUTS,
    M.EXECUTION_PHASE_INPUT,
    S.EXECUTION_PHASE,
    "blind_registers",
    "estimate_reach",
)

UNITS: Mapping[table.Message, int] = {
    # The last ciphertext of each is no register: the number of excessive noise indexes, encrypted.
    M.SETUP_PHASE_INPUT: CIPHERTEXT,
    M.EXECUTION_PHASE_INPUT: CIPHERTEXT,
}

REACH_ONLY = Protocol(
    name="REACH_ONLY_LIQUID_LEGIONS_SKETCH_AGGREGATION_V2",
    number=2,
    stages=Stage,
    messages=Message,
    paths=liquid_legions.paths(Stage, Message, laps=(EXECUTION,)),
    units=UNITS,
    requisition_unit=CIPHERTEXT,
    many=Role.NON_AGGREGATOR,
)


def _choose(part: Any) -> Protocol:
    return REACH_ONLY


WIRE = Wire(
    member="reach_only_liquid_legions_v2",
    tables=(REACH_ONLY,),
    choose=_choose,
    ring=liquid_legions.ring,
    secrets=liquid_legions.SECRETS,
)
