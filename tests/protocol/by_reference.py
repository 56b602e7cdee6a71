"""Carries out a call with the plain-Python reference."""

from typing import Any

from protocol.calls import Call
from protocol.recorded import Outcome
from reference import llv2, sketch
from reference.draws import Recorded

_DRAW_NOTHING = ("decrypt_counts", "estimate_frequency")
_TAKE_COUNTS = ("setup", "join_registers", "decrypt_flags")


def run(call: Call) -> Outcome:
    """Raises ValueError if the recorded scalars do not last, or are not all used."""
    draws = Recorded(call.scalars)
    arguments: dict[str, Any] = {**call.inputs, **call.parameters}
    if call.function not in _DRAW_NOTHING:
        arguments["draws"] = draws
    if call.function in _TAKE_COUNTS:
        arguments["counts"] = call.counts
    result = getattr(sketch if call.function == "encrypt_sketch" else llv2, call.function)(**arguments)
    if draws.left:
        raise ValueError(f"{draws.left} recorded scalars are left over")
    if call.function == "estimate_reach":
        return Outcome(result.matrix, {"reach": result.reach})
    if call.function == "estimate_frequency":
        return Outcome(figures={"frequency_distribution": result})
    return Outcome(result)
