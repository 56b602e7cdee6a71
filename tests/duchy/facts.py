"""What the tests' kingdom says, and the bytes that data providers and peers send."""

from __future__ import annotations

import base64
import hashlib

from gristmill.trust.consent import nonce_hash, serialize_el_gamal_key
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.computations_service_pb2 import StreamActiveComputationsContinuationToken

ID = "LHdjUf0z6dc"
NONCES = (0x8123456789ABCDEF, 0x0FEDCBA987654321)
SPEC_HASHES = (b"\x01" * 32, b"\x02" * 32)
REQUISITIONS = ("AAAAAAAAAAE", "AAAAAAAAAAI")
DUCHIES = ("worker1", "worker2", "aggregator")


def spec(*, reach_only: bool = False) -> MeasurementSpec:
    built = MeasurementSpec(nonce_hashes=[nonce_hash(nonce) for nonce in NONCES])
    built.measurement_public_key.Pack(EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET, data=b"public"))
    built.vid_sampling_interval.width = 1.0
    if reach_only:
        built.reach.privacy_params.epsilon, built.reach.privacy_params.delta = 1.0, 1e-5
        return built
    asked = built.reach_and_frequency
    asked.maximum_frequency = 10
    for privacy in (asked.reach_privacy_params, asked.frequency_privacy_params):
        privacy.epsilon, privacy.delta = 1.0, 1e-5
    return built


def computation(
    state: int = Computation.PENDING_REQUISITION_PARAMS, *, computation_id: str = ID, reach_only: bool = False
) -> Computation:
    """As the kingdom says it: with keys and nonces once the requisitions are fulfilled."""
    protocol = "reach_only_liquid_legions_v2" if reach_only else "liquid_legions_v2"
    built = Computation(
        name=f"computations/{computation_id}",
        public_api_version="v2alpha",
        measurement_spec=spec(reach_only=reach_only).SerializeToString(deterministic=True),
        state=state,
    )
    config = getattr(built.mpc_protocol_config, protocol)
    config.sketch_params.decay_rate, config.sketch_params.max_size = 12.0, 1000
    config.elliptic_curve_id = 415
    config.noise_mechanism = Computation.MpcProtocolConfig.DISCRETE_GAUSSIAN
    for noise in (config.mpc_noise.blinded_histogram_noise, config.mpc_noise.publisher_noise):
        noise.epsilon, noise.delta = 1.0, 1.0
    keys_set = state not in (Computation.PENDING_REQUISITION_PARAMS, Computation.PENDING_REQUISITION_FULFILLMENT)
    for number, duchy in enumerate(DUCHIES):
        participant = built.computation_participants.add(name=f"computations/{computation_id}/participants/{duchy}")
        if keys_set:
            params = participant.requisition_params
            params.duchy_certificate_der = b"certificate of " + duchy.encode()
            key = getattr(params, protocol)
            key.el_gamal_public_key = serialize_el_gamal_key(element(number))
            key.el_gamal_public_key_signature = b"signature of " + duchy.encode()
    for requisition, spec_hash, nonce in zip(REQUISITIONS, SPEC_HASHES, NONCES, strict=True):
        built.requisitions.add(
            name=f"computations/{computation_id}/requisitions/{requisition}",
            requisition_spec_hash=spec_hash,
            nonce_hash=nonce_hash(nonce),
            nonce=nonce if keys_set else 0,
            fulfilling_computation_participant=f"computations/{computation_id}/participants/worker1"
            if keys_set
            else "",
        )
    return built


def element(number: int) -> bytes:
    return b"\x02" + hashlib.sha256(bytes([number])).digest()


def fingerprint(at: int = 0, *, reach_only: bool = False) -> bytes:
    serialized = spec(reach_only=reach_only).SerializeToString(deterministic=True)
    return hashlib.sha256(serialized + SPEC_HASHES[at]).digest()


def continuation_token(at: int) -> str:
    if not at:
        return ""
    position = StreamActiveComputationsContinuationToken(last_seen_external_computation_id=1)
    position.last_seen_update_time.seconds = at
    return base64.urlsafe_b64encode(position.SerializeToString()).decode().rstrip("=")
