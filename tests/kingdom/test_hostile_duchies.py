"""A duchy that publishes what is no key, or not its own: refused, nothing recorded, and a right key is taken."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from gristmill.trust.consent import P256_GENERATOR, serialize_el_gamal_key
from gristmill.trust.signatures import Signer
from kingdom.actors import Duchy, World, computation_of
from wfa.measurement.api.v2alpha.crypto_pb2 import ElGamalPublicKey
from wfa.measurement.system.v1alpha import computation_participants_service_pb2 as wire
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant

Params = ComputationParticipant.RequisitionParams
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
WRONG_KEY, WRONG_REQUEST = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT


def signed(duchy: Duchy, element: bytes, generator: bytes = P256_GENERATOR) -> Params:
    signer = Signer.read(certificate=duchy.party.signing_certificate_file, key=duchy.party.signing_key_file)
    params = duchy.signed_key()
    key = ElGamalPublicKey(generator=generator, element=element).SerializeToString(deterministic=True)
    params.liquid_legions_v2.el_gamal_public_key = key
    params.liquid_legions_v2.el_gamal_public_key_signature = signer.sign(key).value
    return params


def changed(duchy: Duchy, **fields: bytes | str) -> Params:
    params = duchy.signed_key()
    for name, value in fields.items():
        setattr(params.liquid_legions_v2, f"el_gamal_public_key{name}", value)
    return params


def under(duchy: Duchy, certificate: str) -> Params:
    params = duchy.signed_key()
    params.duchy_certificate = certificate
    return params


def without_protocol(duchy: Duchy) -> Params:
    return Params(duchy_certificate=duchy.party.certificate)


def of_another_protocol(duchy: Duchy) -> Params:
    params = without_protocol(duchy)
    params.reach_only_liquid_legions_v2.el_gamal_public_key = duchy.signed_key().liquid_legions_v2.el_gamal_public_key
    return params


HOSTILE: dict[str, tuple[Callable[[Duchy, Duchy], Params], grpc.StatusCode]] = {
    "infinity": (lambda me, other: signed(me, b"\0"), WRONG_KEY),
    "33 zeros": (lambda me, other: signed(me, bytes(33)), WRONG_KEY),
    "off the curve": (lambda me, other: signed(me, b"\x02" + bytes(31) + b"\x01"), WRONG_KEY),
    "x is the prime": (lambda me, other: signed(me, b"\x02" + PRIME.to_bytes(32, "big")), WRONG_KEY),
    "another generator": (lambda me, other: signed(me, me.key_pair[1], other.key_pair[1]), WRONG_KEY),
    "no key": (lambda me, other: changed(me, **{"": b""}), WRONG_KEY),
    "no message": (lambda me, other: changed(me, **{"": b"\xff\xff"}), WRONG_KEY),
    "a key that was not signed": (
        lambda me, other: changed(me, **{"": serialize_el_gamal_key(other.key_pair[1])}),
        WRONG_KEY,
    ),
    "no signature": (lambda me, other: changed(me, _signature=b""), WRONG_KEY),
    "another algorithm": (
        lambda me, other: changed(me, _signature_algorithm_oid="1.2.840.113549.1.1.11"),
        WRONG_KEY,
    ),
    "an unknown algorithm": (lambda me, other: changed(me, _signature_algorithm_oid="1.2.3\n"), WRONG_KEY),
    "another's certificate": (lambda me, other: under(me, other.party.certificate), WRONG_REQUEST),
    "an unknown certificate": (
        lambda me, other: under(me, f"duchies/{me.name}/certificates/AAAAAAAAAAE"),
        WRONG_KEY,
    ),
    "no certificate": (lambda me, other: under(me, ""), WRONG_REQUEST),
    "no protocol": (lambda me, other: without_protocol(me), WRONG_REQUEST),
    "another protocol": (lambda me, other: of_another_protocol(me), WRONG_KEY),
}


async def test_what_is_not_this_duchys_signed_key_is_refused(kingdom: World) -> None:
    computation = computation_of(await kingdom.submit(kingdom.build()))
    me, other = kingdom.duchies["worker1"], kingdom.duchies["worker2"]
    before = await me.read(computation)
    for fault, (make, code) in HOSTILE.items():
        request = wire.SetParticipantRequisitionParamsRequest(
            name=me.own(computation), requisition_params=make(me, other)
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await me.participants.SetParticipantRequisitionParams(request)
        assert (fault, caught.value.code()) == (fault, code)
        assert await me.read(computation) == before
    assert before.state == ComputationParticipant.CREATED
    assert (await me.publish(computation)).state == ComputationParticipant.REQUISITION_PARAMS_SET


async def test_no_duchy_sees_a_key_before_all_are_published(kingdom: World) -> None:
    """Or the last could publish a key that cancels the others' out, and decrypt alone."""
    computation = computation_of(await kingdom.submit(kingdom.build()))
    last = kingdom.duchies["aggregator"]
    for duchy in ("worker1", "worker2"):
        await kingdom.duchies[duchy].publish(computation)
        shown = (await last.computation(computation)).computation_participants
        assert not any(each.HasField("requisition_params") for each in shown)
    await last.publish(computation)
    shown = (await last.computation(computation)).computation_participants
    assert all(each.requisition_params.liquid_legions_v2.el_gamal_public_key for each in shown)
