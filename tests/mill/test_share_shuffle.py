"""The stages of share shuffle: an exact result from real shares, and each lie of a peer or a provider by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.errors import BadInput, GristmillError, ParticipationInvalid, RecordIncomplete
from gristmill.mill.actions import translating
from gristmill.mill.certificates import Verified
from gristmill.mill.job import Job
from gristmill.mill.share_shuffle import add_shares, hand_over_seeds, result, shuffle_shares
from gristmill.protocols.share_shuffle import Stage
from mill.shares import MODULUS, Provider, Ring, expired
from wfa.frequency_count.frequency_vector_pb2 import FrequencyVector
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.internal.duchy.protocol.honest_majority_share_shuffle_pb2 import HonestMajorityShareShuffle

VECTORS = ([0, 1, 2, 3, 0, 5, 0, 0, 1, 0], [0, 1, 0, 0, 4, 5, 0, 0, 1, 0], [1, 0, 0, 0, 0, 5, 0, 0, 1, 0])
"""Sums: 1 2 2 3 4 15 0 0 3 0: seven of ten people were reached."""
Input = HonestMajorityShareShuffle.ShufflePhaseInput


@pytest.fixture(scope="module")
def providers() -> list[Provider]:
    return [Provider.make(f"edp{at}", vector) for at, vector in enumerate(VECTORS)]


def handed_over(ring: Ring, duchy: str) -> Path:
    """What this worker sends to the other."""
    path = ring.directory / f"seeds of {duchy}"
    if not path.exists():
        hand_over_seeds(ring.job(duchy, Stage.SETUP_PHASE), path)
    return path


def shuffling(ring: Ring, duchy: str = "worker1") -> Job:
    other = "worker2" if duchy == "worker1" else "worker1"
    return ring.job(duchy, Stage.SHUFFLE_PHASE, handed_over(ring, other))


def shuffled(ring: Ring, duchy: str = "worker1") -> Path:
    output, job = ring.directory / f"sum of {duchy}", shuffling(ring, duchy)
    with translating(job):
        shuffle_shares(job, output)
    return output


def measured(ring: Ring) -> Measurement.Result:
    inputs = [shuffled(ring, "worker1"), shuffled(ring, "worker2")]
    job, output = ring.job("aggregator", Stage.AGGREGATION_PHASE, *inputs), ring.directory / "result"
    with translating(job):
        found = add_shares(job, output)
    made = result(job, output, found.reach)
    assert found.reach == made.reach.value
    return made


# What honest parties get


def test_without_noise_the_histogram_is_exact(tmp_path: Path, providers: list[Provider]) -> None:
    made = measured(Ring(tmp_path, providers))
    assert made.reach.value == 7
    distribution = {count: round(share * 7) for count, share in made.frequency.relative_frequency_distribution.items()}
    assert distribution == {1: 1, 2: 2, 3: 2, 4: 1, 5: 1}
    assert made.reach.honest_majority_share_shuffle.frequency_vector_size == 10
    assert made.frequency.honest_majority_share_shuffle.frequency_vector_size == 10
    assert made.reach.noise_mechanism == made.frequency.noise_mechanism == 0


def test_reach_alone_has_no_frequencies(tmp_path: Path, providers: list[Provider]) -> None:
    of_reach = [Provider(each.name, [min(1, v) for v in each.vector], each.root, each.signer) for each in providers]
    made = measured(Ring(tmp_path, of_reach, reach_only=True))
    assert made.reach.value == 7
    assert not made.HasField("frequency")


@pytest.mark.parametrize("mechanism", [NoiseMechanism.DISCRETE_GAUSSIAN, NoiseMechanism.GEOMETRIC])
@pytest.mark.parametrize("reach_only", [False, True])
def test_noise_of_both_workers_is_added_and_taken_off(tmp_path: Path, mechanism: int, reach_only: bool) -> None:
    one = Provider.make("edp0", [1] * 1000 + [0] * 1000)
    made = measured(Ring(tmp_path, [one], mechanism=mechanism, reach_only=reach_only))
    assert abs(made.reach.value - 1000) < 100
    assert made.HasField("frequency") is not reach_only


def test_a_single_data_provider_is_computed_whichever_worker_has_its_share(tmp_path: Path) -> None:
    assert measured(Ring(tmp_path, [Provider.make("edp0", [0, 3, 0])])).reach.value == 1


def test_the_seeds_are_the_same_however_often_they_are_handed_over(tmp_path: Path, providers: list[Provider]) -> None:
    ring = Ring(tmp_path, providers)
    first = handed_over(ring, "worker1").read_bytes()
    handed_over(ring, "worker1").unlink()
    assert handed_over(ring, "worker1").read_bytes() == first
    assert handed_over(ring, "worker1").stat().st_mode & 0o777 == 0o600
    message = Input.FromString(first)
    assert message.peer_random_seed == ring.seeds["worker1"]
    assert [seed.requisition_id for seed in message.secret_seeds] == ["req0", "req2"]


def test_certificates_are_asked_of_the_kingdom_once_for_each_seed(tmp_path: Path, providers: list[Provider]) -> None:
    ring = Ring(tmp_path, providers)
    shuffled(ring, "worker2")
    assert ring.certificates.asked == [providers[0].certificate, providers[2].certificate]


# What others do. worker1 has the shares of req0 and req2, worker2 the share of req1; worker1 is looked at.


def changed(change: Callable[[Input], None]) -> Callable[[Ring], None]:
    """worker2 hands over something else."""

    def apply(ring: Ring) -> None:
        path = handed_over(ring, "worker2")
        message = Input.FromString(path.read_bytes())
        change(message)
        path.write_bytes(message.SerializeToString())

    return apply


def without_seeds(message: Input) -> None:
    del message.secret_seeds[:]


def set_seed(message: Input, **changes: object) -> None:
    for name, value in changes.items():
        setattr(message.secret_seeds[0], name, value)


def garbled(ring: Ring) -> None:
    handed_over(ring, "worker2").write_bytes(b"\xff\xff\xff")


def signed_by_another(ring: Ring) -> None:
    one, other = ring.providers[1], ring.providers[0]
    ring.hand_in(1, Provider(one.name, one.vector, one.root, other.signer))


def with_expired_certificate(ring: Ring) -> None:
    provider = ring.providers[1]
    ring.certificates.known[provider.certificate] = Verified(expired(provider), provider.root.certificate)


def with_unknown_certificate(ring: Ring) -> None:
    del ring.certificates.known[ring.providers[1].certificate]


def with_another_root(ring: Ring) -> None:
    one, other = ring.providers[1], ring.providers[0]
    ring.certificates.known[one.certificate] = Verified(one.signer.certificate, other.root.certificate)


def with_another_length(ring: Ring) -> None:
    ring.hand_in(0, Provider(ring.providers[0].name, [1, 2], ring.providers[0].root, ring.providers[0].signer))


def with_large_entry(ring: Ring) -> None:
    vector = FrequencyVector(data=[MODULUS, *[0] * 9])
    (ring.directory / "requisition0").write_bytes(vector.SerializeToString())


def with_short_vector(ring: Ring) -> None:
    (ring.directory / "requisition0").write_bytes(FrequencyVector(data=[0] * 9).SerializeToString())


def with_garbled_vector(ring: Ring) -> None:
    (ring.directory / "requisition0").write_bytes(b"\x0a\xff\xff")


LIES: dict[str, tuple[Callable[[Ring], None], type[GristmillError], str]] = {
    "no message": (garbled, BadInput, "the SHUFFLE_PHASE_INPUT_TWO of worker2 is no ShufflePhaseInput"),
    "a short random seed": (
        changed(lambda message: setattr(message, "peer_random_seed", bytes(47))),
        BadInput,
        "the SHUFFLE_PHASE_INPUT_TWO of worker2 has a random seed of 47 bytes, not 48",
    ),
    "no seeds": (changed(without_seeds), BadInput, "no seed of requisition req1"),
    "another requisition's seed": (
        changed(lambda message: set_seed(message, requisition_id="req0")),
        BadInput,
        "no seed of requisition req1; a seed of 'req0', which it does not store",
    ),
    "a seed twice": (
        changed(lambda message: message.secret_seeds.append(message.secret_seeds[0])),
        BadInput,
        "several seeds of one requisition",
    ),
    "another length, as the peer says": (
        changed(lambda message: set_seed(message, register_count=11)),
        BadInput,
        "different lengths (req0: 10, req1: 11, req2: 10)",
    ),
    "another length, as recorded here": (with_another_length, BadInput, "(req0: 2, req1: 10, req2: 10)"),
    "one data provider twice": (
        changed(lambda message: set_seed(message, data_provider_certificate="dataProviders/edp0/certificates/two")),
        ParticipationInvalid,
        "one data provider has handed in several shares",
    ),
    "a ciphertext that is none": (
        changed(lambda message: set_seed(message, secret_seed_ciphertext=b"nothing")),
        BadInput,
        "the seed of requisition req1 is not encrypted to this duchy's key",
    ),
    "a ciphertext for the other worker's key": (
        lambda ring: ring.hand_in(1, ring.providers[1], for_key="worker2"),
        BadInput,
        "the seed of requisition req1 is not encrypted to this duchy's key",
    ),
    "a seed signed by another data provider": (
        signed_by_another,
        ParticipationInvalid,
        "the signature of the seed of requisition req1 is wrong",
    ),
    "an expired certificate": (with_expired_certificate, ParticipationInvalid, "expired at"),
    "a certificate that the kingdom lacks": (with_unknown_certificate, ParticipationInvalid, "has no certificate"),
    "a certificate of another root": (with_another_root, ParticipationInvalid, "not issued by its owner's root"),
    "an entry that is too large": (with_large_entry, BadInput, "the data of requisition req0"),
    "a vector that is too short": (with_short_vector, BadInput, "the data of requisition req0"),
    "a vector that is none": (with_garbled_vector, BadInput, "the data of requisition req0"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_fails_the_shuffle_with_its_reason(tmp_path: Path, providers: list[Provider], lie: str) -> None:
    change, kind, reason = LIES[lie]
    ring = Ring(tmp_path, providers)
    change(ring)
    with pytest.raises(kind) as refused:
        shuffled(ring)
    assert reason in refused.value.message
    assert not (tmp_path / "sum of worker1").exists() or (tmp_path / "sum of worker1").stat().st_size == 0


def test_no_message_of_an_error_has_a_seed_or_a_share_in_it(tmp_path: Path, providers: list[Provider]) -> None:
    for number, (change, _, _) in enumerate(LIES.values()):
        directory = tmp_path / str(number)
        directory.mkdir()
        ring = Ring(directory, providers)
        change(ring)
        with pytest.raises(GristmillError) as refused:
            shuffled(ring)
        told = str(refused.value)
        for secret in (*ring.seeds.values(), bytes(48)):
            assert secret.hex() not in told
            assert repr(secret)[2:-1] not in told


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xff", "AGGREGATION_PHASE_INPUT of worker2"),
        (b"\x0a\x0a" + bytes(9) + b"\x7f\x10\x0a", "AGGREGATION_PHASE_INPUT of worker2"),
        (b"", "the workers' shares differ in length"),
        (b"\x0a\x09" + bytes(9) + b"\x10\x0a", "the workers' shares differ in length"),
        (None, "register"),
    ],
    ids=["junk", "a large entry", "empty", "a short vector", "another register count"],
)
def test_the_aggregator_refuses_a_sum_that_cannot_be(
    tmp_path: Path, providers: list[Provider], body: bytes | None, reason: str
) -> None:
    ring = Ring(tmp_path, providers)
    inputs = [shuffled(ring, "worker1"), shuffled(ring, "worker2")]
    assert inputs[1].read_bytes().endswith(b"\x10\x0a")
    inputs[1].write_bytes(inputs[1].read_bytes()[:-1] + b"\x09" if body is None else body)
    job = ring.job("aggregator", Stage.AGGREGATION_PHASE, *inputs)
    with pytest.raises(BadInput) as refused, translating(job):
        add_shares(job, tmp_path / "result")
    assert reason in refused.value.message
    assert not (tmp_path / "result").exists()


def test_a_requisition_without_data_is_never_handed_over(tmp_path: Path, providers: list[Provider]) -> None:
    ring = Ring(tmp_path, providers)
    ring.requisitions["worker1"][0].path = ""
    with pytest.raises(RecordIncomplete, match="req0"):
        handed_over(ring, "worker1")


def test_a_worker_without_its_own_seed_does_not_go_on(tmp_path: Path, providers: list[Provider]) -> None:
    ring = Ring(tmp_path, providers)
    handed_over(ring, "worker2")
    ring.details["worker1"].honest_majority_share_shuffle.random_seed = b""
    with pytest.raises(RecordIncomplete, match="no random seed"):
        shuffled(ring)
