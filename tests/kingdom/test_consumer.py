"""The measurement consumer's client against a real kingdom."""

from __future__ import annotations

import asyncio

import pytest

from gristmill.consumer.client import Consumer
from gristmill.errors import InvalidRequest, PermanentFailure, Unavailable
from gristmill.trust.hybrid import encrypt_message
from gristmill.trust.signatures import Signer
from kingdom.actors import World, computation_of
from kingdom.test_states import fulfil_all, public_key
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement


async def test_a_consumer_creates_follows_and_reads_a_measurement(kingdom: World) -> None:
    states: list[Measurement.State.ValueType] = []
    with Consumer(kingdom.consumer, kingdom.target) as consumer:
        name = await asyncio.to_thread(consumer.create, kingdom.request)
        waiting = asyncio.create_task(
            asyncio.to_thread(consumer.wait, name, timeout_seconds=20, on_state=lambda one: states.append(one.state))
        )
        measurement = await kingdom.get(name)
        computation, aggregator = computation_of(measurement), kingdom.duchies["aggregator"]
        await kingdom.publish_all(computation)
        await fulfil_all(kingdom, computation)
        await kingdom.confirm_all(computation)
        result = Measurement.Result()
        result.reach.value = 2048
        result.frequency.relative_frequency_distribution.update({1: 1.0})
        party = aggregator.party
        signer = Signer.read(certificate=party.signing_certificate_file, key=party.signing_key_file)
        encrypted = encrypt_message(signer.sign_message(result), kingdom.consumer.keyset.public_key)
        await aggregator.set_result(computation, encrypted.ciphertext, public_key(measurement))
        opened = await waiting
    assert (opened.reach, dict(opened.frequency), opened.signed_by) == (2048, {1: 1.0}, party.certificate)
    assert states[-1] == Measurement.SUCCEEDED
    assert states == sorted(states)


async def test_a_failed_measurement_says_who_failed(kingdom: World) -> None:
    with Consumer(kingdom.consumer, kingdom.target) as consumer:
        name = await asyncio.to_thread(consumer.create, kingdom.request)
        await kingdom.duchies["worker2"].fail(computation_of(await kingdom.get(name)), "no water in the mill race")
        with pytest.raises(PermanentFailure, match=r"worker2.*no water"):
            await asyncio.to_thread(consumer.wait, name, timeout_seconds=20)


async def test_a_refusal_of_the_kingdom_keeps_its_meaning(kingdom: World) -> None:
    with Consumer(kingdom.consumer, kingdom.target) as consumer:
        measurement = kingdom.build()
        measurement.measurement_spec.signature = b"forged"
        with pytest.raises(InvalidRequest, match="signature"):
            await asyncio.to_thread(consumer.submit, measurement)


async def test_waiting_ends_after_the_given_time(kingdom: World) -> None:
    with Consumer(kingdom.consumer, kingdom.target) as consumer:
        name = await asyncio.to_thread(consumer.create, kingdom.request)
        with pytest.raises(Unavailable, match="did not end"):
            await asyncio.to_thread(consumer.wait, name, timeout_seconds=0.2)
        assert (await asyncio.to_thread(consumer.cancel, name)).state == Measurement.CANCELLED
