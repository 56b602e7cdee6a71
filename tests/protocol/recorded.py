"""Run files of the original: reading one, its requests and its responses."""

import importlib
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PACKAGE = "wfa.measurement.internal.duchy.protocol."
_MESSAGES = {
    "llv2": "liquid_legions_v2_encryption_methods_pb2",
    "reach_only": "reach_only_liquid_legions_v2_encryption_methods_pb2",
    "share_shuffle": "honest_majority_share_shuffle_methods_pb2",
}


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

    @property
    def protocol(self) -> str:
        """As `Call` names it."""
        return protocol_of(self.request_type)


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
    if not isinstance(run, dict):
        raise UnreadableError(f"{path} is not a run file: it is not an object")
    stages = run.get("stages")
    if not isinstance(stages, list) or not stages or not all(isinstance(entry, dict) for entry in stages):
        raise UnreadableError(f"{path} is not a run file: it has no stages")
    if not isinstance(run.get("result", {}), dict):
        raise UnreadableError(f"{path} is not a run file: its result is not an object")
    return run


def protocol_of(request_type: str) -> str:
    if request_type.startswith(("CompleteShuffle", "CompleteAggregation")):
        return "share_shuffle"
    return "reach_only" if request_type.startswith("CompleteReachOnly") else "llv2"


def parse_stage(entry: Mapping[str, Any]) -> Stage:
    """Parses a member of `stages`. Raises SkippedError for protocols without stage functions."""
    request_type, response_type = (
        str(entry[name]).removeprefix(_PACKAGE) for name in ("request_type", "response_type")
    )
    messages = importlib.import_module(_PACKAGE + _MESSAGES[protocol_of(request_type)])
    if not hasattr(messages, request_type) or not hasattr(messages, response_type):
        raise SkippedError(f"there is no message {request_type}")
    return Stage(
        stage=str(entry["stage"]),
        role=str(entry["role"]),
        request_type=request_type,
        request=getattr(messages, request_type).FromString(bytes.fromhex(entry["request"])),
        response=getattr(messages, response_type).FromString(bytes.fromhex(entry["response"])),
        scalars=tuple(int(scalar, 16) for scalar in entry.get("random_scalars", ())),
    )


def expected(stage: Stage) -> Outcome:
    """The recorded response, without its timing."""
    response, output, figures = stage.response, b"", {}
    for descriptor in response.DESCRIPTOR.fields:
        if descriptor.name in ("combined_register_vector", "flag_count_tuples", "same_key_aggregator_matrix"):
            output = getattr(response, descriptor.name)
        elif descriptor.name == "serialized_excessive_noise_ciphertext":  # after the registers
            output += response.serialized_excessive_noise_ciphertext
        elif descriptor.name == "reach":
            figures["reach"] = response.reach
        elif descriptor.name == "frequency_distribution":
            figures["frequency_distribution"] = dict(response.frequency_distribution)
    return Outcome(output, figures)
