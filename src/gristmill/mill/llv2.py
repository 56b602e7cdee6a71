"""The computing stages of Liquid Legions v2 (LLv2 specification, sections 3 to 6), as calls of the native core.

Two of its pitfalls are mended here, compatibly: the partial key is always given, so that blind-histogram noise is
recognised in a reach measurement too (P1), and neither group of ignored noise is smaller than the number of sketches
plus one, so that it is ignored (P2).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from gristmill import _native as native
from gristmill.errors import BadInput, RecordIncomplete
from gristmill.mill.job import Found, Job
from gristmill.secret import Secret
from wfa.measurement.internal.duchy.crypto_pb2 import ElGamalPublicKey
from wfa.measurement.internal.duchy.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.protocol.liquid_legions_v2_encryption_methods_pb2 import (
    CompleteExecutionPhaseThreeAtAggregatorResponse,
)

_MECHANISMS = {
    NoiseMechanism.NOISE_MECHANISM_UNSPECIFIED: "GEOMETRIC",
    NoiseMechanism.GEOMETRIC: "GEOMETRIC",
    NoiseMechanism.DISCRETE_GAUSSIAN: "DISCRETE_GAUSSIAN",
}


def add_noise(job: Job, output: Path) -> Found:
    """Setup phase of a non-aggregator: its requisitions and its noise registers, shuffled."""
    return _setup(job, output, ())


def merge_and_add_noise(job: Job, output: Path) -> Found:
    """Setup phase of the aggregator: everybody's registers, its own requisitions and noise, shuffled."""
    return _setup(job, output, job.inputs)


def _setup(job: Job, output: Path, received: tuple[Path, ...]) -> Found:
    randomness = native.Randomness.committed()
    noise = job.details.parameters.noise
    sketches = len(job.token.requisitions)
    registers = None
    if noise.HasField("reach_noise_config"):
        config = noise.reach_noise_config
        registers = native.RegisterNoise(
            mechanism=_mechanism(job),
            contributors=len(job.seat.ring),
            sketches=sketches,
            blind_histogram=_privacy(config.blind_histogram_noise),
            publisher=_privacy(config.noise_for_publisher_noise),
            reach=_privacy(config.global_reach_dp_noise),
            group_floor=sketches + 1,
        )
    with _computing(job, "adding noise", "registers") as progress:
        native.llv2_setup(
            own=_names(job.requisitions),
            received=_names(received),
            output=str(output),
            public_key=_combined_key(job),
            maximum_frequency=job.maximum_frequency,
            noise=registers,
            randomness=randomness,
            threads=job.services.threads,
            progress=progress,
        )
    return Found(commitment=randomness.commitment or b"")


def blind_registers(job: Job, output: Path) -> Found:
    """Execution phase one of a non-aggregator."""
    with _computing(job, "blinding registers", "registers") as progress:
        native.llv2_blind_registers(
            inputs=_names(job.inputs),
            output=str(output),
            secret_key=_secret_key(job).expose(),
            public_key=_combined_key(job),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def join_registers(job: Job, output: Path) -> Found:
    """Execution phase one of the aggregator: registers of one index become one tuple."""
    with _computing(job, "joining registers", "registers") as progress:
        native.llv2_join_registers(
            inputs=_names(job.inputs),
            output=str(output),
            secret_key=_secret_key(job).expose(),
            public_key=_combined_key(job),
            sketches=len(job.token.requisitions),
            noise=_tuple_noise(job),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def decrypt_flags(job: Job, output: Path) -> Found:
    """Execution phase two of a non-aggregator."""
    with _computing(job, "decrypting flags", "tuples") as progress:
        native.llv2_decrypt_flags(
            inputs=_names(job.inputs),
            output=str(output),
            secret_key=_secret_key(job).expose(),
            public_key=_combined_key(job),
            partial_public_key=_element(job.details.partially_combined_public_key, "the partially combined key"),
            noise=_tuple_noise(job),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def estimate_reach(job: Job, output: Path) -> Found:
    """Execution phase two of the aggregator: the reach, and the matrix of counts (empty with maximum frequency 1)."""
    parameters = job.details.parameters
    baseline = None
    if parameters.noise.HasField("reach_noise_config"):
        baseline = native.Baseline(
            mechanism=_mechanism(job),
            contributors=len(job.seat.ring),
            privacy=_privacy(parameters.noise.reach_noise_config.global_reach_dp_noise),
        )
    with _computing(job, "estimating reach", "tuples") as progress:
        figures = native.llv2_estimate_reach(
            inputs=_names(job.inputs),
            output=str(output),
            secret_key=_secret_key(job).expose(),
            public_key=_combined_key(job),
            maximum_frequency=job.maximum_frequency,
            decay_rate=parameters.sketch_parameters.decay_rate,
            sketch_size=parameters.sketch_parameters.size,
            sampling_width=job.measurement_spec().vid_sampling_interval.width,
            reach_baseline=baseline,
            noise=_tuple_noise(job),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found(reach=figures.reach)


def decrypt_counts(job: Job, output: Path) -> Found:
    """Execution phase three of a non-aggregator."""
    with _computing(job, "decrypting counts", "ciphertexts") as progress:
        native.llv2_decrypt_counts(
            inputs=_names(job.inputs),
            output=str(output),
            secret_key=_secret_key(job).expose(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def estimate_frequency(job: Job, output: Path) -> Found:
    """Execution phase three of the aggregator: the distribution, kept in the form that the existing mill keeps."""
    noise = job.details.parameters.noise
    baseline = None
    if noise.HasField("frequency_noise_config"):
        baseline = native.Baseline(
            mechanism=_mechanism(job),
            contributors=len(job.seat.ring),
            privacy=_privacy(noise.frequency_noise_config),
        )
    with _computing(job, "estimating frequencies", "ciphertexts") as progress:
        distribution = native.llv2_estimate_frequency(
            inputs=_names(job.inputs),
            secret_key=_secret_key(job).expose(),
            maximum_frequency=job.maximum_frequency,
            baseline=baseline,
            threads=job.services.threads,
            progress=progress,
        )
    response = CompleteExecutionPhaseThreeAtAggregatorResponse(frequency_distribution=distribution)
    output.write_bytes(response.SerializeToString(deterministic=True))
    return Found()


def _computing(job: Job, activity: str, unit: str) -> AbstractContextManager[native.Progress]:
    """Around one native call: others see its progress, and can cancel it."""
    return job.activity.computing(native.Progress(), activity, unit)


def _names(paths: tuple[Path, ...]) -> list[str]:
    return [str(path) for path in paths]


def _mechanism(job: Job) -> str:
    mechanism = job.details.parameters.noise.noise_mechanism
    try:
        return _MECHANISMS[mechanism]
    except KeyError:
        raise BadInput(f"the noise mechanism {NoiseMechanism.Name(mechanism)} is not one of this protocol's") from None


def _privacy(parameters: DifferentialPrivacyParams) -> tuple[float, float]:
    return parameters.epsilon, parameters.delta


def _tuple_noise(job: Job) -> native.TupleNoise | None:
    noise = job.details.parameters.noise
    if job.maximum_frequency == 1 or not noise.HasField("frequency_noise_config"):
        return None
    return native.TupleNoise(
        mechanism=_mechanism(job),
        contributors=len(job.seat.ring),
        maximum_frequency=job.maximum_frequency,
        frequency=_privacy(noise.frequency_noise_config),
    )


def _element(key: ElGamalPublicKey, name: str) -> bytes:
    if not key.element:
        raise RecordIncomplete(f"the computation has no {name.removeprefix('the ')}; its confirmation is missing")
    return key.element


def _combined_key(job: Job) -> bytes:
    return _element(job.details.combined_public_key, "the combined key")


def _secret_key(job: Job) -> Secret:
    secret = Secret(job.details.local_elgamal_key.secret_key)
    if not secret:
        raise RecordIncomplete("the computation has no ElGamal secret of this duchy")
    return secret
