"""A measurement as its consumer asks for it, signed and encrypted (public API, sections 4 and 6)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from gristmill.consumer.keys import ConsumerKeys, DataProvider
from gristmill.trust.consent import nonce_hash
from gristmill.trust.hybrid import encrypt_message
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.requisition_spec_pb2 import RequisitionSpec

_EVENT_GROUP = "AAAAAAAAAAE"
"""ID of a data provider's only event group; event groups are not registered at the development kingdom."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """Differential-privacy parameters of one result."""

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class MeasurementRequest:
    """What to measure.

    `data_providers` are resource names. Without `frequency` only reach is measured. A share `sampling_width` of all
    people is sampled, from `sampling_start` on. `period` (from inclusive, to exclusive, with time zones) limits the
    events; None leaves the choice to the data providers.
    """

    data_providers: tuple[str, ...]
    reach: Privacy
    frequency: Privacy | None = None
    maximum_frequency: int = 10
    sampling_start: float = 0.0
    sampling_width: float = 1.0
    period: tuple[datetime, datetime] | None = None
    reference_id: str = ""


def build(request: MeasurementRequest, keys: ConsumerKeys) -> Measurement:
    """The signed measurement: a nonce for each data provider, known to it alone until it answers.

    Each requisition specification is signed, then encrypted to its data provider; the measurement specification names
    the nonces' hashes. Raises KeyError for a data provider that the keys do not know.
    """
    known = {provider.name: provider for provider in keys.data_providers}
    nonces = {name: secrets.randbits(64) or 1 for name in request.data_providers}
    measurement = Measurement(
        measurement_consumer_certificate=keys.certificate,
        measurement_spec=keys.signer.sign_message(_specification(request, keys, [nonces[name] for name in nonces])),
        measurement_reference_id=request.reference_id,
    )
    for name, nonce in nonces.items():
        measurement.data_providers.append(_entry(request, keys, known[name], nonce))
    return measurement


def _specification(request: MeasurementRequest, keys: ConsumerKeys, nonces: list[int]) -> MeasurementSpec:
    specification = MeasurementSpec(nonce_hashes=sorted(nonce_hash(nonce) for nonce in nonces))
    specification.measurement_public_key.Pack(keys.keyset.public_key)
    specification.vid_sampling_interval.start = request.sampling_start
    specification.vid_sampling_interval.width = request.sampling_width
    if request.frequency is None:
        reach = specification.reach.privacy_params
    else:
        reach = specification.reach_and_frequency.reach_privacy_params
        frequency = specification.reach_and_frequency.frequency_privacy_params
        frequency.epsilon, frequency.delta = request.frequency.epsilon, request.frequency.delta
        specification.reach_and_frequency.maximum_frequency = request.maximum_frequency
    reach.epsilon, reach.delta = request.reach.epsilon, request.reach.delta
    return specification


def _entry(
    request: MeasurementRequest, keys: ConsumerKeys, provider: DataProvider, nonce: int
) -> Measurement.DataProviderEntry:
    specification = RequisitionSpec(nonce=nonce)
    specification.measurement_public_key.Pack(keys.keyset.public_key)
    group = specification.events.event_groups.add(key=f"{provider.name}/eventGroups/{_EVENT_GROUP}")
    if request.period is not None:
        start, end = request.period
        group.value.collection_interval.start_time.FromDatetime(start)
        group.value.collection_interval.end_time.FromDatetime(end)
    entry = Measurement.DataProviderEntry(key=provider.name)
    entry.value.data_provider_certificate = provider.certificate
    entry.value.data_provider_public_key.Pack(provider.public_key)
    entry.value.encrypted_requisition_spec.CopyFrom(
        encrypt_message(keys.signer.sign_message(specification), provider.public_key)
    )
    entry.value.nonce_hash = nonce_hash(nonce)
    return entry
