"""The computing stages of Liquid Legions v2 (LLv2 specification, sections 3 to 6), as calls of the native core.

Two of its pitfalls are mended here, compatibly: the partial key is always given, so that blind-histogram noise is
recognised in a reach measurement too (P1), and neither group of ignored noise is smaller than the number of sketches
plus one, so that it is ignored (P2).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from google.protobuf.message import DecodeError

from gristmill import _native as native
from gristmill.errors import ResultInvalid
from gristmill.mill import keys, results
from gristmill.mill.job import Actions, Found, Job
from gristmill.mill.liquid_legions import (
    combined_key,
    computing,
    element,
    mechanism,
    names,
    privacy,
    reach_baseline,
    secret_key,
    setup,
)
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.internal.duchy.protocol.liquid_legions_v2_encryption_methods_pb2 import (
    CompleteExecutionPhaseThreeAtAggregatorResponse,
)


def add_noise(job: Job, output: Path) -> Found:
    """Setup phase of a non-aggregator: its requisitions and its noise registers, shuffled."""
    return _setup(job, output, ())


def merge_and_add_noise(job: Job, output: Path) -> Found:
    """Setup phase of the aggregator: everybody's registers, its own requisitions and noise, shuffled."""
    return _setup(job, output, job.inputs)


def _setup(job: Job, output: Path, received: tuple[Path, ...]) -> Found:
    function = partial(native.llv2_setup, maximum_frequency=_maximum_frequency(job))
    return setup(job, output, received, function, group_floor=len(job.token.requisitions) + 1)


def blind_registers(job: Job, output: Path) -> Found:
    """Execution phase one of a non-aggregator."""
    with computing(job, "blinding registers", "registers") as progress:
        native.llv2_blind_registers(
            inputs=names(job.inputs),
            output=str(output),
            secret_key=secret_key(job).expose(),
            public_key=combined_key(job),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def join_registers(job: Job, output: Path) -> Found:
    """Execution phase one of the aggregator: registers of one index become one tuple."""
    with computing(job, "joining registers", "registers") as progress:
        native.llv2_join_registers(
            inputs=names(job.inputs),
            output=str(output),
            secret_key=secret_key(job).expose(),
            public_key=combined_key(job),
            sketches=len(job.token.requisitions),
            noise=_tuple_noise(job),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def decrypt_flags(job: Job, output: Path) -> Found:
    """Execution phase two of a non-aggregator."""
    with computing(job, "decrypting flags", "tuples") as progress:
        native.llv2_decrypt_flags(
            inputs=names(job.inputs),
            output=str(output),
            secret_key=secret_key(job).expose(),
            public_key=combined_key(job),
            partial_public_key=element(job.details.partially_combined_public_key, "the partially combined key"),
            noise=_tuple_noise(job),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def estimate_reach(job: Job, output: Path) -> Found:
    """Execution phase two of the aggregator: the reach, and the matrix of counts (empty with maximum frequency 1)."""
    parameters = job.details.parameters
    with computing(job, "estimating reach", "tuples") as progress:
        figures = native.llv2_estimate_reach(
            inputs=names(job.inputs),
            output=str(output),
            secret_key=secret_key(job).expose(),
            public_key=combined_key(job),
            maximum_frequency=_maximum_frequency(job),
            decay_rate=parameters.sketch_parameters.decay_rate,
            sketch_size=parameters.sketch_parameters.size,
            sampling_width=job.measurement_spec().vid_sampling_interval.width,
            reach_baseline=reach_baseline(job),
            noise=_tuple_noise(job),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found(reach=figures.reach)


def decrypt_counts(job: Job, output: Path) -> Found:
    """Execution phase three of a non-aggregator."""
    with computing(job, "decrypting counts", "ciphertexts") as progress:
        native.llv2_decrypt_counts(
            inputs=names(job.inputs),
            output=str(output),
            secret_key=secret_key(job).expose(),
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
            mechanism=mechanism(job),
            contributors=len(job.seat.ring),
            privacy=privacy(noise.frequency_noise_config),
        )
    with computing(job, "estimating frequencies", "ciphertexts") as progress:
        distribution = native.llv2_estimate_frequency(
            inputs=names(job.inputs),
            secret_key=secret_key(job).expose(),
            maximum_frequency=_maximum_frequency(job),
            baseline=baseline,
            threads=job.services.threads,
            progress=progress,
        )
    response = CompleteExecutionPhaseThreeAtAggregatorResponse(frequency_distribution=distribution)
    output.write_bytes(response.SerializeToString(deterministic=True))
    return Found()


def result(job: Job, output: Path, reach: int | None) -> Measurement.Result:
    """The reach, and the distribution unless reach alone was asked for."""
    found = results.of_reach(reach, job.protocol_member)
    maximum_frequency = _maximum_frequency(job)
    if maximum_frequency > 1:
        results.add_frequency(found, _distribution(output), maximum_frequency, job.protocol_member)
    return found


def _distribution(output: Path) -> Mapping[int, float]:
    try:
        response = CompleteExecutionPhaseThreeAtAggregatorResponse.FromString(output.read_bytes())
    except DecodeError:
        raise ResultInvalid("the kept output of execution phase three is no distribution") from None
    return dict(response.frequency_distribution)


def _maximum_frequency(job: Job) -> int:
    """Unset means 1: reach alone."""
    return max(1, int(job.details.parameters.maximum_frequency))


def _tuple_noise(job: Job) -> native.TupleNoise | None:
    noise = job.details.parameters.noise
    if _maximum_frequency(job) == 1 or not noise.HasField("frequency_noise_config"):
        return None
    return native.TupleNoise(
        mechanism=mechanism(job),
        contributors=len(job.seat.ring),
        maximum_frequency=_maximum_frequency(job),
        frequency=privacy(noise.frequency_noise_config),
    )


ACTIONS = Actions(
    acts=keys.ACTS,
    computes={
        "add_noise": add_noise,
        "merge_and_add_noise": merge_and_add_noise,
        "blind_registers": blind_registers,
        "join_registers": join_registers,
        "decrypt_flags": decrypt_flags,
        "estimate_reach": estimate_reach,
        "decrypt_counts": decrypt_counts,
        "estimate_frequency": estimate_frequency,
    },
    result=result,
    find_reach=frozenset({"estimate_reach"}),
)
