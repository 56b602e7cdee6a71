"""Carries out a call with the plain-Python reference."""

from typing import Any

from protocol.calls import Call
from protocol.recorded import Outcome
from reference import llv2, sketch
from reference.draws import Draws, Recorded

DRAW_NOTHING = ("decrypt_counts", "estimate_frequency")
TAKE_COUNTS = ("setup", "join_registers", "decrypt_flags")


def run(call: Call, draws: Draws | None = None) -> Outcome:
    """Replays the call's own scalars unless another source is given.

    Raises ValueError if recorded scalars do not last, or are not all used.
    """
    draws = draws or Recorded(call.scalars)
    arguments: dict[str, Any] = {**call.inputs, **call.parameters}
    if call.function not in DRAW_NOTHING:
        arguments["draws"] = draws
    if call.function in TAKE_COUNTS:
        arguments["counts"] = call.counts
    result = getattr(sketch if call.function == "encrypt_sketch" else llv2, call.function)(**arguments)
    if isinstance(draws, Recorded) and draws.left:
        raise ValueError(f"{draws.left} recorded scalars are left over")
    if call.function == "estimate_reach":
        return Outcome(result.matrix, {"reach": result.reach})
    if call.function == "estimate_frequency":
        return Outcome(figures={"frequency_distribution": result})
    return Outcome(result)
