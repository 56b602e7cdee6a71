"""Run files of the original: reading one, and turning each recorded request into a call of a stage function.

A call carries parameters in one form; the plain-Python reference and the native core are both driven from it.
"""

import importlib
import json
import lzma
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reference import curve, llv2
from reference.curve import Affine
from reference.el_gamal import Ciphertext, blocks, combine_public_keys, decode_row, integer_point
from reference.introsort import sorted_positions
from reference.noise import Baseline, Privacy, RegisterNoise, TupleNoise
from reference.sketch import DESTROYED_KEY_POINT, Register

MESSAGES = "wfa.measurement.internal.duchy.protocol."


class UnreadableError(Exception):
    """The file is not a run file."""


class SkippedError(Exception):
    """The stage cannot be replayed, and why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A recorded stage; `request` and `response` are parsed messages."""

    stage: str
    role: str
    request_type: str
    request: Any
    response: Any
    scalars: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A stage function's name, its input (`own` and `received`, or `data`), its parameters and its randomness."""

    function: str
    inputs: Mapping[str, bytes]
    parameters: Mapping[str, Any]
    scalars: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage gives: bytes, figures or both."""

    output: bytes = b""
    figures: Mapping[str, Any] = field(default_factory=dict)


def load(path: Path) -> dict[str, Any]:
    """Reads a .json or .json.xz run file. Raises UnreadableError with the reason."""
    try:
        data = path.read_bytes()
        run = json.loads(lzma.decompress(data) if path.suffix == ".xz" else data)
    except (OSError, lzma.LZMAError, ValueError) as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from error
    if not isinstance(run, dict) or not isinstance(run.get("stages"), list) or not run["stages"]:
        raise UnreadableError(f"{path} is not a run file: it has no stages")
    return run


# Messages


def parse_stage(entry: Mapping[str, Any]) -> Stage:
    """Parses a member of `stages`. Raises SkippedError for protocols without stage functions."""
    request_type = str(entry["request_type"])
    if "ReachOnly" in request_type or "Shuffle" in request_type or "Aggregation" in request_type:
        raise SkippedError("protocol not built yet")
    if request_type not in {MESSAGES + name for name in _CALLS}:
        raise SkippedError(f"there is no stage function for {request_type}")
    messages = importlib.import_module(MESSAGES + "liquid_legions_v2_encryption_methods_pb2")
    request, response = (
        getattr(messages, str(entry[f"{side}_type"]).removeprefix(MESSAGES)).FromString(bytes.fromhex(entry[side]))
        for side in ("request", "response")
    )
    scalars = tuple(int(scalar, 16) for scalar in entry.get("random_scalars", ()))
    return Stage(str(entry["stage"]), str(entry["role"]), request_type, request, response, scalars)


def call_of(stage: Stage) -> Call:
    """The call whose outcome must be the recorded response."""
    call: Call = _CALLS[stage.request_type.removeprefix(MESSAGES)](stage)
    return call


def expected(stage: Stage) -> Outcome:
    """The recorded response, without its timing."""
    response, output, figures = stage.response, b"", {}
    for descriptor in response.DESCRIPTOR.fields:
        if descriptor.name in ("combined_register_vector", "flag_count_tuples", "same_key_aggregator_matrix"):
            output = getattr(response, descriptor.name)
        elif descriptor.name == "reach":
            figures["reach"] = response.reach
        elif descriptor.name == "frequency_distribution":
            figures["frequency_distribution"] = dict(response.frequency_distribution)
    return Outcome(output, figures)


def _mechanism(request: Any) -> str:
    return str(
        type(request)
        .DESCRIPTOR.fields_by_name["noise_mechanism"]
        .enum_type.values_by_number[request.noise_mechanism]
        .name
    )


def _privacy(parameters: Any) -> Privacy:
    return parameters.epsilon, parameters.delta


def _tuple_noise(request: Any, name: str = "noise_parameters") -> TupleNoise | None:
    parameters = getattr(request, name)
    if not request.HasField(name) or not parameters.HasField("dp_params"):
        return None
    privacy = _privacy(parameters.dp_params)
    return TupleNoise(_mechanism(request), parameters.contributors_count, parameters.maximum_frequency, privacy)


def _secret_key(request: Any) -> int:
    return int.from_bytes(request.local_el_gamal_key_pair.secret_key, "big")


def _public_key(key: Any, what: str) -> Affine:
    if not key.element:
        raise SkippedError(f"the request has no {what} public key, so the original made a throw-away one")
    return curve.decode(key.element)


# Requests to calls


def _setup(stage: Stage) -> Call:
    request, parameters = stage.request, stage.request.noise_parameters
    noise, key, counts = None, None, ()
    if parameters.composite_el_gamal_public_key.element:
        key = curve.decode(parameters.composite_el_gamal_public_key.element)
    if request.HasField("noise_parameters") and parameters.HasField("dp_params"):
        privacy = parameters.dp_params
        noise = RegisterNoise(
            _mechanism(request),
            parameters.contributors_count,
            parameters.total_sketches_count,
            _privacy(privacy.blind_histogram),
            _privacy(privacy.noise_for_publisher_noise),
            _privacy(privacy.global_reach_dp_noise),
        )
        key = _public_key(parameters.composite_el_gamal_public_key, "composite")
        counts = register_noise_counts(stage.response.combined_register_vector, noise, key, stage.scalars)
    inputs = {"own": request.requisition_register_vector, "received": request.combined_register_vector}
    settings = {"public_key": key, "maximum_frequency": request.maximum_frequency, "noise": noise}
    return Call("setup", inputs, settings, stage.scalars, counts)


def _blind_registers(stage: Stage) -> Call:
    request = stage.request
    key = _public_key(request.composite_el_gamal_public_key, "composite")
    settings = {"secret_key": _secret_key(request), "public_key": key}
    return Call("blind_registers", {"data": request.combined_register_vector}, settings, stage.scalars)


def _join_registers(stage: Stage) -> Call:
    """The input is put in the order in which the original's sort left it, so that groups have its member order."""
    request, noise = stage.request, _tuple_noise(stage.request)
    key, secret_key = _public_key(request.composite_el_gamal_public_key, "composite"), _secret_key(request)
    counts: tuple[int, ...] = ()
    if noise is not None and noise.maximum_frequency >= 2:
        counts = tuple_noise_counts(stage.response.flag_count_tuples, noise, key, key, stage.scalars)
    registers = blocks(request.combined_register_vector, llv2.REGISTER_BYTES)
    positions = sorted_positions(llv2.decrypted_indices(request.combined_register_vector, secret_key=secret_key))
    data = b"".join(registers[position] for position in positions)
    settings = {
        "secret_key": secret_key,
        "public_key": key,
        "sketches": request.total_sketches_count,
        "noise": noise,
    }
    return Call("join_registers", {"data": data}, settings, stage.scalars, counts)


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
    request, baseline = stage.request, None
    reach = request.reach_dp_noise_baseline
    if request.HasField("reach_dp_noise_baseline") and reach.HasField("global_reach_dp_noise"):
        baseline = Baseline(_mechanism(request), reach.contributors_count, _privacy(reach.global_reach_dp_noise))
    settings = {
        "secret_key": _secret_key(request),
        "public_key": _public_key(request.composite_el_gamal_public_key, "composite"),
        "maximum_frequency": request.maximum_frequency,
        "decay_rate": request.sketch_parameters.decay_rate,
        "sketch_size": request.sketch_parameters.size,
        "sampling_width": request.vid_sampling_interval_width,
        "reach_baseline": baseline,
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


_CALLS = {
    "CompleteSetupPhaseRequest": _setup,
    "CompleteExecutionPhaseOneRequest": _blind_registers,
    "CompleteExecutionPhaseOneAtAggregatorRequest": _join_registers,
    "CompleteExecutionPhaseTwoRequest": _decrypt_flags,
    "CompleteExecutionPhaseTwoAtAggregatorRequest": _estimate_reach,
    "CompleteExecutionPhaseThreeRequest": _decrypt_counts,
    "CompleteExecutionPhaseThreeAtAggregatorRequest": _estimate_frequency,
}


# Noise counts. A fresh encryption has u = r * G for a recorded scalar r, and then e - r * Y is its plaintext: what a
# stage added can be read off its output with no secret key.


def _scalars_by_u(scalars: Sequence[int]) -> dict[curve.Point, int]:
    return {curve.multiply_base(scalar): scalar for scalar in scalars}


def _plaintext(ciphertext: Ciphertext, public_key: Affine, scalar: int) -> curve.Point:
    return curve.subtract(ciphertext.e, curve.multiply_fixed(scalar, public_key))


def register_noise_counts(
    output: bytes, noise: RegisterNoise, public_key: Affine, scalars: Sequence[int]
) -> tuple[int, ...]:
    """n_1..n_S, publisher and reach noise of a recorded setup phase."""
    drawn = _scalars_by_u(scalars)
    blind: Counter[curve.Point] = Counter()
    publisher = reach = padding = 0
    for block in blocks(output, llv2.REGISTER_BYTES):
        index, key, _ = decode_row(block)
        if index.u not in drawn:
            continue
        index_point = _plaintext(index, public_key, drawn[index.u])
        if index_point == llv2.PADDING_INDEX_POINT:
            padding += 1
        elif index_point == llv2.PUBLISHER_INDEX_POINT:
            publisher += 1
        elif _plaintext(key, public_key, drawn[key.u]) == DESTROYED_KEY_POINT:
            reach += 1
        else:
            blind[index_point] += 1
    if publisher + reach + padding + blind.total() != noise.total:
        raise ValueError("the recorded noise registers do not add up to the total that the parameters give")
    sizes = Counter(blind.values())
    return (*(sizes[size] for size in range(1, noise.sketches + 1)), publisher, reach)


def tuple_noise_counts(
    output: bytes, noise: TupleNoise, public_key: Affine, partial_public_key: Affine, scalars: Sequence[int]
) -> tuple[int, ...]:
    """n_1..n_F and the destroyed tuples' count of a recorded execution phase one or two."""
    drawn = _scalars_by_u(scalars)
    frequencies = {integer_point(f): f for f in range(1, noise.maximum_frequency + 1)}
    counts, destroyed, total = Counter[int](), 0, 0
    for block in blocks(output, llv2.TUPLE_BYTES):
        flag, _, _, count = decode_row(block)
        if count.u not in drawn:
            continue
        total += 1
        frequency = frequencies.get(_plaintext(count, public_key, drawn[count.u]))
        if frequency is not None:
            counts[frequency] += 1
        elif _plaintext(flag, partial_public_key, drawn[flag.u]) is not None:
            destroyed += 1
    if total != noise.total:
        raise ValueError("the recorded noise tuples do not add up to the total that the parameters give")
    return (*(counts[f] for f in range(1, noise.maximum_frequency + 1)), destroyed)


# The data providers' part


def encryption_calls(run: Mapping[str, Any]) -> list[tuple[str, Call, bytes]]:
    """(role, call, recorded sketch) for each data provider whose scalars the file has."""
    scalars = run.get("sketch_encryption_random_scalars") or []
    if not scalars:
        return []
    element = run.get("combined_public_key_element")
    elements = [element] if element else [key["element"] for key in run["duchy_keys"]]
    key = combine_public_keys([curve.decode(bytes.fromhex(each)) for each in elements])
    calls = []
    for number, (drawn, sketch, registers) in enumerate(
        zip(scalars, run["encrypted_sketches"], run["plain_sketches"], strict=True), start=1
    ):
        settings = {
            "registers": [_register(each) for each in registers],
            "public_key": key,
            "maximum_frequency": run["config"]["maximum_frequency"],
        }
        call = Call("encrypt_sketch", {}, settings, tuple(int(scalar, 16) for scalar in drawn))
        calls.append((f"edp{number}", call, bytes.fromhex(sketch)))
    return calls


def _register(values: Sequence[int]) -> Register:
    index, key, frequency = values
    return index, key, frequency


def with_data(call: Call, data: bytes) -> Call:
    return replace(call, inputs={"data": data})
