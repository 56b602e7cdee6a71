"""The result: put together, checked, signed, encrypted to the measurement consumer, handed to the kingdom."""

from __future__ import annotations

import math
from collections.abc import Mapping

from google.protobuf.message import DecodeError

from gristmill.errors import BadInput, RecordIncomplete, ResultInvalid
from gristmill.mill.job import Job
from gristmill.trust import hybrid
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.system.v1alpha.computations_service_pb2 import SetComputationResultRequest

TOLERANCE = 1e-6
"""By how much the shares of a distribution may miss 1, for rounding."""


def deliver(job: Job, result: Measurement.Result) -> None:
    """Hand the result in."""
    job.activity.begin("delivering the result")
    serialized_key, key = _consumer_key(job)
    signed = job.services.signer.sign_message(result)
    job.claim.check()
    job.services.kingdom.set_result(
        SetComputationResultRequest(
            name=f"computations/{job.claim.computation}",
            aggregator_certificate=job.services.certificate,
            result_public_key=serialized_key,
            encrypted_result=hybrid.encrypt(signed.SerializeToString(deterministic=True), key),
            public_api_version=job.token.computation_details.kingdom_computation.public_api_version or "v2alpha",
        ),
        job.activity,
    )


def of_reach(reach: int | None, methodology: str) -> Measurement.Result:
    """A result with this reach, by this methodology. ResultInvalid for a figure that cannot be."""
    if reach is None:
        raise RecordIncomplete("the reach that was found was not kept")
    if reach < 0:
        raise ResultInvalid(f"the reach is negative: {reach}")
    result = Measurement.Result(reach=Measurement.Result.Reach(value=reach))
    getattr(result.reach, methodology).SetInParent()
    return result


def add_frequency(
    result: Measurement.Result, distribution: Mapping[int, float], maximum_frequency: int, methodology: str
) -> None:
    """Put a distribution into a result. ResultInvalid for figures that cannot be."""
    if not all(1 <= count <= maximum_frequency for count in distribution):
        raise ResultInvalid(f"the distribution names frequencies outside 1 to {maximum_frequency}")
    if not all(0.0 <= share <= 1.0 + TOLERANCE for share in distribution.values()):
        raise ResultInvalid("the distribution has shares outside 0 to 1")
    if not abs(math.fsum(distribution.values()) - 1.0) <= TOLERANCE:
        raise ResultInvalid(f"the distribution sums to {math.fsum(distribution.values())}, not to 1")
    result.frequency.relative_frequency_distribution.update(distribution)
    getattr(result.frequency, methodology).SetInParent()


def _consumer_key(job: Job) -> tuple[bytes, EncryptionPublicKey]:
    """The measurement consumer's key, serialized as it was signed, and parsed."""
    spec = job.measurement_spec()
    serialized = spec.measurement_public_key.value or spec.serialized_measurement_public_key
    if not serialized:
        copy = job.token.computation_details.kingdom_computation.measurement_public_key
        serialized = EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET, data=copy.data).SerializeToString()
    try:
        return serialized, EncryptionPublicKey.FromString(serialized)
    except DecodeError:
        raise BadInput("the measurement consumer's key is no EncryptionPublicKey") from None
