"""Certificates that parties register, and what the protocol needs of the consortium."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from gristmill.errors import InvalidRequest
from gristmill.kingdom.protocol import LiquidLegionsParameters, choose
from gristmill.trust.authority import Root
from kingdom.actors import World
from wfa.measurement.api.v2alpha import certificates_service_pb2 as wire
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec


async def test_every_party_reads_the_certificates_of_all(kingdom: World) -> None:
    owner = kingdom.keys.duchy("worker1")
    for reader in ("edp1", "worker2", kingdom.keys.measurement_consumer.name):
        read = await kingdom.certificates(reader).GetCertificate(wire.GetCertificateRequest(name=owner.certificate))
        assert read.x509_der == owner.signing_certificate_file.read_bytes()


async def test_a_partys_certificates_are_found_by_key_identifier(kingdom: World) -> None:
    owner = kingdom.keys.duchy("worker1")
    stub = kingdom.certificates("edp1")
    (only,) = (await stub.ListCertificates(wire.ListCertificatesRequest(parent=owner.resource))).certificates
    assert only.name == owner.certificate
    other = wire.ListCertificatesRequest(parent=owner.resource)
    other.filter.subject_key_identifiers.append(b"unknown")
    assert not (await stub.ListCertificates(other)).certificates


async def test_a_certificate_that_the_owners_root_did_not_issue_is_not_registered(kingdom: World) -> None:
    impostor = Root.create("worker1").issue_signing("worker1").certificate_der
    request = wire.CreateCertificateRequest(parent="duchies/worker1", certificate=Certificate(x509_der=impostor))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kingdom.certificates("worker1").CreateCertificate(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_certificate_is_registered_once(kingdom: World) -> None:
    own = kingdom.keys.duchy("worker1").signing_certificate_file.read_bytes()
    request = wire.CreateCertificateRequest(parent="duchies/worker1", certificate=Certificate(x509_der=own))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kingdom.certificates("worker1").CreateCertificate(request)
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_an_unknown_certificate_is_not_found(kingdom: World) -> None:
    name = "duchies/worker1/certificates/AAAAAAAAAAE"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await kingdom.certificates("worker1").GetCertificate(wire.GetCertificateRequest(name=name))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_two_duchies_are_too_few_for_liquid_legions() -> None:
    with pytest.raises(InvalidRequest, match="3 duchies"):
        choose(MeasurementSpec(reach={}), LiquidLegionsParameters(), data_providers=2, duchies=2)


def test_what_no_protocol_measures_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="impression"):
        choose(MeasurementSpec(impression={}), LiquidLegionsParameters(), data_providers=2, duchies=3)
