"""From recorded requests to calls of stage functions.

A call carries its parameters in one form; the plain-Python reference and the native core are both driven from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.noise_counts import index_noise_counts, register_noise_counts, tuple_noise_counts
from protocol.recorded import SkippedError, Stage
from reference import curve
from reference.curve import Affine
from reference.el_gamal import combine_public_keys
from reference.noise import Baseline, Privacy, RegisterNoise, TupleNoise


@dataclass(frozen=True, slots=True)
class Call:
    """A stage function's name, its input, its parameters and its randomness.

    The input is `own` and `received`, or `data`; in the reach-only protocol `registers` and `excessive_noise`.
    """

    function: str
    inputs: Mapping[str, bytes]
    parameters: Mapping[str, Any]
    scalars: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    protocol: str = "llv2"


def call_of(stage: Stage) -> Call:
    """The call whose outcome must be the recorded response. Raises SkippedError where none can be."""
    if stage.request_type not in _CALLS:
        raise SkippedError(f"there is no stage function for {stage.request_type}")
    return _CALLS[stage.request_type](stage)


def _mechanism(request: Any) -> str:
    values = type(request).DESCRIPTOR.fields_by_name["noise_mechanism"].enum_type.values_by_number
    name = str(values[request.noise_mechanism].name)
    return "GEOMETRIC" if name.endswith("UNSPECIFIED") else name


def _privacy(parameters: Any) -> Privacy:
    return parameters.epsilon, parameters.delta


def _tuple_noise(request: Any, name: str = "noise_parameters") -> TupleNoise | None:
    parameters = getattr(request, name)
    if not request.HasField(name) or not parameters.HasField("dp_params"):
        return None
    privacy = _privacy(parameters.dp_params)
    return TupleNoise(_mechanism(request), parameters.contributors_count, parameters.maximum_frequency, privacy)


def _register_noise(request: Any, group_floor: int = 0) -> RegisterNoise | None:
    parameters = request.noise_parameters
    if not request.HasField("noise_parameters") or not parameters.HasField("dp_params"):
        return None
    privacy = parameters.dp_params
    return RegisterNoise(
        _mechanism(request),
        parameters.contributors_count,
        parameters.total_sketches_count,
        _privacy(privacy.blind_histogram),
        _privacy(privacy.noise_for_publisher_noise),
        _privacy(privacy.global_reach_dp_noise),
        group_floor,
    )


def _reach_baseline(request: Any) -> Baseline | None:
    reach = request.reach_dp_noise_baseline
    if not request.HasField("reach_dp_noise_baseline") or not reach.HasField("global_reach_dp_noise"):
        return None
    return Baseline(_mechanism(request), reach.contributors_count, _privacy(reach.global_reach_dp_noise))


def _secret_key(request: Any) -> int:
    return int.from_bytes(request.local_el_gamal_key_pair.secret_key, "big")


def _public_key(key: Any, what: str) -> Affine:
    if not key.element:
        raise SkippedError(f"the request has no {what} public key, so the original made a throw-away one")
    return curve.decode(key.element)


# Requests to calls


def _setup(stage: Stage) -> Call:
    request, parameters = stage.request, stage.request.noise_parameters
    noise, key = _register_noise(request), None
    counts: tuple[int, ...] = ()
    if parameters.composite_el_gamal_public_key.element:
        key = curve.decode(parameters.composite_el_gamal_public_key.element)
    if noise is not None:
        key = _public_key(parameters.composite_el_gamal_public_key, "composite")
        counts = register_noise_counts(stage.response.combined_register_vector, noise, key, stage.scalars)
    inputs = {"own": request.requisition_register_vector, "received": request.combined_register_vector}
    maximum_frequency = request.maximum_frequency or 2  # absent: the original drops frequencies at 1 only
    settings = {"public_key": key, "maximum_frequency": maximum_frequency, "noise": noise}
    return Call("setup", inputs, settings, stage.scalars, counts)


def _blind_registers(stage: Stage) -> Call:
    request = stage.request
    key = _public_key(request.composite_el_gamal_public_key, "composite")
    settings = {"secret_key": _secret_key(request), "public_key": key}
    return Call("blind_registers", {"data": request.combined_register_vector}, settings, stage.scalars)


def _join_registers(stage: Stage) -> Call:
    request, noise = stage.request, _tuple_noise(stage.request)
    key, secret_key = _public_key(request.composite_el_gamal_public_key, "composite"), _secret_key(request)
    counts: tuple[int, ...] = ()
    if noise is not None and noise.maximum_frequency >= 2:
        counts = tuple_noise_counts(stage.response.flag_count_tuples, noise, key, key, stage.scalars)
    settings = {
        "secret_key": secret_key,
        "public_key": key,
        "sketches": request.total_sketches_count,
        "noise": noise,
    }
    return Call("join_registers", {"data": request.combined_register_vector}, settings, stage.scalars, counts)


def _decrypt_flags(stage: Stage) -> Call:
    request, noise, scalars = stage.request, _tuple_noise(stage.request), stage.scalars
    key = _public_key(request.composite_el_gamal_public_key, "composite")
    if request.partial_composite_el_gamal_public_key.element:
        partial_key = curve.decode(request.partial_composite_el_gamal_public_key.element)
    else:  # the original makes a throw-away key then, whose secret is its second draw
        throw_away = curve.multiply_base(scalars[1])
        assert throw_away is not None
        partial_key, scalars = throw_away, scalars[:1] + scalars[2:]
    counts: tuple[int, ...] = ()
    if noise is not None and noise.maximum_frequency >= 2:
        counts = tuple_noise_counts(stage.response.flag_count_tuples, noise, key, partial_key, scalars)
    settings = {
        "secret_key": _secret_key(request),
        "public_key": key,
        "partial_public_key": partial_key,
        "noise": noise,
    }
    return Call("decrypt_flags", {"data": request.flag_count_tuples}, settings, scalars, counts)


def _estimate_reach(stage: Stage) -> Call:
    request = stage.request
    settings = {
        "secret_key": _secret_key(request),
        "public_key": _public_key(request.composite_el_gamal_public_key, "composite"),
        "maximum_frequency": request.maximum_frequency,
        "decay_rate": request.sketch_parameters.decay_rate,
        "sketch_size": request.sketch_parameters.size,
        "sampling_width": request.vid_sampling_interval_width,
        "reach_baseline": _reach_baseline(request),
        "noise": _tuple_noise(request, "frequency_noise_parameters"),
    }
    return Call("estimate_reach", {"data": request.flag_count_tuples}, settings, stage.scalars)


def _decrypt_counts(stage: Stage) -> Call:
    request = stage.request
    return Call("decrypt_counts", {"data": request.same_key_aggregator_matrix}, {"secret_key": _secret_key(request)})


def _estimate_frequency(stage: Stage) -> Call:
    request, baseline = stage.request, None
    bucket = request.global_frequency_dp_noise_per_bucket
    if request.HasField("global_frequency_dp_noise_per_bucket") and bucket.HasField("dp_params"):
        baseline = Baseline(_mechanism(request), bucket.contributors_count, _privacy(bucket.dp_params))
    settings = {
        "secret_key": _secret_key(request),
        "maximum_frequency": request.maximum_frequency,
        "baseline": baseline,
    }
    return Call("estimate_frequency", {"data": request.same_key_aggregator_matrix}, settings)


# Requests of the reach-only protocol to calls


def _reach_only_call(
    stage: Stage, function: str, settings: Mapping[str, Any], counts: tuple[int, ...] = (), *, draws: bool = True
) -> Call:
    request, scalars = stage.request, stage.scalars if draws else ()
    inputs = {
        "registers": request.combined_register_vector,
        "excessive_noise": request.serialized_excessive_noise_ciphertext,
    }
    return Call(function, inputs, settings, scalars, counts, "reach_only")


def _reach_only_setup(stage: Stage) -> Call:
    request, noise = stage.request, _register_noise(stage.request, group_floor=1)
    key = _public_key(request.composite_el_gamal_public_key, "composite")
    counts: tuple[int, ...] = ()
    if noise is not None:
        counts = index_noise_counts(stage.response.combined_register_vector, noise, key, stage.scalars)
    return _reach_only_call(stage, "setup", {"public_key": key, "noise": noise}, counts)


def _reach_only_blind_registers(stage: Stage) -> Call:
    return _reach_only_call(stage, "blind_registers", {"secret_key": _secret_key(stage.request)})


def _reach_only_estimate_reach(stage: Stage) -> Call:
    request = stage.request
    settings = {
        "secret_key": _secret_key(request),
        "decay_rate": request.sketch_parameters.decay_rate,
        "sketch_size": request.sketch_parameters.size,
        "sampling_width": request.vid_sampling_interval_width,
        "reach_baseline": _reach_baseline(request),
        "noise": _register_noise(request, group_floor=1),
    }
    # The original makes keys that it does not use.
    return _reach_only_call(stage, "estimate_reach", settings, draws=False)


_CALLS: dict[str, Callable[[Stage], Call]] = {
    "CompleteSetupPhaseRequest": _setup,
    "CompleteExecutionPhaseOneRequest": _blind_registers,
    "CompleteExecutionPhaseOneAtAggregatorRequest": _join_registers,
    "CompleteExecutionPhaseTwoRequest": _decrypt_flags,
    "CompleteExecutionPhaseTwoAtAggregatorRequest": _estimate_reach,
    "CompleteExecutionPhaseThreeRequest": _decrypt_counts,
    "CompleteExecutionPhaseThreeAtAggregatorRequest": _estimate_frequency,
    "CompleteReachOnlySetupPhaseRequest": _reach_only_setup,
    "CompleteReachOnlyExecutionPhaseRequest": _reach_only_blind_registers,
    "CompleteReachOnlyExecutionPhaseAtAggregatorRequest": _reach_only_estimate_reach,
}


# The data providers' part


def encryption_calls(run: Mapping[str, Any], protocol: str) -> list[tuple[str, Call, bytes]]:
    """(role, call, recorded sketch) for each data provider whose scalars the file has."""
    scalars = run.get("sketch_encryption_random_scalars")
    if not scalars or not run.get("plain_sketches"):
        return []
    element = run.get("combined_public_key_element")
    elements = [element] if element else [key["element"] for key in run["duchy_keys"]]
    settings: dict[str, Any] = {"public_key": combine_public_keys([curve.decode(bytes.fromhex(e)) for e in elements])}
    if protocol == "llv2":
        settings["maximum_frequency"] = run["config"]["maximum_frequency"]
    sketches = zip(scalars, run["encrypted_sketches"], run["plain_sketches"], strict=True)
    return [
        (f"edp{number}", _encryption(protocol, settings, registers, drawn), bytes.fromhex(sketch))
        for number, (drawn, sketch, registers) in enumerate(sketches, start=1)
    ]


def _encryption(
    protocol: str, settings: Mapping[str, Any], plain: Sequence[Sequence[int]], scalars: Sequence[str]
) -> Call:
    registers = [tuple(each) if protocol == "llv2" else each[0] for each in plain]
    drawn = tuple(int(scalar, 16) for scalar in scalars)
    return Call("encrypt_sketch", {}, {"registers": registers, **settings}, drawn, protocol=protocol)
