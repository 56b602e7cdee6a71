"""What a submitted measurement must satisfy before anybody is asked for data. Signatures are checked elsewhere."""

from __future__ import annotations

import math
import struct

from google.protobuf.message import DecodeError

from gristmill.errors import InvalidRequest
from gristmill.kingdom import names
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec

HASH_SIZE = 32
"""Bytes of a SHA-256 digest."""
LEAST_EPSILON = 1e-5
"""Duchies refuse a Liquid Legions computation with less."""
LEAST_EPSILON_OF_SHARES = 1e-6
"""The same for share shuffle."""
LARGEST_SPECIFICATION = 256 * 1024
"""Bytes of one data provider's encrypted specification; the whole request stays below gRPC's 4 MiB."""


def measurement_public_key(specification: MeasurementSpec) -> EncryptionPublicKey:
    """The key that the result will be encrypted to; raises InvalidRequest."""
    key = EncryptionPublicKey()
    try:
        if specification.HasField("measurement_public_key"):
            unpacked = specification.measurement_public_key.Unpack(key)
        else:
            unpacked = bool(key.ParseFromString(specification.serialized_measurement_public_key))
    except DecodeError:
        unpacked = False
    if not unpacked or key.format != EncryptionPublicKey.TINK_KEYSET or not key.data:
        raise InvalidRequest("measurement_spec.measurement_public_key is not an EncryptionPublicKey with a Tink keyset")
    return key


def check(measurement: Measurement, specification: MeasurementSpec, *, by_shares: bool = False) -> None:
    """Raise InvalidRequest, naming the field, if a data provider or a duchy would have to refuse it later.

    `by_shares`: it is to be carried out by share shuffle, whose sample of people may wrap around at 1.
    """
    measurement_public_key(specification)
    _check_interval(specification, may_wrap=by_shares)
    _check_privacy(specification, LEAST_EPSILON_OF_SHARES if by_shares else LEAST_EPSILON)
    _check_data_providers(measurement, specification)


def _check_interval(specification: MeasurementSpec, *, may_wrap: bool) -> None:
    interval = specification.vid_sampling_interval
    if not (math.isfinite(interval.start) and 0 <= interval.start < 1):
        raise InvalidRequest("vid_sampling_interval.start must lie in [0, 1)")
    if not 0 < interval.width <= 1:
        raise InvalidRequest("vid_sampling_interval.width must lie in (0, 1]")
    if (
        not may_wrap and _single(interval.start + interval.width) > 1
    ):  # both are single precision: 0.6 + 0.4 exceeds 1 in double
        raise InvalidRequest("vid_sampling_interval.start + width must not exceed 1 for Liquid Legions")


def _single(value: float) -> float:
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


def _check_privacy(specification: MeasurementSpec, least_epsilon: float) -> None:
    kind = specification.WhichOneof("measurement_type")
    if kind == "reach":
        _check_parameters(specification.reach.privacy_params, "reach.privacy_params", least_epsilon)
    elif kind == "reach_and_frequency":
        frequency = specification.reach_and_frequency
        for name in ("reach_privacy_params", "frequency_privacy_params"):
            _check_parameters(getattr(frequency, name), f"reach_and_frequency.{name}", least_epsilon)
        if frequency.maximum_frequency <= 1:
            raise InvalidRequest("reach_and_frequency.maximum_frequency must be greater than 1")


def _check_parameters(parameters: DifferentialPrivacyParams, field: str, least_epsilon: float) -> None:
    """Stricter than the existing kingdom, which takes any epsilon > 0 and delta = 0: every duchy refuses such a
    computation when it meets it, and the measurement fails with a message about a duchy. Here its author is told."""
    if not (math.isfinite(parameters.epsilon) and parameters.epsilon >= least_epsilon):
        raise InvalidRequest(f"{field}.epsilon must be at least {least_epsilon}")
    if not 0 < parameters.delta <= 1:
        raise InvalidRequest(f"{field}.delta must lie in (0, 1]", cure="The duchies' noise needs a positive delta.")


def _check_data_providers(measurement: Measurement, specification: MeasurementSpec) -> None:
    entries = measurement.data_providers
    if not entries:
        raise InvalidRequest("data_providers is empty")
    if len({entry.key for entry in entries}) != len(entries):
        raise InvalidRequest("data_providers names one data provider twice")
    for entry in entries:
        _check_entry(entry)
    hashes = [entry.value.nonce_hash for entry in entries]
    if len(set(hashes)) != len(hashes):
        raise InvalidRequest("two data providers have the same nonce_hash", cure="Draw a nonce for each data provider.")
    if sorted(hashes) != sorted(specification.nonce_hashes):
        raise InvalidRequest("measurement_spec.nonce_hashes are not those of data_providers")


def _check_entry(entry: Measurement.DataProviderEntry) -> None:
    names.require_data_provider(entry.key)
    value = entry.value
    owner, _ = names.parse_certificate(value.data_provider_certificate)
    if owner != entry.key:
        raise InvalidRequest(f"data_provider_certificate of {entry.key} belongs to {owner}")
    if len(value.nonce_hash) != HASH_SIZE:
        raise InvalidRequest(f"nonce_hash of {entry.key} is not a SHA-256 digest")
    if not value.encrypted_requisition_spec.ciphertext:
        raise InvalidRequest(f"encrypted_requisition_spec of {entry.key} is empty")
    if len(value.encrypted_requisition_spec.ciphertext) > LARGEST_SPECIFICATION:
        raise InvalidRequest(f"encrypted_requisition_spec of {entry.key} exceeds {LARGEST_SPECIFICATION} bytes")
    key = EncryptionPublicKey()
    try:
        unpacked = value.data_provider_public_key.Unpack(key)
    except DecodeError:
        unpacked = False
    if not unpacked or not key.data:
        raise InvalidRequest(f"data_provider_public_key of {entry.key} is not an EncryptionPublicKey")
