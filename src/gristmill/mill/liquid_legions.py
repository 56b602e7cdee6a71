"""What the computing stages of both Liquid Legions protocols read from their job."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from gristmill import _native as native
from gristmill.errors import BadInput, RecordIncomplete
from gristmill.mill.job import Job
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
