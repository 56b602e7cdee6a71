"""A data provider answers requisitions of share shuffle: one share to a worker, the seed of the other in the header."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edp.conftest import Door, Scene, prepared
from gristmill.edp.population import Population
from gristmill.kingdom.share_shuffle import ShareShuffleParameters
from gristmill.trust.certificates import read_certificate
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.random_seed import open_seed
from kingdom.actors import PRIVACY, World, world
from reference.share_shuffle import expand, frequency_vector
from wfa.frequency_count.frequency_vector_pb2 import FrequencyVector
from wfa.measurement.api.v2alpha import certificates_service_pb2 as certificates
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition

RANGES = [(1, 60), (101, 140)]
EVERYBODY = Population(RANGES)
VIDS = [3, 3, 7, *[11] * 9, 101, 140, 60]
Config = ProtocolConfig.HonestMajorityShareShuffle


@pytest.fixture
async def kingdom(keys: DevelopmentKeys, tmp_path: Path) -> AsyncIterator[World]:
    async with world(keys, tmp_path / "kingdom.sqlite", shares=ShareShuffleParameters()) as answering:
        yield answering


@pytest.fixture
async def scene(kingdom: World, tmp_path: Path) -> AsyncIterator[Scene]:
    async with prepared(kingdom, kingdom.build(), tmp_path, by_shares=True) as ready:
        yield ready


async def answered(scene: Scene, vids: list[int] = VIDS, **settings: object) -> Door:
    """Where edp1 delivered."""
    settings = {"population": EVERYBODY, **settings}
    assert await asyncio.to_thread(scene.provider(vids, **settings).answer_all) == 1
    (door,) = (door for door in scene.doors.values() if door.bodies)
    return door


async def refusal(scene: Scene, **settings: object) -> Requisition.Refusal:
    settings = {"population": EVERYBODY, **settings}
    await asyncio.to_thread(scene.provider(VIDS, **settings).answer_all)
    (requisition,) = await scene.kingdom.listed("edp1")
    assert requisition.state == Requisition.REFUSED
    assert not any(door.bodies for door in scene.doors.values())
    return requisition.refusal


def opened_seed(scene: Scene, door: Door) -> bytes:
    """By the key of the worker that does not store."""
    (peer,) = {*scene.doors} - {door.duchy}
    party = scene.kingdom.keys.data_provider("edp1")
    header = door.headers[0].honest_majority_share_shuffle
    assert header.data_provider_certificate == party.certificate
    return open_seed(
        header.secret_seed.ciphertext,
        scene.kingdom.duchies[peer].keyset,
        read_certificate(party.signing_certificate_file),
        read_certificate(party.root_file),
        what="the seed",
    ).expose()


def joined(scene: Scene, door: Door) -> list[int]:
    """What both shares give together."""
    header = door.headers[0].honest_majority_share_shuffle
    share = FrequencyVector.FromString(door.bodies[0]).data
    assert len(share) == header.register_count
    expanded = expand(opened_seed(scene, door), len(share), 127)
    return [(one + other) % 127 for one, other in zip(share, expanded, strict=True)]


async def test_both_shares_together_are_how_often_each_person_was_seen(scene: Scene) -> None:
    vector = joined(scene, await answered(scene))
    assert vector == frequency_vector(RANGES, VIDS, start=0.0, width=1.0, maximum=5)
    assert (len(vector), sorted(vector)[-6:]) == (100, [1, 1, 1, 1, 2, 5])


async def test_the_worker_that_shows_no_key_stores_the_share(scene: Scene) -> None:
    (requisition,) = await scene.kingdom.listed("edp1")
    keyless = [
        entry.key.removeprefix("duchies/")
        for entry in requisition.duchies
        if not entry.value.honest_majority_share_shuffle.HasField("public_key")
    ]
    assert [(await answered(scene)).duchy] == keyless


async def test_for_reach_nobody_counts_more_than_once(kingdom: World, tmp_path: Path) -> None:
    """Else two frequencies could add up to the modulus, and the person would be lost."""
    measurement = kingdom.build(replace(kingdom.request, frequency=None))
    async with prepared(kingdom, measurement, tmp_path, by_shares=True) as scene:
        vector = joined(scene, await answered(scene))
    assert vector == frequency_vector(RANGES, VIDS, start=0.0, width=1.0, maximum=1)
    assert set(vector) == {0, 1}


async def test_a_sample_that_wraps_around_begins_again_with_the_first_people(kingdom: World, tmp_path: Path) -> None:
    measurement = kingdom.build(replace(kingdom.request, sampling_start=0.75, sampling_width=0.5))
    async with prepared(kingdom, measurement, tmp_path, by_shares=True) as scene:
        vector = joined(scene, await answered(scene, [*range(1, 61), *range(101, 121)]))
    assert vector == frequency_vector(RANGES, [*range(1, 61), *range(101, 121)], start=0.75, width=0.5, maximum=5)
    assert len(vector) == 50
    assert {*vector} == {0, 1}


async def test_without_events_the_vector_is_of_zeros(scene: Scene) -> None:
    assert joined(scene, await answered(scene, [])) == [0] * 100


async def test_no_share_is_made_twice_and_no_file_is_left(scene: Scene, tmp_path: Path) -> None:
    provider = scene.provider(VIDS, population=EVERYBODY)
    assert [await asyncio.to_thread(provider.answer_all) for _ in range(2)] == [1, 0]
    assert not [name for name in os.listdir(tmp_path) if name.startswith("data-")]


async def test_without_a_population_it_is_unfulfillable(scene: Scene) -> None:
    answer = await refusal(scene, population=None)
    assert answer.justification == Requisition.Refusal.UNFULFILLABLE
    assert "population" in answer.message


async def test_a_worker_that_it_cannot_reach_is_unfulfillable(scene: Scene) -> None:
    (requisition,) = await scene.kingdom.listed("edp1")
    (peer,) = (
        entry.key.removeprefix("duchies/")
        for entry in requisition.duchies
        if entry.value.honest_majority_share_shuffle.HasField("public_key")
    )
    targets = {peer: scene.kingdom.target}
    assert (await refusal(scene, fulfillment=targets)).justification == Requisition.Refusal.UNFULFILLABLE


async def test_a_key_that_the_kingdom_put_in_is_refused(scene: Scene) -> None:
    for duchy in scene.doors:
        scene.forge_encryption_key(duchy)
    answer = await refusal(scene)
    assert answer.justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID
    assert "encryption key of duchy worker" in answer.message
    assert (await scene.ended()).failure.reason == Measurement.Failure.REQUISITION_REFUSED


async def test_two_workers_with_a_key_are_refused(scene: Scene) -> None:
    """Neither would be the one that stores, or both could read the seed."""
    scene.forge_assignment(None)
    answer = await refusal(scene)
    assert answer.justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID
    assert "2 duchies store the data, 2 of them with a key" in answer.message


def _modulus(value: int) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        config.ring_modulus = value

    return change


def _mechanism(value: ProtocolConfig.NoiseMechanism.ValueType) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        config.noise_mechanism = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_modulus(1), "ring_modulus is out of range"),
        (_modulus(2**30 + 1), "ring_modulus is out of range"),
        (_modulus(11), "do not fit into the ring"),  # 5 * 2 + 1
        (_mechanism(ProtocolConfig.NONE), "noise mechanism NONE"),
        (_mechanism(ProtocolConfig.CONTINUOUS_GAUSSIAN), "noise mechanism CONTINUOUS_GAUSSIAN"),
        (_mechanism(ProtocolConfig.NOISE_MECHANISM_UNSPECIFIED), "noise mechanism NOISE_MECHANISM_UNSPECIFIED"),
    ],
    ids=["no ring", "too large a ring", "too small a ring", "no noise", "another noise", "unknown noise"],
)
async def test_rings_and_noise_that_protect_nobody_are_refused(
    scene: Scene, change: Callable[[Config], None], message: str
) -> None:
    scene.forge_config(change)
    assert message in (await refusal(scene)).message


async def test_the_smallest_ring_that_holds_all_frequencies_is_enough(scene: Scene) -> None:
    scene.forge_config(_modulus(12))
    await answered(scene)


async def test_no_noise_is_taken_part_in_only_where_that_is_allowed(scene: Scene) -> None:
    scene.forge_config(_mechanism(ProtocolConfig.NONE))
    await answered(scene, without_noise=True)


async def test_a_held_worker_certificate_ends_the_measurement_before_data_leave(scene: Scene) -> None:
    worker = scene.kingdom.duchies["worker2"].party
    await scene.kingdom.certificates("worker2").RevokeCertificate(
        certificates.RevokeCertificateRequest(name=worker.certificate, revocation_state=Certificate.HOLD)
    )
    assert await asyncio.to_thread(scene.provider(VIDS, population=EVERYBODY).answer_all) == 0
    assert not any(door.bodies for door in scene.doors.values())
    assert (await scene.ended()).failure.reason == Measurement.Failure.CERTIFICATE_REVOKED


async def test_a_sample_of_nobody_is_refused(kingdom: World, tmp_path: Path) -> None:
    measurement = kingdom.build(replace(kingdom.request, frequency=PRIVACY, sampling_width=0.001))
    async with prepared(kingdom, measurement, tmp_path, by_shares=True) as scene:
        answer = await refusal(scene)
    assert answer.justification == Requisition.Refusal.SPEC_INVALID
    assert "nobody of this population" in answer.message


async def test_no_seed_no_nonce_and_no_vid_is_logged(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    person = 1_234_567_890
    population = Population([(person, person + 50)])
    door = await answered(scene, [person], population=population, verbose=True)
    logged = "".join(capsys.readouterr())
    assert "fulfilled" in logged
    seed = opened_seed(scene, door)
    for secret in (seed.hex(), base64.b64encode(seed[:30]).decode(), str(person), str(door.headers[0].nonce)):
        assert secret not in logged
