"""The setup phase of both Liquid Legions protocols, and what their computing stages read from their job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from gristmill import _native as native
from gristmill.errors import BadInput, RecordIncomplete
from gristmill.mill.job import Found, Job
from gristmill.secret import Secret
from wfa.measurement.internal.duchy.crypto_pb2 import ElGamalPublicKey
from wfa.measurement.internal.duchy.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism

_MECHANISMS = {
    NoiseMechanism.NOISE_MECHANISM_UNSPECIFIED: "GEOMETRIC",
    NoiseMechanism.GEOMETRIC: "GEOMETRIC",
    NoiseMechanism.DISCRETE_GAUSSIAN: "DISCRETE_GAUSSIAN",
}


def computing(job: Job, activity: str, unit: str) -> AbstractContextManager[native.Progress]:
    """Around one native call: others see its progress, and can cancel it."""
    return job.activity.computing(native.Progress(), activity, unit)


def names(paths: tuple[Path, ...]) -> list[str]:
    return [str(path) for path in paths]


def mechanism(job: Job) -> str:
    mechanism = job.details.parameters.noise.noise_mechanism
    try:
        return _MECHANISMS[mechanism]
    except KeyError:
        raise BadInput(f"the noise mechanism {NoiseMechanism.Name(mechanism)} is not one of this protocol's") from None


def privacy(parameters: DifferentialPrivacyParams) -> tuple[float, float]:
    return parameters.epsilon, parameters.delta


def register_noise(job: Job, *, group_floor: int) -> native.RegisterNoise | None:
    """What each duchy adds in its setup phase; none if the computation is configured without noise."""
    noise = job.details.parameters.noise
    if not noise.HasField("reach_noise_config"):
        return None
    config = noise.reach_noise_config
    return native.RegisterNoise(
        mechanism=mechanism(job),
        contributors=len(job.seat.ring),
        sketches=len(job.token.requisitions),
        blind_histogram=privacy(config.blind_histogram_noise),
        publisher=privacy(config.noise_for_publisher_noise),
        reach=privacy(config.global_reach_dp_noise),
        group_floor=group_floor,
    )


def reach_baseline(job: Job) -> native.Baseline | None:
    """The noise registers that all duchies together are expected to have added for the reach's privacy."""
    noise = job.details.parameters.noise
    if not noise.HasField("reach_noise_config"):
        return None
    return native.Baseline(
        mechanism=mechanism(job),
        contributors=len(job.seat.ring),
        privacy=privacy(noise.reach_noise_config.global_reach_dp_noise),
    )


def element(key: ElGamalPublicKey, name: str) -> bytes:
    if not key.element:
        raise RecordIncomplete(f"the computation has no {name.removeprefix('the ')}; its confirmation is missing")
    return key.element


def combined_key(job: Job) -> bytes:
    return element(job.details.combined_public_key, "the combined key")


def secret_key(job: Job) -> Secret:
    secret = Secret(job.details.local_elgamal_key.secret_key)
    if not secret:
        raise RecordIncomplete("the computation has no ElGamal secret of this duchy")
    return secret


def setup(
    job: Job, output: Path, received: tuple[Path, ...], function: Callable[..., int], *, group_floor: int
) -> Found:
    """Own requisitions, what was received and noise, shuffled by the protocol's native `function`."""
    randomness = native.Randomness.committed()
    with computing(job, "adding noise", "registers") as progress:
        function(
            own=names(job.requisitions),
            received=names(received),
            output=str(output),
            public_key=combined_key(job),
            noise=register_noise(job, group_floor=group_floor),
            randomness=randomness,
            threads=job.services.threads,
            progress=progress,
        )
    return Found(commitment=randomness.commitment or b"")
