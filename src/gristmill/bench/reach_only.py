"""The stages of a reach-only measurement among three duchies, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gristmill import _native as native
from gristmill.bench.stages import (
    AGGREGATOR,
    DUCHIES,
    EDP,
    EXECUTION_AGGREGATOR,
    EXECUTION_WORKER,
    SETUP,
    Call,
    Size,
)


def calls(size: Size) -> Iterator[Call]:
    """All calls of a measurement with fresh keys; names of files are relative."""
    pairs = [native.generate_key_pair() for _ in range(DUCHIES)]
    public = {"public_key": native.combine_public_keys([element for _, element in pairs]).hex()}
    threads = {"threads": size.threads}
    noise = size.noise.registers(size.providers, group_floor=1) if size.noise else None

    def call(stage: str, function: str, **arguments: Any) -> Call:
        return Call(stage, function, threads | arguments)

    for provider in range(size.providers):
        sketch = {"provider": provider, "registers": size.registers, "maximum_frequency": 1}
        yield call(EDP, "encrypt_reach_only_sketch", sketch=sketch, output=f"edp{provider}", **public)

    for duchy in range(DUCHIES):
        own = [f"edp{provider}" for provider in range(duchy, size.providers, DUCHIES)]
        received = [f"setup{worker}" for worker in range(AGGREGATOR)] if duchy == AGGREGATOR else []
        yield call(SETUP, "reach_only_setup", own=own, received=received, output=f"setup{duchy}", noise=noise, **public)

    given = [f"setup{AGGREGATOR}"]
    for worker in range(AGGREGATOR):
        secret, output = pairs[worker][0].hex(), f"execution{worker}"
        yield call(EXECUTION_WORKER, "reach_only_blind_registers", inputs=given, output=output, secret_key=secret)
        given = [output]
    secret = pairs[AGGREGATOR][0].hex()
    named: dict[str, Any] = {"inputs": given, "spill_folder": ".", "secret_key": secret, "noise": noise}
    yield call(EXECUTION_AGGREGATOR, "reach_only_estimate_reach", **named, **size.estimate())
