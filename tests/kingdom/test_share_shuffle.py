"""How the kingdom prepares a measurement by Honest Majority Share Shuffle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest

from gristmill.consumer.request import Privacy
from gristmill.kingdom import names
from gristmill.kingdom.share_shuffle import ShareShuffleParameters
from gristmill.trust.development import DevelopmentKeys, make
from kingdom.actors import PRIVACY, World, computation_of, world
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

RINGS = ShareShuffleParameters(reach_and_frequency_ring_modulus=128, reach_ring_modulus=127)
WORKERS = ("worker1", "worker2")


@pytest.fixture
async def kingdom(keys: DevelopmentKeys, tmp_path: Path) -> AsyncIterator[World]:
    async with world(keys, tmp_path / "kingdom.sqlite", shares=RINGS) as answering:
        yield answering


async def prepared(kingdom: World) -> tuple[Measurement, str]:
    """A measurement whose duchies have published their keys, and its computation."""
    measurement = await kingdom.submit(kingdom.build())
    await kingdom.publish_all_encryption_keys(computation_of(measurement))
    return measurement, computation_of(measurement)


@pytest.mark.parametrize("frequency", [PRIVACY, None])
async def test_data_providers_and_duchies_are_told_rings_and_noise(kingdom: World, frequency: Privacy | None) -> None:
    measurement = await kingdom.submit(kingdom.build(replace(kingdom.request, frequency=frequency)))
    (public,) = measurement.protocol_config.protocols
    told = public.honest_majority_share_shuffle
    assert (told.ring_modulus, told.noise_mechanism) == (128 if frequency else 127, ProtocolConfig.DISCRETE_GAUSSIAN)
    computation = await kingdom.duchies["worker1"].computation(computation_of(measurement))
    system = computation.mpc_protocol_config.honest_majority_share_shuffle
    assert (system.reach_and_frequency_ring_modulus, system.reach_ring_modulus) == (128, 127)
    assert system.noise_mechanism == Computation.MpcProtocolConfig.DISCRETE_GAUSSIAN


async def test_the_worker_that_stores_a_requisition_follows_from_its_id_and_is_known_at_once(kingdom: World) -> None:
    stored = []
    for _ in range(4):
        measurement = await kingdom.submit(kingdom.build())
        computation = await kingdom.duchies["worker2"].computation(computation_of(measurement))
        for requisition in computation.requisitions:
            _, identifier = names.parse_system_requisition(requisition.name)
            worker = WORKERS[identifier % 2]
            assert requisition.fulfilling_computation_participant == f"{computation.name}/participants/{worker}"
            stored.append(worker)
    assert {*stored} == {*WORKERS}  # 1 of 128 times they happen to be all the same


async def test_only_the_worker_that_does_not_store_it_shows_its_key_to_the_data_provider(kingdom: World) -> None:
    await prepared(kingdom)
    (requisition,) = await kingdom.listed("edp1")
    storing = assigned(requisition)
    entries = {entry.key: entry.value for entry in requisition.duchies}
    assert {*entries} == {"duchies/worker1", "duchies/worker2"}
    for duchy, value in entries.items():
        assert value.WhichOneof("protocol") == "honest_majority_share_shuffle"
        keyless = not value.honest_majority_share_shuffle.HasField("public_key")
        assert keyless == (duchy == f"duchies/{storing}")
    (other,) = {*WORKERS} - {storing}
    signed = entries[f"duchies/{other}"].honest_majority_share_shuffle.public_key
    assert EncryptionPublicKey.FromString(signed.message.value) == kingdom.duchies[other].keyset.public_key


async def test_duchies_are_ready_once_they_have_published_and_compute_without_confirmation(kingdom: World) -> None:
    _, computation = await prepared(kingdom)
    participant = await kingdom.duchies["worker1"].read(computation)
    assert participant.state == ComputationParticipant.READY
    for provider in ("edp1", "edp2"):
        await fulfil(kingdom, computation, provider)
    assert (await kingdom.duchies["worker1"].computation(computation)).state == Computation.PENDING_COMPUTATION


async def test_the_other_worker_cannot_fulfil_a_requisition(kingdom: World) -> None:
    _, computation = await prepared(kingdom)
    (requisition,) = await kingdom.listed("edp1")
    (other,) = {*WORKERS} - {assigned(requisition)}
    with pytest.raises(grpc.aio.AioRpcError, match="to be fulfilled at duchy worker") as refused:
        await fulfil(kingdom, computation, "edp1", duchy=other)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert await kingdom.listed("edp1") == [requisition]


@pytest.mark.parametrize(
    ("duchy", "change", "status", "message"),
    [
        ("worker1", "no key", grpc.StatusCode.INVALID_ARGUMENT, "both workers of a share shuffle must publish a key"),
        ("aggregator", "a key", grpc.StatusCode.INVALID_ARGUMENT, "and the aggregator none"),
        (
            "worker1",
            "another's signature",
            grpc.StatusCode.FAILED_PRECONDITION,
            "key of duchy worker1 is wrong",
        ),
        ("worker1", "another protocol", grpc.StatusCode.FAILED_PRECONDITION, "is honest_majority_share_shuffle"),
    ],
)
async def test_a_key_that_does_not_fit_is_refused(
    kingdom: World, duchy: str, change: str, status: grpc.StatusCode, message: str
) -> None:
    computation = computation_of(await kingdom.submit(kingdom.build()))
    calling, other = kingdom.duchies[duchy], kingdom.duchies["worker2"]
    params = calling.signed_key() if change == "another protocol" else calling.signed_encryption_key()
    shuffle = params.honest_majority_share_shuffle
    if change == "no key":
        shuffle.Clear()
        shuffle.SetInParent()
    elif change == "a key":
        shuffle.CopyFrom(other.signed_encryption_key().honest_majority_share_shuffle)
    elif change == "another's signature":
        signed = other.signed_encryption_key().honest_majority_share_shuffle
        shuffle.tink_public_key_signature = signed.tink_public_key_signature
    with pytest.raises(grpc.aio.AioRpcError, match=message) as refused:
        await calling.publish(computation, params)
    assert refused.value.code() == status
    assert (await calling.read(computation)).state == ComputationParticipant.CREATED


async def test_the_frequencies_of_all_data_providers_must_fit_into_the_ring(kingdom: World) -> None:
    """F * S + 1 < q, with two data providers and 128."""
    await kingdom.submit(kingdom.build(replace(kingdom.request, maximum_frequency=63)))
    with pytest.raises(grpc.aio.AioRpcError, match=r"ring of modulus 128.*maximum frequency of 63 or less") as refused:
        await kingdom.submit(kingdom.build(replace(kingdom.request, maximum_frequency=64)))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_sample_of_people_may_wrap_around(kingdom: World) -> None:
    await kingdom.submit(kingdom.build(replace(kingdom.request, sampling_start=0.75, sampling_width=0.5)))


@pytest.mark.parametrize(
    "wrong", [{"reach": Privacy(9e-7, 1e-5)}, {"frequency": Privacy(1.0, 0.0)}, {"sampling_width": 0.0}]
)
async def test_what_the_duchies_would_refuse_is_refused_at_once(kingdom: World, wrong: dict[str, Privacy]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await kingdom.submit(kingdom.build(replace(kingdom.request, **wrong)))  # type: ignore[arg-type]
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_four_duchies_cannot_shuffle_shares(tmp_path: Path) -> None:
    duchies = ["worker1", "worker2", "worker3", "aggregator"]
    keys = make(tmp_path / "keys", duchies=duchies, data_providers=["edp1", "edp2"])
    async with world(keys, tmp_path / "kingdom.sqlite", shares=RINGS) as kingdom:
        with pytest.raises(grpc.aio.AioRpcError, match="two workers and an aggregator, and this kingdom has 4 duchies"):
            await kingdom.submit(kingdom.build())


@pytest.mark.parametrize(("both", "reach"), [(1, 127), (127, 1), (127, 121), (2**30 + 1, 127)])
def test_what_is_no_ring_is_refused(both: int, reach: int) -> None:
    with pytest.raises(ValueError, match="ring modulus"):
        ShareShuffleParameters(both, reach)


async def fulfil(kingdom: World, computation: str, provider: str, *, duchy: str = "") -> str:
    """At that duchy, or else at the one that the kingdom assigned the requisition to, whose ID is returned."""
    (requisition,) = await kingdom.listed(provider)
    name = f"{computation}/requisitions/{requisition.name.rpartition('/')[2]}"
    storing = assigned(requisition)
    await kingdom.duchies[duchy or storing].fulfil(name, kingdom.nonce(provider, requisition))
    return storing


def assigned(requisition: Requisition) -> str:
    _, identifier = names.parse_requisition(requisition.name)
    return WORKERS[identifier % 2]
