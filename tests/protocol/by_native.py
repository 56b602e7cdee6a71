"""Carries out a call with the native core, file to file in a temporary directory."""

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gristmill import _native
from protocol.by_reference import DRAW_NOTHING
from protocol.calls import Call
from protocol.recorded import Outcome
from reference import curve


def run(
    call: Call, *, threads: int = 1, block: int | None = None, randomness: _native.Randomness | None = None
) -> Outcome:
    """Replays the call's own scalars and counts unless another source of randomness is given."""
    arguments = {name: _native_value(name, value) for name, value in call.parameters.items()}
    arguments |= {"threads": threads, "progress": _native.Progress(), "block": block}
    if call.function not in DRAW_NOTHING:
        scalars = [curve.minimal_bytes(scalar) for scalar in call.scalars]
        arguments["randomness"] = randomness or _native.Randomness.replay(scalars, list(call.counts))
    with TemporaryDirectory(prefix="gristmill-replay-") as directory:
        return _run(call, arguments, Path(directory))


def _run(call: Call, arguments: dict[str, Any], directory: Path) -> Outcome:
    output = directory / "output"
    files = {name: directory / name for name in call.inputs}
    for name, path in files.items():
        path.write_bytes(call.inputs[name])
    if call.function == "encrypt_sketch":
        _native.encrypt_sketch(arguments.pop("registers"), output=str(output), **arguments)
        return Outcome(output.read_bytes())
    paths: dict[str, Any] = {"inputs" if name == "data" else name: [str(path)] for name, path in files.items()}
    if call.function == "estimate_frequency":
        return Outcome(figures={"frequency_distribution": _native.llv2_estimate_frequency(**paths, **arguments)})
    result = getattr(_native, f"llv2_{call.function}")(**paths, output=str(output), **arguments)
    figures = {"reach": result.reach} if call.function == "estimate_reach" else {}
    return Outcome(output.read_bytes(), figures)


def _native_value(name: str, value: Any) -> Any:
    if name in ("public_key", "partial_public_key"):
        return None if value is None else curve.encode(value)
    if name == "secret_key":
        return curve.minimal_bytes(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return getattr(_native, type(value).__name__)(**fields)
    return value
