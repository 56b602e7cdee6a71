"""What Honest Majority Share Shuffle asks of a data provider: two shares of a frequency vector, one for each worker.

One worker stores a share; the other gets the seed that its share is expanded from, encrypted to its key. Of the two
entries that a requisition has for the workers, the one *with* a key is the worker that does *not* store (share-shuffle
specification, section 5.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gristmill.edp.duchies import DuchyEntry
from gristmill.edp.refusal import Declined, Refusal
from gristmill.errors import ParticipationInvalid
from gristmill.protocols.share_shuffle import LARGEST_MODULUS, fits
from gristmill.trust.consent import verify_encryption_key
from gristmill.trust.signatures import Signature, signed_bytes
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig

LARGEST_FREQUENCY: Final = 255
"""A vector has one byte for each person before it is shared."""
_WORKERS: Final = 2
_NOISE: Final = (ProtocolConfig.GEOMETRIC, ProtocolConfig.DISCRETE_GAUSSIAN)


@dataclass(frozen=True, slots=True)
class ShareTask:
    """A frequency vector to make and to share: no entry greater than `maximum_frequency`, sums modulo `modulus`.

    `storing_duchy` takes one share; the seed of the other is encrypted to `peer_key`, which is verified.
    """

    storing_duchy: str
    peer_key: EncryptionPublicKey
    modulus: int
    maximum_frequency: int
    sampling_start: float
    sampling_width: float


def task(
    config: ProtocolConfig.HonestMajorityShareShuffle,
    specification: MeasurementSpec,
    maximum_frequency: int,
    entries: Iterable[DuchyEntry],
    *,
    without_noise: bool = False,
) -> ShareTask:
    """What to make; raises Declined or ParticipationInvalid. `without_noise`: also where the workers add none."""
    if config.noise_mechanism not in _NOISE and not (without_noise and config.noise_mechanism == ProtocolConfig.NONE):
        name = ProtocolConfig.NoiseMechanism.Name(config.noise_mechanism)
        raise Declined(Refusal.UNFULFILLABLE, f"this data provider does not take part with the noise mechanism {name}")
    if not 1 < config.ring_modulus <= LARGEST_MODULUS:
        raise Declined(Refusal.SPEC_INVALID, "ring_modulus is out of range")
    if maximum_frequency > LARGEST_FREQUENCY:
        raise Declined(Refusal.UNFULFILLABLE, f"this data provider counts frequencies up to {LARGEST_FREQUENCY}")
    if not fits(maximum_frequency, len(specification.nonce_hashes), config.ring_modulus):
        raise Declined(Refusal.SPEC_INVALID, "the frequencies of all data providers do not fit into the ring")
    storing_duchy, peer_key = _workers(entries)
    interval = specification.vid_sampling_interval
    return ShareTask(
        storing_duchy=storing_duchy,
        peer_key=peer_key,
        modulus=config.ring_modulus,
        maximum_frequency=maximum_frequency,
        sampling_start=interval.start,
        sampling_width=interval.width,
    )


def _workers(entries: Iterable[DuchyEntry]) -> tuple[str, EncryptionPublicKey]:
    """The worker that stores, and the verified key of the other one."""
    workers = list(entries)
    for worker in workers:
        if worker.value.WhichOneof("protocol") != "honest_majority_share_shuffle":
            raise ParticipationInvalid(f"duchy {worker.duchy} takes part in another protocol")
    with_key = [each for each in workers if each.value.honest_majority_share_shuffle.HasField("public_key")]
    if len(workers) != _WORKERS or len(with_key) != 1:
        raise ParticipationInvalid(
            f"{len(workers)} duchies store the data, {len(with_key)} of them with a key; it must be two, one with a key"
        )
    (peer,) = with_key
    (storing,) = (worker for worker in workers if worker is not peer)
    signed = peer.value.honest_majority_share_shuffle.public_key
    signature = Signature(signed.signature, signed.signature_algorithm_oid)
    key = verify_encryption_key(signed_bytes(signed), signature, peer.certificate_der, peer.root, duchy=peer.duchy)
    return storing.duchy, key
