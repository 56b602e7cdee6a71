"""A data provider answers requisitions of reach-only Liquid Legions V2."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edp.conftest import Scene, prepared
from gristmill.trust.development import DevelopmentKeys
from kingdom.actors import World, world
from reference import curve, el_gamal, sketch
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition

VIDS = [3, 3, 7, *[11] * 9, 2**62, 5, *range(1000, 1040)]


@pytest.fixture
async def kingdom(keys: DevelopmentKeys, tmp_path: Path) -> AsyncIterator[World]:
    async with world(keys, tmp_path / "kingdom.sqlite", reach_only=True) as answering:
        yield answering


@pytest.fixture
async def scene(kingdom: World, tmp_path: Path) -> AsyncIterator[Scene]:
    reach = kingdom.build(replace(kingdom.request, frequency=None))
    async with prepared(kingdom, reach, tmp_path) as ready:
        yield ready


async def refusal(scene: Scene) -> Requisition.Refusal:
    await asyncio.to_thread(scene.provider(VIDS).answer_all)
    (requisition,) = await scene.kingdom.listed("edp1")
    assert requisition.state == Requisition.REFUSED
    assert scene.door.bodies == []
    return requisition.refusal


async def test_the_delivered_registers_decrypt_to_the_indexes_of_the_events(scene: Scene) -> None:
    assert await asyncio.to_thread(scene.provider(VIDS).answer_all) == 1
    secret = sum(int.from_bytes(duchy.key_pair[0], "big") for duchy in scene.kingdom.duchies.values())
    (body,) = scene.door.bodies
    delivered = Counter(el_gamal.Ciphertext.decoded(block).decrypted(secret) for block in el_gamal.blocks(body, 66))
    registers = sketch.build_sketch(VIDS, decay_rate=10.0, size=1000, sampling_indicator_size=100_000)
    assert delivered == Counter(curve.hash_integer(index) for index, _, _ in registers)


async def test_without_events_an_empty_sketch_is_delivered(scene: Scene) -> None:
    assert await asyncio.to_thread(scene.provider([]).answer_all) == 1
    assert scene.door.bodies == [b""]


async def test_a_duchy_key_with_a_wrong_signature_is_refused(scene: Scene) -> None:
    scene.forge_duchy_key()
    answer = await refusal(scene)
    assert answer.justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID
    assert "ElGamal key of duchy worker2" in answer.message


@pytest.mark.parametrize(("name", "value"), [("decay_rate", float("nan")), ("max_size", 0), ("max_size", 2**40)])
async def test_a_sketch_that_cannot_be_is_refused(scene: Scene, name: str, value: float) -> None:
    def change(protocol: ProtocolConfig.Protocol) -> None:
        setattr(protocol.reach_only_liquid_legions_v2.sketch_params, name, value)

    scene.forge_protocol(change)
    assert (await refusal(scene)).justification == Requisition.Refusal.SPEC_INVALID


async def test_it_is_not_believed_to_measure_frequencies(kingdom: World, tmp_path: Path) -> None:
    def pretend(protocol: ProtocolConfig.Protocol) -> None:
        full = protocol.liquid_legions_v2
        reach_only = ProtocolConfig.ReachOnlyLiquidLegionsV2(elliptic_curve_id=full.elliptic_curve_id)
        reach_only.sketch_params.decay_rate = full.sketch_params.decay_rate
        reach_only.sketch_params.max_size = full.sketch_params.max_size
        protocol.reach_only_liquid_legions_v2.CopyFrom(reach_only)

    async with prepared(kingdom, kingdom.build(), tmp_path) as scene:
        scene.forge_protocol(pretend)
        answer = await refusal(scene)
    assert answer.justification == Requisition.Refusal.SPEC_INVALID
    assert "more than reach" in answer.message
