"""What Liquid Legions asks of a data provider: a sketch, encrypted to all duchies' keys together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gristmill.edp.duchies import DuchyEntry
from gristmill.edp.refusal import Declined, Refusal
from gristmill.errors import ParticipationInvalid
from gristmill.trust.consent import P256_CURVE_ID, verify_el_gamal_key
from gristmill.trust.signatures import Signature, signed_bytes
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig

LEAST_DUCHIES = 3
"""Fewer could decrypt a sketch among themselves too easily: with two, each is the other's only check."""
_LARGEST_SKETCH = 100_000_000


@dataclass(frozen=True, slots=True)
class SketchParameters:
    """The sketch that the kingdom's protocol configuration asks for, and the consumer's sample of people.

    Without `sampling_indicator_size` registers have an index and nothing else, which is all that reach alone needs.
    """

    decay_rate: float
    size: int
    sampling_indicator_size: int | None
    sampling_start: float
    sampling_width: float
    maximum_frequency: int


@dataclass(frozen=True, slots=True)
class SketchTask:
    """A sketch to make, and the verified public elements that it is encrypted to. Any duchy takes it."""

    parameters: SketchParameters
    duchy_keys: tuple[bytes, ...]


def task(
    config: ProtocolConfig.LiquidLegionsV2,
    specification: MeasurementSpec,
    maximum_frequency: int,
    entries: Iterable[DuchyEntry],
) -> SketchTask:
    """What to make; raises Declined or ParticipationInvalid."""
    keys = config.sketch_params.sampling_indicator_size
    if keys <= 0:
        raise Declined(Refusal.SPEC_INVALID, "sampling_indicator_size is out of range")
    return SketchTask(
        _parameters(config, specification, keys, maximum_frequency),
        _duchy_keys((entry, entry.value.liquid_legions_v2.el_gamal_public_key) for entry in entries),
    )


def reach_only_task(
    config: ProtocolConfig.ReachOnlyLiquidLegionsV2, specification: MeasurementSpec, entries: Iterable[DuchyEntry]
) -> SketchTask:
    """What to make for reach alone; raises Declined or ParticipationInvalid."""
    if not specification.HasField("reach"):
        raise Declined(Refusal.SPEC_INVALID, "the protocol is reach-only, but more than reach is asked for")
    return SketchTask(
        _parameters(config, specification, None, 1),
        _duchy_keys((entry, entry.value.reach_only_liquid_legions_v2.el_gamal_public_key) for entry in entries),
    )


def _duchy_keys(keys: Iterable[tuple[DuchyEntry, SignedMessage]]) -> tuple[bytes, ...]:
    """The verified public element of each duchy, in the order of their IDs."""
    elements: dict[str, bytes] = {}
    for entry, signed in keys:
        signature = Signature(signed.signature, signed.signature_algorithm_oid)
        elements[entry.duchy] = verify_el_gamal_key(
            signed_bytes(signed), signature, entry.certificate_der, entry.root, duchy=entry.duchy
        )
    if len(elements) < LEAST_DUCHIES:
        raise ParticipationInvalid(f"only {len(elements)} duchies take part, and {LEAST_DUCHIES} are the least")
    return tuple(elements[duchy] for duchy in sorted(elements))


def _parameters(
    config: ProtocolConfig.LiquidLegionsV2 | ProtocolConfig.ReachOnlyLiquidLegionsV2,
    specification: MeasurementSpec,
    sampling_indicator_size: int | None,
    maximum_frequency: int,
) -> SketchParameters:
    sketch = config.sketch_params
    if config.elliptic_curve_id != P256_CURVE_ID:
        raise Declined(Refusal.UNFULFILLABLE, "this data provider knows only the curve P-256")
    if not (math.isfinite(sketch.decay_rate) and sketch.decay_rate > 0 and 0 < sketch.max_size <= _LARGEST_SKETCH):
        raise Declined(Refusal.SPEC_INVALID, "the sketch parameters are out of range")
    interval = specification.vid_sampling_interval
    return SketchParameters(
        decay_rate=sketch.decay_rate,
        size=sketch.max_size,
        sampling_indicator_size=sampling_indicator_size,
        sampling_start=interval.start,
        sampling_width=interval.width,
        maximum_frequency=maximum_frequency,
    )
