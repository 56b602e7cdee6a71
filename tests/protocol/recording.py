"""Writes runs of the reference in the format of the recorded ones, to replay what the recorded ones do not contain."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from protocol import by_reference
from protocol.calls import Call
from protocol.measurement import Plan, element, measure
from protocol.recorded import Outcome
from reference import curve, llv2
from reference.draws import Recording
from reference.el_gamal import CIPHERTEXT_BYTES, blocks
from reference.introsort import sorted_positions
from reference.noise import RegisterNoise, TupleNoise
from reference.sketch import Register
from wfa.measurement.internal.duchy.protocol import (
    liquid_legions_v2_encryption_methods_pb2,
    reach_only_liquid_legions_v2_encryption_methods_pb2,
)

Order = Callable[[list[bytes]], list[int]]  # from decrypted indices to the order in which the join takes the registers

_MESSAGES = {
    "llv2": liquid_legions_v2_encryption_methods_pb2,
    "reach_only": reach_only_liquid_legions_v2_encryption_methods_pb2,
}
_STAGES = {
    ("llv2", "setup"): ("setup_phase", "CompleteSetupPhase"),
    ("llv2", "blind_registers"): ("execution_phase_one", "CompleteExecutionPhaseOne"),
    ("llv2", "join_registers"): ("execution_phase_one", "CompleteExecutionPhaseOneAtAggregator"),
    ("llv2", "decrypt_flags"): ("execution_phase_two", "CompleteExecutionPhaseTwo"),
    ("llv2", "estimate_reach"): ("execution_phase_two", "CompleteExecutionPhaseTwoAtAggregator"),
    ("llv2", "decrypt_counts"): ("execution_phase_three", "CompleteExecutionPhaseThree"),
    ("llv2", "estimate_frequency"): ("execution_phase_three", "CompleteExecutionPhaseThreeAtAggregator"),
    ("reach_only", "setup"): ("setup_phase", "CompleteReachOnlySetupPhase"),
    ("reach_only", "blind_registers"): ("execution_phase", "CompleteReachOnlyExecutionPhase"),
    ("reach_only", "estimate_reach"): ("execution_phase", "CompleteReachOnlyExecutionPhaseAtAggregator"),
}
_DATA_FIELDS = ("combined_register_vector", "flag_count_tuples", "same_key_aggregator_matrix")


def record(
    plan: Plan, sketches: Sequence[Sequence[Register]], seed: str, order: Order = sorted_positions
) -> dict[str, Any]:
    """A run file's content. Without the partial key (P1) the workers draw a throw-away one, as the original does."""
    random = Random(seed)
    run: dict[str, Any] = {
        "config": {"maximum_frequency": plan.maximum_frequency},
        "duchy_keys": [{"element": curve.encode(element(key)).hex()} for key in plan.keys[: plan.duchies]],
        "plain_sketches": [list(map(list, sketch)) for sketch in sketches],
        "encrypted_sketches": [],
        "sketch_encryption_random_scalars": [],
        "stages": [],
    }

    def carry_out(call: Call) -> Outcome:
        draws = Recording(random.getrandbits(256))
        if call.function == "encrypt_sketch":
            outcome = by_reference.run(call, draws)
            run["encrypted_sketches"].append(outcome.output.hex())
            run["sketch_encryption_random_scalars"].append(_hex(draws.scalars))
            return outcome
        taken = call
        if call.function == "join_registers":
            taken = _reordered(call, order)
        if call.function == "decrypt_flags" and not plan.partial_key_given:
            throw_away = Recording(random.getrandbits(256)).scalar()
            taken = replace(call, parameters={**call.parameters, "partial_public_key": element(throw_away)})
            outcome = by_reference.run(taken, draws)
            draws.scalars.insert(1, throw_away)
        else:
            outcome = by_reference.run(taken, draws)
        run["stages"].append(_entry(call, outcome, draws.scalars, plan))
        return outcome

    def counts(noise: RegisterNoise | TupleNoise) -> list[int]:
        return noise.sample(random)

    measured = measure(plan, sketches, carry_out, counts)
    for entries in _phases(run["stages"]):
        for number, entry in enumerate(entries, start=1):
            entry["role"] = "aggregator" if number == len(entries) else f"worker{number}"
    distribution = {str(frequency): share for frequency, share in measured.distribution.items()}
    run["result"] = {"reach": measured.reach, "frequency_distribution": distribution}
    return run


def _hex(scalars: Sequence[int]) -> list[str]:
    return [f"{scalar:064x}" for scalar in scalars]


def _phases(stages: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    names = dict.fromkeys(entry["stage"] for entry in stages)
    return [[entry for entry in stages if entry["stage"] == name] for name in names]


def _reordered(call: Call, order: Order) -> Call:
    indices = llv2.decrypted_indices(call.inputs["data"], secret_key=call.parameters["secret_key"])
    registers = blocks(call.inputs["data"], llv2.REGISTER_BYTES)
    data = b"".join(registers[position] for position in order(indices))
    return replace(call, inputs={"data": data})


def _entry(call: Call, outcome: Outcome, scalars: Sequence[int], plan: Plan) -> dict[str, Any]:
    stage, name = _STAGES[call.protocol, call.function]
    messages = _MESSAGES[call.protocol]
    request, response = getattr(messages, f"{name}Request")(), getattr(messages, f"{name}Response")()
    data_fields = [field for field in _DATA_FIELDS if hasattr(response, field)]
    output = outcome.output
    if hasattr(response, "serialized_excessive_noise_ciphertext"):
        response.serialized_excessive_noise_ciphertext = output[-CIPHERTEXT_BYTES:]
        output = output[:-CIPHERTEXT_BYTES]
    if data_fields:
        setattr(response, data_fields[0], output)
    if "reach" in outcome.figures:
        response.reach = outcome.figures["reach"]
    for frequency, share in outcome.figures.get("frequency_distribution", {}).items():
        response.frequency_distribution[frequency] = share
    _fill(request, call, plan)
    package = "wfa.measurement.internal.duchy.protocol."
    return {
        "stage": stage,
        "role": "",
        "request_type": f"{package}{name}Request",
        "response_type": f"{package}{name}Response",
        "random_scalars": _hex(scalars),
        "request": request.SerializeToString().hex(),
        "response": response.SerializeToString().hex(),
    }


def _fill(request: Any, call: Call, plan: Plan) -> None:
    parameters = call.parameters
    if call.protocol == "reach_only":
        request.combined_register_vector = call.inputs["registers"]
        request.serialized_excessive_noise_ciphertext = call.inputs["excessive_noise"]
    elif call.function == "setup":
        request.requisition_register_vector = call.inputs["own"]
        request.combined_register_vector = call.inputs["received"]
    else:
        setattr(request, next(field for field in _DATA_FIELDS if hasattr(request, field)), call.inputs["data"])
    if "secret_key" in parameters:
        request.local_el_gamal_key_pair.secret_key = curve.minimal_bytes(parameters["secret_key"])
    if hasattr(request, "composite_el_gamal_public_key") and "public_key" in parameters:
        request.composite_el_gamal_public_key.element = curve.encode(parameters["public_key"])
    if call.function == "decrypt_flags" and plan.partial_key_given:
        request.partial_composite_el_gamal_public_key.element = curve.encode(parameters["partial_public_key"])
    if hasattr(request, "noise_mechanism"):
        values = request.DESCRIPTOR.fields_by_name["noise_mechanism"].enum_type.values_by_name
        request.noise_mechanism = values[plan.mechanism].number
    if hasattr(request, "maximum_frequency"):
        request.maximum_frequency = parameters["maximum_frequency"]
    noise = parameters.get("noise")
    if isinstance(noise, RegisterNoise):
        target = request.noise_parameters
        if "public_key" in parameters:
            target.composite_el_gamal_public_key.element = curve.encode(parameters["public_key"])
        target.contributors_count, target.total_sketches_count = noise.contributors, noise.sketches
        for name, privacy in (
            ("blind_histogram", noise.blind_histogram),
            ("noise_for_publisher_noise", noise.publisher),
            ("global_reach_dp_noise", noise.reach),
        ):
            _set_privacy(getattr(target.dp_params, name), privacy)
    elif call.function == "setup" and call.protocol == "llv2":
        request.noise_parameters.composite_el_gamal_public_key.element = curve.encode(parameters["public_key"])
    if isinstance(noise, TupleNoise):
        target = request.frequency_noise_parameters if call.function == "estimate_reach" else request.noise_parameters
        target.maximum_frequency, target.contributors_count = noise.maximum_frequency, noise.contributors
        _set_privacy(target.dp_params, noise.frequency)
    if call.function == "join_registers":
        request.total_sketches_count = parameters["sketches"]
    if call.function == "estimate_reach":
        request.sketch_parameters.decay_rate, request.sketch_parameters.size = plan.decay_rate, plan.sketch_size
        request.vid_sampling_interval_width = plan.sampling_width
        if plan.reach:
            request.reach_dp_noise_baseline.contributors_count = plan.duchies
            _set_privacy(request.reach_dp_noise_baseline.global_reach_dp_noise, plan.reach)
    if call.function == "estimate_frequency" and plan.frequency:
        request.global_frequency_dp_noise_per_bucket.contributors_count = plan.duchies
        _set_privacy(request.global_frequency_dp_noise_per_bucket.dp_params, plan.frequency)


def _set_privacy(message: Any, privacy: tuple[float, float]) -> None:
    message.epsilon, message.delta = privacy
