"""Carries out a call with the native core, file to file in a temporary directory."""

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gristmill import _native
from protocol import shares
from protocol.by_reference import draws_nothing
from protocol.calls import Call
from protocol.recorded import Outcome
from reference import curve
from reference.el_gamal import CIPHERTEXT_BYTES, blocks


def run(
    call: Call, *, threads: int = 1, block: int | None = None, randomness: _native.Randomness | None = None
) -> Outcome:
    """Replays the call's own scalars and counts unless another source of randomness is given."""
    if call.protocol == shares.PROTOCOL:
        return shares.by_native(call, threads=threads, randomness=randomness)
    arguments = {name: _native_value(name, value) for name, value in call.parameters.items()}
    arguments |= {"threads": threads, "progress": _native.Progress(), "block": block}
    if not draws_nothing(call):
        scalars = [curve.minimal_bytes(scalar) for scalar in call.scalars]
        arguments["randomness"] = randomness or _native.Randomness.replay(scalars, list(call.counts))
    with TemporaryDirectory(prefix="gristmill-replay-") as directory:
        return _run(call, arguments, Path(directory))


def _run(call: Call, arguments: dict[str, Any], directory: Path) -> Outcome:
    output = directory / "output"
    paths: dict[str, Any] = {}
    for name, contents in _files(call).items():
        paths[name] = [str(directory / f"{name}{number}") for number in range(len(contents))]
        for path, content in zip(paths[name], contents, strict=True):
            Path(path).write_bytes(content)
    match call.protocol, call.function:
        case "llv2", "encrypt_sketch":
            _native.encrypt_sketch(arguments.pop("registers"), output=str(output), **arguments)
        case "reach_only", "encrypt_sketch":
            _native.encrypt_reach_only_sketch(arguments.pop("registers"), output=str(output), **arguments)
        case "llv2", "estimate_frequency":
            return Outcome(figures={"frequency_distribution": _native.llv2_estimate_frequency(**paths, **arguments)})
        case "reach_only", "estimate_reach":
            found = _native.reach_only_estimate_reach(**paths, spill_folder=str(directory), **arguments)
            return Outcome(figures={"reach": found.reach})
        case _:
            result = getattr(_native, f"{call.protocol}_{call.function}")(**paths, output=str(output), **arguments)
            if call.function == "estimate_reach":
                return Outcome(output.read_bytes(), {"reach": result.reach})
    return Outcome(output.read_bytes())


def _files(call: Call) -> dict[str, list[bytes]]:
    """What the files of each argument contain."""
    if call.protocol != "reach_only" or call.function == "encrypt_sketch":
        return {"inputs" if name == "data" else name: [content] for name, content in call.inputs.items()}
    registers, excessive_noise = call.inputs["registers"], call.inputs["excessive_noise"]
    if call.function != "setup":
        return {"inputs": [registers + excessive_noise]}
    # The request does not tell whose registers they are, nor does the output; every sender gets some.
    ends, dealt = blocks(excessive_noise, CIPHERTEXT_BYTES), blocks(registers, CIPHERTEXT_BYTES)
    own, *others = (b"".join(dealt[number :: len(ends) + 1]) for number in range(len(ends) + 1))
    return {"own": [own], "received": [other + end for other, end in zip(others, ends, strict=True)]}


def _native_value(name: str, value: Any) -> Any:
    if name in ("public_key", "partial_public_key"):
        return None if value is None else curve.encode(value)
    if name == "secret_key":
        return curve.minimal_bytes(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return getattr(_native, type(value).__name__)(**fields)
    return value
