"""A data provider answers requisitions of a real kingdom."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from edp.conftest import Scene, prepared
from gristmill.consumer.request import build
from gristmill.trust.hybrid import PrivateKeyset, encrypt_message
from gristmill.trust.signatures import Signer, signed_bytes
from kingdom.actors import World
from reference import curve, el_gamal, sketch
from wfa.measurement.api.v2alpha import certificates_service_pb2 as certificates
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.api.v2alpha.requisition_spec_pb2 import RequisitionSpec

VIDS = [3, 3, 7, 11, 11, 11, 11, 11, 11, 11, 11, 2**62, 5]


async def refusal(scene: Scene) -> Requisition.Refusal:
    """Let edp1 answer, and return how it refused."""
    await asyncio.to_thread(scene.provider(VIDS).answer_all)
    (requisition,) = await scene.kingdom.listed("edp1")
    assert requisition.state == Requisition.REFUSED
    assert scene.door.bodies == []
    return requisition.refusal


async def test_the_delivered_sketch_decrypts_to_the_sketch_of_the_events(scene: Scene) -> None:
    vids = [*VIDS, *range(1000, 1040)]
    assert await asyncio.to_thread(scene.provider(vids).answer_all) == 1
    secret = sum(int.from_bytes(duchy.key_pair[0], "big") for duchy in scene.kingdom.duchies.values())
    delivered = collections.Counter(
        tuple(cipher.decrypted(secret) for cipher in el_gamal.decode_row(block))
        for block in el_gamal.blocks(scene.door.bodies[0], 198)
    )
    destroyed = curve.hash_to_curve(b"destroyed_register_key")
    registers = sketch.build_sketch(vids, decay_rate=10.0, size=1000, sampling_indicator_size=100_000)
    expected = collections.Counter(
        (curve.hash_integer(index), curve.hash_integer(key), el_gamal.integer_point(min(frequency, 6)))
        if key
        else (curve.hash_integer(index), destroyed, destroyed)
        for index, key, frequency in registers
    )
    assert any(key == 0 for _, key, _ in registers)
    assert delivered == expected


async def test_length_and_hash_of_the_body_travel_with_it(scene: Scene) -> None:
    await asyncio.to_thread(scene.provider(VIDS).answer_all)
    (body,), (metadata,) = scene.door.bodies, scene.door.metadata
    assert metadata["gristmill-length"] == str(len(body))
    assert metadata["gristmill-sha256"] == hashlib.sha256(body).hexdigest()


async def test_a_fulfilled_requisition_is_not_answered_twice_and_leaves_no_file(scene: Scene, tmp_path: Path) -> None:
    provider = scene.provider(VIDS)
    assert [await asyncio.to_thread(provider.answer_all) for _ in range(2)] == [1, 0]
    assert len(scene.door.bodies) == 1
    assert not [name for name in os.listdir(tmp_path) if name.startswith("data-")]


async def test_without_events_an_empty_sketch_is_delivered(scene: Scene) -> None:
    assert await asyncio.to_thread(scene.provider([]).answer_all) == 1
    assert scene.door.bodies == [b""]


@pytest.mark.parametrize("status", [grpc.StatusCode.ABORTED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL])
async def test_an_error_at_the_duchy_is_tried_again(scene: Scene, status: grpc.StatusCode) -> None:
    scene.door.refuse.append(status)
    provider = scene.provider(VIDS)
    await asyncio.wait_for(asyncio.to_thread(provider.run, once=True), 20)
    assert len(scene.door.bodies) == 1


async def test_a_daemon_that_is_stopped_ends(scene: Scene) -> None:
    provider = scene.provider(VIDS)
    running = asyncio.create_task(asyncio.to_thread(provider.run))
    await asyncio.sleep(0.1)
    provider.stop()
    await asyncio.wait_for(running, 20)


async def test_a_measurement_specification_with_a_wrong_signature_is_refused(kingdom: World, tmp_path: Path) -> None:
    async with prepared(kingdom, kingdom.build(), tmp_path) as scene:
        scene.forge_specification()
        answer = await refusal(scene)
    assert answer.justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID
    assert "measurement_spec" in answer.message
    ended = await kingdom.get(scene.measurement.name)
    assert (ended.state, ended.failure.reason) == (Measurement.FAILED, Measurement.Failure.REQUISITION_REFUSED)


async def test_a_duchy_key_with_a_wrong_signature_is_refused(scene: Scene) -> None:
    scene.forge_duchy_key()
    answer = await refusal(scene)
    assert answer.justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID
    assert "ElGamal key of duchy worker2" in answer.message


async def test_a_requisition_specification_that_somebody_else_signed_is_refused(kingdom: World, tmp_path: Path) -> None:
    measurement, thief = kingdom.build(), kingdom.keys.data_provider("edp2")
    signer = Signer.read(certificate=thief.signing_certificate_file, key=thief.signing_key_file)
    replace_specification(kingdom, measurement, signer, lambda specification: None)
    async with prepared(kingdom, measurement, tmp_path) as scene:
        assert (await refusal(scene)).justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID


@pytest.mark.parametrize("said", ["edp1", "edp2"])
async def test_a_requisition_specification_for_another_key_is_refused(
    kingdom: World, tmp_path: Path, said: str
) -> None:
    """Whether the requisition says so or not."""
    measurement, own = kingdom.build(), kingdom.keys.data_provider("edp1")
    entry = next(entry for entry in measurement.data_providers if entry.key == own.resource)
    keysets = {
        name: PrivateKeyset.read(kingdom.keys.data_provider(name).private_keyset_file) for name in ("edp1", "edp2")
    }
    signed = keysets["edp1"].decrypt_message(
        entry.value.encrypted_requisition_spec, SignedMessage, what="the specification"
    )
    entry.value.encrypted_requisition_spec.CopyFrom(encrypt_message(signed, keysets["edp2"].public_key))
    entry.value.data_provider_public_key.Pack(keysets[said].public_key)
    async with prepared(kingdom, measurement, tmp_path) as scene:
        assert (await refusal(scene)).justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID
        assert (await scene.ended()).state == Measurement.FAILED


async def test_a_nonce_that_the_measurement_does_not_name_is_refused(kingdom: World, tmp_path: Path) -> None:
    measurement = kingdom.build()

    def change(specification: RequisitionSpec) -> None:
        specification.nonce ^= 1

    replace_specification(kingdom, measurement, kingdom.consumer.signer, change)
    async with prepared(kingdom, measurement, tmp_path) as scene:
        answer = await refusal(scene)
    assert answer.justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID
    assert "nonce" in answer.message


async def test_two_result_keys_in_one_measurement_are_refused(kingdom: World, tmp_path: Path) -> None:
    measurement = kingdom.build()

    def change(specification: RequisitionSpec) -> None:
        specification.measurement_public_key.Pack(kingdom.consumer.data_providers[1].public_key)

    replace_specification(kingdom, measurement, kingdom.consumer.signer, change)
    async with prepared(kingdom, measurement, tmp_path) as scene:
        assert (await refusal(scene)).justification == Requisition.Refusal.CONSENT_SIGNAL_INVALID


async def test_an_event_filter_is_unfulfillable(kingdom: World, tmp_path: Path) -> None:
    measurement = kingdom.build()

    def change(specification: RequisitionSpec) -> None:
        specification.events.event_groups[0].value.filter.expression = "video.viewed"

    replace_specification(kingdom, measurement, kingdom.consumer.signer, change)
    async with prepared(kingdom, measurement, tmp_path) as scene:
        assert (await refusal(scene)).justification == Requisition.Refusal.UNFULFILLABLE


async def test_a_period_is_unfulfillable_for_events_without_times(kingdom: World, tmp_path: Path) -> None:
    period = (datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 8, tzinfo=UTC))
    measurement = build(dataclasses.replace(kingdom.request, period=period), kingdom.consumer)
    async with prepared(kingdom, measurement, tmp_path) as scene:
        assert (await refusal(scene)).justification == Requisition.Refusal.UNFULFILLABLE


async def test_a_held_duchy_certificate_ends_the_measurement_before_data_leave(scene: Scene) -> None:
    worker = scene.kingdom.duchies["worker2"].party
    await scene.kingdom.certificates("worker2").RevokeCertificate(
        certificates.RevokeCertificateRequest(name=worker.certificate, revocation_state=Certificate.HOLD)
    )
    assert await asyncio.to_thread(scene.provider(VIDS).answer_all) == 0
    assert scene.door.bodies == []
    assert (await scene.ended()).failure.reason == Measurement.Failure.CERTIFICATE_REVOKED


async def test_no_nonce_and_no_vid_is_logged(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    marker = 8_123_456_789_012_345_678
    scene.door.refuse.append(grpc.StatusCode.INTERNAL)
    provider = scene.provider([marker, *VIDS])
    await asyncio.wait_for(asyncio.to_thread(provider.run, once=True), 20)
    logged = "".join(capsys.readouterr())
    assert "fulfilled" in logged
    assert not re.search(f"{marker}|{scene.door.headers[0].nonce}", logged)


def replace_specification(
    kingdom: World, measurement: Measurement, signer: Signer, change: Callable[[RequisitionSpec], None]
) -> None:
    """Change edp1's requisition specification, sign it with `signer` and encrypt it again."""
    own = kingdom.keys.data_provider("edp1")
    keyset = PrivateKeyset.read(own.private_keyset_file)
    entry = next(entry for entry in measurement.data_providers if entry.key == own.resource)
    signed = keyset.decrypt_message(entry.value.encrypted_requisition_spec, SignedMessage, what="the specification")
    specification = RequisitionSpec.FromString(signed_bytes(signed))
    change(specification)
    entry.value.encrypted_requisition_spec.CopyFrom(
        encrypt_message(signer.sign_message(specification), keyset.public_key)
    )
