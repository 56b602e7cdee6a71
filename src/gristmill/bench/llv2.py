"""The stages of a Liquid Legions measurement among three duchies, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gristmill import _native as native
from gristmill.bench.stages import (
    AGGREGATOR,
    DUCHIES,
    EDP,
    PHASE_ONE_AGGREGATOR,
    PHASE_ONE_WORKER,
    PHASE_THREE_AGGREGATOR,
    PHASE_THREE_WORKER,
    PHASE_TWO_AGGREGATOR,
    PHASE_TWO_WORKER,
    SETUP,
    Call,
    Size,
)


def calls(size: Size) -> Iterator[Call]:
    """All calls of a measurement with fresh keys; names of files are relative."""
    pairs = [native.generate_key_pair() for _ in range(DUCHIES)]
    secrets, elements = [secret.hex() for secret, _ in pairs], [element for _, element in pairs]
    composite = native.combine_public_keys(elements).hex()
    public = {"public_key": composite}
    common = {"threads": size.threads}
    frequency = {"maximum_frequency": size.maximum_frequency}
    tuple_noise = size.noise.tuples(size.maximum_frequency) if size.noise else None

    def call(stage: str, function: str, **arguments: Any) -> Call:
        return Call(stage, function, common | arguments)

    for provider in range(size.providers):
        sketch = {"provider": provider, "registers": size.registers, **frequency}
        yield call(EDP, "encrypt_sketch", sketch=sketch, output=f"edp{provider}", **public, **frequency)

    for duchy in range(DUCHIES):
        own = [f"edp{provider}" for provider in range(duchy, size.providers, DUCHIES)]
        received = [f"setup{worker}" for worker in range(AGGREGATOR)] if duchy == AGGREGATOR else []
        named: dict[str, Any] = {"own": own, "received": received, "output": f"setup{duchy}", **public, **frequency}
        named["noise"] = size.noise.registers(size.providers) if size.noise else None
        yield call(SETUP, "llv2_setup", **named)

    given = [f"setup{AGGREGATOR}"]
    for worker in range(AGGREGATOR):
        named = {"inputs": given, "output": f"one{worker}", "secret_key": secrets[worker], **public}
        yield call(PHASE_ONE_WORKER, "llv2_blind_registers", **named)
        given = [named["output"]]
    secret = {"secret_key": secrets[AGGREGATOR]}
    named = {"inputs": given, "output": "tuples", "sketches": size.providers, "noise": tuple_noise, **secret, **public}
    yield call(PHASE_ONE_AGGREGATOR, "llv2_join_registers", **named)

    given = ["tuples"]
    for worker in range(AGGREGATOR):
        named = {"inputs": given, "output": f"two{worker}", "secret_key": secrets[worker], **public}
        named |= {"partial_public_key": native.combine_public_keys(elements[worker + 1 :]).hex(), "noise": tuple_noise}
        yield call(PHASE_TWO_WORKER, "llv2_decrypt_flags", **named)
        given = [named["output"]]
    named = {"inputs": given, "output": "matrix", "noise": tuple_noise, **secret, **public, **frequency}
    named |= size.estimate()
    yield call(PHASE_TWO_AGGREGATOR, "llv2_estimate_reach", **named)

    if size.maximum_frequency == 1:  # reach alone ends here
        return
    given = ["matrix"]
    for worker in range(AGGREGATOR):
        named = {"inputs": given, "output": f"three{worker}", "secret_key": secrets[worker]}
        yield call(PHASE_THREE_WORKER, "llv2_decrypt_counts", **named)
        given = [named["output"]]
    named = {"inputs": given, "baseline": size.noise.baseline(size.noise.frequency) if size.noise else None, **secret}
    yield call(PHASE_THREE_AGGREGATOR, "llv2_estimate_frequency", **named, **frequency)
