"""Carries out a call with the plain-Python reference."""

from protocol.recorded import Call, Outcome
from reference import llv2, sketch
from reference.draws import Recorded


def run(call: Call) -> Outcome:
    """Raises ValueError if the recorded scalars do not last, or are not all used."""
    draws = Recorded(call.scalars)
    parameters = dict(call.parameters)
    if call.function == "encrypt_sketch":
        return Outcome(_all_used(draws, sketch.encrypt_sketch(**parameters, draws=draws)))
    if call.function == "decrypt_counts":
        return Outcome(llv2.decrypt_counts(call.inputs["data"], **parameters))
    if call.function == "estimate_frequency":
        distribution = llv2.estimate_frequency(call.inputs["data"], **parameters)
        return Outcome(figures={"frequency_distribution": distribution})
    if call.function == "estimate_reach":
        figures = llv2.estimate_reach(call.inputs["data"], **parameters, draws=draws)
        return Outcome(_all_used(draws, figures.matrix), {"reach": figures.reach})
    if call.function == "setup":
        return Outcome(_all_used(draws, llv2.setup(**call.inputs, **parameters, counts=call.counts, draws=draws)))
    data = call.inputs["data"]
    if call.function == "blind_registers":
        return Outcome(_all_used(draws, llv2.blind_registers(data, **parameters, draws=draws)))
    if call.function == "join_registers":
        return Outcome(_all_used(draws, llv2.join_registers(data, **parameters, counts=call.counts, draws=draws)))
    if call.function == "decrypt_flags":
        return Outcome(_all_used(draws, llv2.decrypt_flags(data, **parameters, counts=call.counts, draws=draws)))
    raise ValueError(f"the reference has no stage {call.function}")


def _all_used(draws: Recorded, output: bytes) -> bytes:
    if draws.left:
        raise ValueError(f"{draws.left} recorded scalars are left over")
    return output
