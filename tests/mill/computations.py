"""Tokens of small computations in various stages, with real keys and sketches."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from gristmill import _native as native
from gristmill.trust import hybrid
from mill import pki
from mill.conftest import World
from mill.wires import LLV2
from wfa.measurement.api.v2alpha.crypto_pb2 import ElGamalPublicKey as PublicElGamalKey
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import INPUT, OUTPUT
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import (
    ComputationStageBlobMetadata,
    ComputationToken,
    RequisitionMetadata,
)
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import AGGREGATOR, NON_AGGREGATOR
from wfa.measurement.internal.duchy.crypto_pb2 import ElGamalKeyPair, ElGamalPublicKey
from wfa.measurement.internal.duchy.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionDetails

GENERATOR = bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
RING = ("worker1", "worker2", "aggregator")
INITIALIZATION, CONFIRMATION, SETUP, ONE, THREE = 1, 3, 6, 8, 12
REGISTER = 198


@dataclass(frozen=True)
class Keys:
    pairs: dict[str, tuple[bytes, bytes]]
    combined: bytes
    consumer: hybrid.PrivateKeyset


def make_keys() -> Keys:
    pairs = {duchy: native.generate_key_pair() for duchy in RING}
    combined = native.combine_public_keys([element for _, element in pairs.values()])
    return Keys(pairs, combined, hybrid.PrivateKeyset.generate())


def token(world: World, keys: Keys, number: int, *, name: str = "LHdjUf0z6dc", attempt: int = 1) -> ComputationToken:
    """A computation of two data providers, the first of whom fulfilled at worker1, in the stage with this number."""
    nonces = [secrets.randbits(63) for _ in range(2)]
    spec = MeasurementSpec(nonce_hashes=[hashlib.sha256(nonce.to_bytes(8, "big")).digest() for nonce in nonces])
    spec.vid_sampling_interval.width = 1.0
    spec.measurement_public_key.Pack(keys.consumer.public_key)
    details = ComputationDetails(
        kingdom_computation=ComputationDetails.KingdomComputationDetails(
            public_api_version="v2alpha", measurement_spec=spec.SerializeToString(), participant_count=3
        )
    )
    llv2 = getattr(details, world.wire.member)
    llv2.role = AGGREGATOR if world.duchy == "aggregator" else NON_AGGREGATOR
    if world.wire is LLV2:
        llv2.parameters.maximum_frequency = 3
    llv2.parameters.elliptic_curve_id = 415
    llv2.parameters.sketch_parameters.decay_rate = 12.0
    llv2.parameters.sketch_parameters.size = 1000
    noise = llv2.parameters.noise
    noise.noise_mechanism = NoiseMechanism.DISCRETE_GAUSSIAN
    for params in (
        noise.reach_noise_config.blind_histogram_noise,
        noise.reach_noise_config.noise_for_publisher_noise,
        noise.reach_noise_config.global_reach_dp_noise,
        *([noise.frequency_noise_config] if world.wire is LLV2 else []),
    ):
        params.CopyFrom(DifferentialPrivacyParams(epsilon=10.0, delta=0.5))
    if number > INITIALIZATION:
        secret, element = keys.pairs[world.duchy]
        llv2.local_elgamal_key.CopyFrom(ElGamalKeyPair(secret_key=secret, public_key=public_key(element)))
        for duchy in RING:
            add_participant(llv2, world.identities[duchy], keys.pairs[duchy][1])
    if number > CONFIRMATION:
        llv2.combined_public_key.CopyFrom(public_key(keys.combined))
        llv2.partially_combined_public_key.CopyFrom(public_key(keys.combined))
    return ComputationToken(
        local_computation_id=-7,
        global_computation_id=name,
        computation_stage=world.wire.stage(number),
        attempt=attempt,
        computation_details=details,
        blobs=_blobs(world, number),
        requisitions=[
            RequisitionMetadata(
                external_key={"external_requisition_id": f"req{index}", "requisition_fingerprint": b"f"},  # type: ignore[arg-type]
                details=RequisitionDetails(
                    nonce=nonce, external_fulfilling_duchy_id=RING[index], public_api_version="v2alpha"
                ),
                path=f"{name}/req{index}" if RING[index] == world.duchy else "",
            )
            for index, nonce in enumerate(nonces)
        ],
    )


def _blobs(world: World, number: int) -> list[ComputationStageBlobMetadata]:
    if number < SETUP:
        return []
    inputs = (2 if world.duchy == "aggregator" else 0) if number == SETUP else 1
    return [
        *(ComputationStageBlobMetadata(blob_id=i, dependency_type=INPUT, path=f"in/{i}") for i in range(inputs)),
        ComputationStageBlobMetadata(blob_id=inputs, dependency_type=OUTPUT),
    ]


def add_participant(llv2: object, identity: pki.Identity, element: bytes) -> None:
    """A participant with its key, signed by its own root's certificate."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    serialized = PublicElGamalKey(generator=GENERATOR, element=element).SerializeToString()
    key = load_der_private_key(identity.signing_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    llv2.participant.add(  # type: ignore[attr-defined]
        duchy_id=identity.name,
        public_key=public_key(element),
        el_gamal_public_key=serialized,
        el_gamal_public_key_signature=key.sign(serialized, ec.ECDSA(hashes.SHA256())),
        el_gamal_public_key_signature_algorithm_oid="1.2.840.10045.4.3.2",
        duchy_certificate_der=identity.signing_cert.read_bytes(),
    )


def public_key(element: bytes) -> ElGamalPublicKey:
    return ElGamalPublicKey(generator=GENERATOR, element=element)


def put_sketch(world: World, keys: Keys, token: ComputationToken, registers: int = 3) -> None:
    """The requisition's data: an encrypted sketch with a few registers."""
    put_registers(world, keys, token, [(index, index + 1, 1) for index in range(registers)], 3)


def put_registers(
    world: World, keys: Keys, token: ComputationToken, registers: list[tuple[int, int, int]], maximum_frequency: int
) -> None:
    """The requisition's data: an encrypted sketch with these registers."""
    path = world.directory / f"sketch-{secrets.token_hex(4)}"
    randomness, progress = native.Randomness.operating_system(), native.Progress()
    if world.wire is LLV2:
        native.encrypt_sketch(
            registers,
            output=str(path),
            public_key=keys.combined,
            maximum_frequency=maximum_frequency,
            randomness=randomness,
            threads=1,
            progress=progress,
        )
    else:
        native.encrypt_reach_only_sketch(
            [index for index, _, _ in registers],
            output=str(path),
            public_key=keys.combined,
            randomness=randomness,
            threads=1,
            progress=progress,
        )
    (mine,) = [requisition for requisition in token.requisitions if requisition.path]
    world.put(f"requisitions/{mine.path}", path.read_bytes())
