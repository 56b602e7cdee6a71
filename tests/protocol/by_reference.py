"""Carries out a call with the plain-Python reference."""

from typing import Any

from protocol import shares
from protocol.calls import Call
from protocol.recorded import Outcome
from reference import llv2, reach_only, sketch
from reference.draws import Draws, Recorded

_MODULES = {"llv2": llv2, "reach_only": reach_only}
_DRAW_NOTHING = {("llv2", "decrypt_counts"), ("llv2", "estimate_frequency"), ("reach_only", "estimate_reach")}
TAKE_COUNTS = ("setup", "join_registers", "decrypt_flags")


def draws_nothing(call: Call) -> bool:
    return (call.protocol, call.function) in _DRAW_NOTHING


def run(call: Call, draws: Draws | None = None) -> Outcome:
    """Replays the call's own scalars unless another source is given.

    Raises ValueError if recorded scalars do not last, or are not all used.
    """
    if call.protocol == shares.PROTOCOL:
        return shares.by_reference(call)
    draws = draws or Recorded(call.scalars)
    arguments: dict[str, Any] = {**call.inputs, **call.parameters}
    if not draws_nothing(call):
        arguments["draws"] = draws
    if call.function in TAKE_COUNTS:
        arguments["counts"] = call.counts
    module = sketch if call.function == "encrypt_sketch" and call.protocol == "llv2" else _MODULES[call.protocol]
    result = getattr(module, call.function)(**arguments)
    if isinstance(draws, Recorded) and draws.left:
        raise ValueError(f"{draws.left} recorded scalars are left over")
    if call.function == "estimate_reach":
        return Outcome(getattr(result, "matrix", b""), {"reach": result.reach})
    if call.function == "estimate_frequency":
        return Outcome(figures={"frequency_distribution": result})
    return Outcome(result)
