"""A whole Liquid Legions measurement in one process, for tests: data providers, duchies in a ring, result.

How a call is carried out is the caller's choice: by the native code, by the reference, or by both, compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from gristmill import _native
from protocol import by_native, by_reference
from protocol.calls import Call
from protocol.recorded import Outcome
from reference import curve
from reference.curve import Affine
from reference.draws import Recording
from reference.el_gamal import CIPHERTEXT_BYTES
from reference.noise import Baseline, Privacy, RegisterNoise, TupleNoise
from reference.sketch import Register

CarryOut = Callable[[Call], Outcome]
Counts = Callable[[RegisterNoise | TupleNoise], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how. Noise is off where its privacy is None; `partial_key_given` False is pitfall P1.

    The reach-only protocol takes the maximum frequency and the group floor to be 1.
    """

    maximum_frequency: int = 1
    protocol: str = "llv2"
    decay_rate: float = 12.0
    sketch_size: int = 1000
    sampling_width: float = 1.0
    duchies: int = 3
    mechanism: str = "DISCRETE_GAUSSIAN"
    blind_and_publisher: Privacy = (1.0, 1.0)
    reach: Privacy | None = None
    frequency: Privacy | None = None
    group_floor: int = 0
    partial_key_given: bool = True
    keys: tuple[int, ...] = field(default=(1009, 1013, 1019, 1021, 1031))

    def register_noise(self, sketches: int) -> RegisterNoise | None:
        if self.reach is None:
            return None
        dp, floor = self.blind_and_publisher, 1 if self.protocol == "reach_only" else self.group_floor
        return RegisterNoise(self.mechanism, self.duchies, sketches, dp, dp, self.reach, floor)

    def tuple_noise(self) -> TupleNoise | None:
        if self.frequency is None or self.maximum_frequency < 2:
            return None
        return TupleNoise(self.mechanism, self.duchies, self.maximum_frequency, self.frequency)

    def reach_settings(self) -> dict[str, object]:
        """Parameters of the estimate."""
        return {
            "decay_rate": self.decay_rate,
            "sketch_size": self.sketch_size,
            "sampling_width": self.sampling_width,
            "reach_baseline": self.reach and Baseline(self.mechanism, self.duchies, self.reach),
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """The result, and the noise counts that the duchies drew, in the order in which they drew them."""

    reach: int
    distribution: Mapping[int, float]
    register_counts: list[Sequence[int]]
    tuple_counts: list[Sequence[int]]


def element(secret_key: int) -> Affine:
    point = curve.multiply_base(secret_key)
    assert point is not None
    return point


def no_counts(_: RegisterNoise | TupleNoise) -> Sequence[int]:
    """For a native source of randomness, which draws its own."""
    return ()


class _Measurement:
    """Carries out stages and keeps the noise counts that they drew."""

    def __init__(self, plan: Plan, carry_out: CarryOut, counts: Counts) -> None:
        self.plan, self.carry_out, self.counts = plan, carry_out, counts
        self.drawn: tuple[list[Sequence[int]], list[Sequence[int]]] = ([], [])
        self.keys = plan.keys[: plan.duchies]
        self.public_key = element(sum(self.keys))

    def stage(self, function: str, inputs: Mapping[str, bytes], **parameters: object) -> Outcome:
        noise = parameters.get("noise")
        given: Sequence[int] = ()
        if function in by_reference.TAKE_COUNTS and isinstance(noise, RegisterNoise | TupleNoise):
            given = self.counts(noise)
            self.drawn[isinstance(noise, TupleNoise)].append(given)
        return self.carry_out(Call(function, inputs, parameters, counts=tuple(given), protocol=self.plan.protocol))

    def measured(self, figures: Mapping[str, int], distribution: Mapping[int, float]) -> Measured:
        return Measured(figures["reach"], distribution, *self.drawn)


def measure(
    plan: Plan, sketches: Sequence[Sequence[Register]], carry_out: CarryOut, counts: Counts = no_counts
) -> Measured:
    """Runs all phases; data provider i uploads to duchy i modulo their number."""
    run = {"llv2": _llv2, "reach_only": _reach_only}[plan.protocol]
    return run(_Measurement(plan, carry_out, counts), sketches)


def _llv2(measurement: _Measurement, sketches: Sequence[Sequence[Register]]) -> Measured:
    plan, stage, public_key = measurement.plan, measurement.stage, measurement.public_key
    frequency = {"maximum_frequency": plan.maximum_frequency}
    uploads = [stage("encrypt_sketch", {}, registers=each, public_key=public_key, **frequency) for each in sketches]
    register_noise = plan.register_noise(len(sketches))
    vectors: list[bytes] = []
    for number in range(plan.duchies):
        own = b"".join(upload.output for upload in uploads[number :: plan.duchies])
        received = b"".join(vectors) if number == plan.duchies - 1 else b""
        inputs = {"own": own, "received": received}
        vectors.append(stage("setup", inputs, public_key=public_key, noise=register_noise, **frequency).output)

    *workers, aggregator = measurement.keys
    common = {"secret_key": aggregator, "public_key": public_key}
    data = vectors[-1]
    for key in workers:
        data = stage("blind_registers", {"data": data}, secret_key=key, public_key=public_key).output
    noise = plan.tuple_noise()
    data = stage("join_registers", {"data": data}, **common, sketches=len(sketches), noise=noise).output
    for number, key in enumerate(workers, start=1):
        partial = element(sum(measurement.keys[number:]) if plan.partial_key_given else 123457 + number)
        parameters = {"secret_key": key, "public_key": public_key, "partial_public_key": partial, "noise": noise}
        data = stage("decrypt_flags", {"data": data}, **parameters).output
    estimate = stage("estimate_reach", {"data": data}, **common, **frequency, **plan.reach_settings(), noise=noise)
    distribution: Mapping[int, float] = {}
    if plan.maximum_frequency > 1:
        data = estimate.output
        for key in workers:
            data = stage("decrypt_counts", {"data": data}, secret_key=key).output
        bucket = plan.frequency and Baseline(plan.mechanism, plan.duchies, plan.frequency)
        last = stage("estimate_frequency", {"data": data}, secret_key=aggregator, **frequency, baseline=bucket)
        distribution = last.figures["frequency_distribution"]
    return measurement.measured(estimate.figures, distribution)


def _reach_only(measurement: _Measurement, sketches: Sequence[Sequence[Register]]) -> Measured:
    plan, stage, public_key = measurement.plan, measurement.stage, measurement.public_key
    indexes = [[index for index, _, _ in sketch] for sketch in sketches]
    uploads = [stage("encrypt_sketch", {}, registers=each, public_key=public_key).output for each in indexes]
    noise = plan.register_noise(len(sketches))
    blobs: list[bytes] = []
    for number in range(plan.duchies):
        registers, ends = b"".join(uploads[number :: plan.duchies]), b""
        if number == plan.duchies - 1:
            registers += b"".join(blob[:-CIPHERTEXT_BYTES] for blob in blobs)
            ends = b"".join(blob[-CIPHERTEXT_BYTES:] for blob in blobs)
        inputs = {"registers": registers, "excessive_noise": ends}
        blobs.append(stage("setup", inputs, public_key=public_key, noise=noise).output)

    *workers, aggregator = measurement.keys
    blob = blobs[-1]
    for key in workers:
        blob = stage("blind_registers", _parts(blob), secret_key=key).output
    estimate = stage("estimate_reach", _parts(blob), secret_key=aggregator, **plan.reach_settings(), noise=noise)
    return measurement.measured(estimate.figures, {})


def _parts(blob: bytes) -> Mapping[str, bytes]:
    return {"registers": blob[:-CIPHERTEXT_BYTES], "excessive_noise": blob[-CIPHERTEXT_BYTES:]}


def natively(seed: str) -> CarryOut:
    """The native code with seeded randomness, noise counts included; every stage has its own seed."""
    seeds = Random(seed)

    def carry_out(call: Call) -> Outcome:
        return by_native.run(call, randomness=_native.Randomness.seeded(seeds.randbytes(32)))

    return carry_out


def by_both(seed: str) -> CarryOut:
    """Reference and native code with the same scalars and counts; AssertionError where they differ."""
    seeds = Random(seed)

    def carry_out(call: Call) -> Outcome:
        draws = Recording(seeds.getrandbits(256))
        expected = by_reference.run(call, draws)
        threads, block = seeds.choice([(1, None), (2, 1), (2, 5), (1, 16)])
        recorded = replace(call, scalars=tuple(draws.scalars))
        outcome = by_native.run(recorded, threads=threads, block=block)
        assert outcome == expected, f"{call.function} with {threads} threads and blocks of {block}"
        return outcome

    return carry_out
