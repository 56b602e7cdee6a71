"""The stages of Honest Majority Share Shuffle (its specification, sections 2 and 6 to 8), as calls of the native core.

Workers hold an additive share of every data provider's frequency vector: a file, if the provider handed it in here, or
else the seed that it is expanded from, which the other worker hands over, still encrypted to this one's key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from google.protobuf.message import DecodeError

from gristmill import _native as native
from gristmill.errors import BadInput, ConfigurationError, ParticipationInvalid, RecordIncomplete, ResultInvalid
from gristmill.mill import results
from gristmill.mill.job import Actions, Found, Job
from gristmill.protocols.share_shuffle import FIRST
from gristmill.secret import Secret
from gristmill.trust.consent import sign_encryption_key
from gristmill.trust.random_seed import SEED_BYTES, open_seed
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.internal.duchy.computation_token_pb2 import RequisitionMetadata
from wfa.measurement.internal.duchy.differential_privacy_pb2 import DifferentialPrivacyParams
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.protocol.honest_majority_share_shuffle_pb2 import HonestMajorityShareShuffle
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionDetails
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant

ShufflePhaseInput = HonestMajorityShareShuffle.ShufflePhaseInput
SecretSeed = ShufflePhaseInput.SecretSeed
Recorded = RequisitionDetails.RequisitionProtocol.HonestMajorityShareShuffle
RequisitionParams = ComputationParticipant.RequisitionParams


# Initialized


def publish_encryption_key(job: Job) -> None:
    """A worker publishes its signed public key, to which data providers encrypt their seeds."""
    job.activity.begin("publishing the encryption key")
    pair = job.details.encryption_key_pair
    if not pair.public_key.data:
        raise RecordIncomplete("the computation was created without this duchy's encryption key pair")
    key = EncryptionPublicKey(format=EncryptionPublicKey.TINK_KEYSET, data=pair.public_key.data)
    serialized, signature = sign_encryption_key(key, job.services.signer)
    params = RequisitionParams(
        duchy_certificate=job.services.certificate,
        honest_majority_share_shuffle=RequisitionParams.HonestMajorityShareShuffle(
            tink_public_key=serialized,
            tink_public_key_signature=signature.value,
            tink_public_key_signature_algorithm_oid=signature.algorithm_oid,
        ),
    )
    job.claim.check()
    job.services.kingdom.set_requisition_params(job.claim.computation, params, job.activity)


def publish_nothing(job: Job) -> None:
    """The aggregator takes part and has no key: nobody encrypts anything to it."""
    job.activity.begin("taking part")
    params = RequisitionParams(duchy_certificate=job.services.certificate)
    params.honest_majority_share_shuffle.SetInParent()
    job.claim.check()
    job.services.kingdom.set_requisition_params(job.claim.computation, params, job.activity)


# Setup phase


def hand_over_seeds(job: Job, output: Path) -> Found:
    """A worker's seed, and the encrypted seeds of the requisitions that were fulfilled here: the other can open them.

    Everything in it was recorded before, so that it is the same however often it is made.
    """
    job.activity.begin("handing over seeds")
    message = ShufflePhaseInput(peer_random_seed=_own_seed(job).expose())
    for requisition in sorted(job.own_requisitions, key=_id):
        share = requisition.details.protocol.honest_majority_share_shuffle
        if not requisition.path or not share.secret_seed_ciphertext:
            raise RecordIncomplete(f"the requisition {_id(requisition)} is to be fulfilled here, but has no data")
        message.secret_seeds.add(
            requisition_id=_id(requisition),
            secret_seed_ciphertext=share.secret_seed_ciphertext,
            register_count=share.register_count,
            data_provider_certificate=share.data_provider_certificate,
        )
    output.touch(mode=0o600)
    output.write_bytes(message.SerializeToString(deterministic=True))
    return Found()


# Shuffle phase


def shuffle_shares(job: Job, output: Path) -> Found:
    """Add all shares up, add noise, and shuffle as the other worker does."""
    (handed_over,) = job.inputs
    received = _parsed(job, handed_over)
    register_count, seeds = _register_count(job, received), _opened(job, received)
    common = bytes(a ^ b for a, b in zip(_own_seed(job).expose(), received.peer_random_seed, strict=True))
    with job.activity.computing(native.Progress(), "shuffling shares", "entries") as progress:
        native.hmss_shuffle(
            _parameters(job),
            shares=[str(path) for path in job.requisitions],
            seeds=[seed.expose() for seed in seeds],
            register_count=register_count,
            output=str(output),
            common_seed=common,
            order="FIRST" if job.seat.me.role is FIRST else "SECOND",
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def _parsed(job: Job, path: Path) -> ShufflePhaseInput:
    """What the other worker handed over; BadInput when it is none."""
    sender = job.senders()[path]
    try:
        received = ShufflePhaseInput.FromString(path.read_bytes())
    except DecodeError:
        raise BadInput(f"{sender} is no ShufflePhaseInput") from None
    if len(received.peer_random_seed) != SEED_BYTES:
        raise BadInput(f"{sender} has a random seed of {len(received.peer_random_seed)} bytes, not {SEED_BYTES}")
    return received


class _Share(NamedTuple):
    """What both kinds of shares say of themselves."""

    register_count: int
    data_provider: str


def _share(said: SecretSeed | Recorded) -> _Share:
    return _Share(said.register_count, said.data_provider_certificate.partition("/certificates/")[0])


def _register_count(job: Job, received: ShufflePhaseInput) -> int:
    """The length of all frequency vectors, once every requisition is found to be there exactly once."""
    here = {_id(each): _share(each.details.protocol.honest_majority_share_shuffle) for each in job.own_requisitions}
    handed_over = {seed.requisition_id: _share(seed) for seed in received.secret_seeds}
    elsewhere = {_id(each) for each in job.token.requisitions} - here.keys()
    _check_complete(handed_over.keys(), elsewhere, len(received.secret_seeds))
    shares = here | handed_over
    _check_agreement(shares)
    return next(iter(shares.values())).register_count


def _check_complete(given: Collection[str], awaited: Collection[str], count: int) -> None:
    faults = [f"no seed of requisition {name}" for name in sorted({*awaited} - {*given})]
    faults += [f"a seed of {name[:40]!r}, which it does not store" for name in sorted({*given} - {*awaited})]
    if count != len(given):
        faults.append("several seeds of one requisition")
    if faults:
        raise BadInput(f"the other worker handed over {'; '.join(faults[:10])}")


def _check_agreement(shares: Mapping[str, _Share]) -> None:
    """All of one length, and each of another data provider."""
    counts = {share.register_count for share in shares.values()}
    if len(counts) != 1 or min(counts) < 1:
        told = ", ".join(f"{name}: {share.register_count}" for name, share in sorted(shares.items()))
        raise BadInput(
            f"the data providers' frequency vectors have different lengths ({told})",
            cure="all data providers must use the same population specification; then measure anew",
        )
    if len({share.data_provider for share in shares.values()}) < len(shares):
        told = ", ".join(f"{name}: {share.data_provider}" for name, share in sorted(shares.items()))
        raise ParticipationInvalid(f"one data provider has handed in several shares ({told})")


def _opened(job: Job, received: ShufflePhaseInput) -> list[Secret]:
    """The seeds, each signed by its data provider and encrypted to this duchy; the private key is fetched for them."""
    if not received.secret_seeds:
        return []
    services = job.services.share_shuffle
    if services is None:
        raise ConfigurationError("this mill was not started for share shuffle", cure="start `gristmill mill hmss`")
    job.activity.begin("verifying seeds", total=len(received.secret_seeds), unit="seeds")
    keyset = services.private_keys.of(job.claim, job.details.encryption_key_pair.private_key_id)
    seeds = []
    for seed in sorted(received.secret_seeds, key=lambda seed: seed.requisition_id):
        certificate, root = services.certificates.of_data_provider(seed.data_provider_certificate, job.activity)
        what = f"the seed of requisition {seed.requisition_id}"
        seeds.append(open_seed(seed.secret_seed_ciphertext, keyset, certificate, root, what=what))
    return seeds


# Aggregation phase


def add_shares(job: Job, output: Path) -> Found:
    """Both workers' shares, added up: the histogram of all data providers' users, and from it the result."""
    parameters = job.details.parameters
    with job.activity.computing(native.Progress(), "adding shares", "entries") as progress:
        figures = native.hmss_aggregate(
            _parameters(job),
            inputs=[str(path) for path in job.inputs],
            maximum_frequency=parameters.maximum_frequency,
            sampling_width=job.measurement_spec().vid_sampling_interval.width,
            threads=job.services.threads,
            progress=progress,
        )
    found = results.of_reach(figures.reach, job.protocol_member)
    found.reach.honest_majority_share_shuffle.frequency_vector_size = figures.register_count
    if not _reach_only(job):
        distribution = figures.frequency_distribution
        results.add_frequency(found, distribution, parameters.maximum_frequency, job.protocol_member)
        found.frequency.honest_majority_share_shuffle.frequency_vector_size = figures.register_count
    output.touch(mode=0o600)
    output.write_bytes(found.SerializeToString(deterministic=True))
    return Found(reach=figures.reach)


def result(job: Job, output: Path, reach: int | None) -> Measurement.Result:
    """What `add_shares` kept."""
    try:
        return Measurement.Result.FromString(output.read_bytes())
    except DecodeError:
        raise ResultInvalid("the kept output of the aggregation phase is no result") from None


# What the computation was created with


def _parameters(job: Job) -> native.ShareShuffle:
    parameters = job.details.parameters
    return native.ShareShuffle(
        reach_only=_reach_only(job),
        maximum_combined_frequency=parameters.maximum_frequency * len(job.token.requisitions),
        ring_modulus=parameters.ring_modulus,
        mechanism=NoiseMechanism.Name(parameters.noise_mechanism),
        reach=_privacy(parameters.reach_dp_params) if parameters.HasField("reach_dp_params") else None,
        frequency=_privacy(parameters.frequency_dp_params) if parameters.HasField("frequency_dp_params") else None,
    )


def _reach_only(job: Job) -> bool:
    return job.measurement_spec().WhichOneof("measurement_type") == "reach"


def _privacy(parameters: DifferentialPrivacyParams) -> tuple[float, float]:
    return parameters.epsilon, parameters.delta


def _own_seed(job: Job) -> Secret:
    seed = Secret(job.details.random_seed)
    if len(seed) != SEED_BYTES:
        raise RecordIncomplete("the computation has no random seed of this duchy")
    return seed


def _id(requisition: RequisitionMetadata) -> str:
    return requisition.external_key.external_requisition_id


ACTIONS = Actions(
    acts={"publish_encryption_key": publish_encryption_key, "publish_nothing": publish_nothing},
    computes={
        "hand_over_seeds": hand_over_seeds,
        "shuffle_shares": shuffle_shares,
        "add_shares": add_shares,
    },
    result=result,
)
