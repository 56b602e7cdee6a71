"""Certificates that open no door of a duchy: made up, expired, another party's. Nothing changes behind any of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from duchy.conftest import Duchy, StartDuchy
from duchy.facts import computation
from duchy.stand_in import Kingdom
from duchy.state import State, state_of
from duchy.streams import stream
from duchy.test_computation_control import BODY, chunks, header, in_stage
from duchy.test_fulfillment import requests
from gristmill.mill.calls import code_of
from gristmill.secret import Secret
from gristmill.trust import development
from gristmill.trust.authority import Leaf, Root
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import channel, client_credentials
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.files import TlsFiles
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2_grpc import RequisitionFulfillmentStub
from wfa.measurement.internal.duchy import async_computation_control_service_pb2 as async_wire
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy.async_computation_control_service_pb2_grpc import AsyncComputationControlStub
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationTypeEnum
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)
from wfa.measurement.system.v1alpha.computation_control_service_pb2_grpc import ComputationControlStub

LONG_AGO, TOMORROW = datetime.now(UTC) - timedelta(days=9), datetime.now(UTC) + timedelta(days=1)
REFUSED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED}
"""By TLS itself, or by the server that looks at the certificate."""
DOORS = ("computation_control", "requisition_fulfillment", "internal_api", "async_computation_control")
OWNERS = {"computation_control": "worker2", "requisition_fulfillment": "edp1"}
"""Whose certificate opens a door; of the others this duchy's own."""


@pytest.fixture(scope="module")
def roots() -> dict[str, Root]:
    return {}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, roots: dict[str, Root]) -> Iterator[DevelopmentKeys]:
    """Like every test's, but the parties' roots can issue more."""
    create = Root.create
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Root, "create", lambda party, **changes: roots.setdefault(party, create(party, **changes)))
        yield development.make(
            tmp_path_factory.mktemp("strangers") / "pki",
            duchies=["worker1", "worker2", "aggregator"],
            data_providers=["edp1", "edp2"],
        )


@pytest.fixture
async def duchy(start: StartDuchy, kingdom: Kingdom) -> Duchy:
    started = await start("worker1")
    kingdom.say(computation())
    await in_stage(started, Llv2.INITIALIZATION_PHASE)
    return started


def copied(leaf: x509.Certificate, root: x509.Certificate) -> Leaf:
    """A certificate that says everything that `leaf` says, its issuer's key identifier included, under a key of one's
    own and signed by nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(root.subject, leaf.subject, key.public_key(), leaf.serial_number)
    builder = builder.not_valid_before(leaf.not_valid_before_utc).not_valid_after(leaf.not_valid_after_utc)
    for extension in leaf.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return signed(builder, key, key)


def claiming(leaf: x509.Certificate, issuer: Root) -> Leaf:
    """The same, properly issued by a root that everybody trusts, of another party."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(issuer.certificate.subject, leaf.subject, key.public_key(), leaf.serial_number)
    builder = builder.not_valid_before(leaf.not_valid_before_utc).not_valid_after(leaf.not_valid_after_utc)
    for extension in leaf.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return signed(builder, key, issuer._key)


def signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey) -> Leaf:
    pem, der = (
        Secret(key.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption()))
        for encoding in (Encoding.PEM, Encoding.DER)
    )
    return Leaf(builder.sign(by, hashes.SHA256()), pem, der)


def forged(kind: str, owner: str, keys: DevelopmentKeys, roots: dict[str, Root]) -> Leaf:
    root = roots[owner]
    party = next(each for each in keys.parties if each.name == owner)
    genuine = read_certificate(party.tls.certificate_file)
    match kind:
        case "copied":
            return copied(genuine, root.certificate)
        case "claiming":
            return claiming(genuine, roots["edp2"])
        case "expired":
            return root.issue_tls(owner, ["localhost"], start=LONG_AGO, lifetime=timedelta(days=1))
        case "not yet valid":
            return root.issue_tls(owner, ["localhost"], start=TOMORROW)
        case "of an unknown root":
            return unknown_root().issue_tls(owner, ["localhost"])
    raise AssertionError(kind)


def unknown_root() -> Root:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    start = datetime.now(UTC) - timedelta(hours=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return Root(key, builder.sign(key, hashes.SHA256()))


def written(leaf: Leaf, directory: Path, model: TlsFiles) -> TlsFiles:
    directory.mkdir()
    certificate, key = directory / "tls.pem", directory / "tls.key"
    certificate.write_bytes(leaf.certificate_pem)
    key.write_bytes(leaf.key_pem.expose())
    key.chmod(0o600)
    return TlsFiles(certificate, key, model.collection_file)


async def call(duchy: Duchy, door: str, identity: TlsFiles | None) -> None:
    """What would change something behind the door."""
    target = duchy.target(door)
    credentials = client_credentials([read_certificate(duchy.keys.duchy(duchy.name).root_file)], identity)
    with channel(target, credentials) as opened:
        match door:
            case "computation_control":
                stub = ComputationControlStub(opened)
                await stream(stub.AdvanceComputation, [header(), *chunks(BODY)], timeout=5)
            case "requisition_fulfillment":
                await stream(RequisitionFulfillmentStub(opened).FulfillRequisition, requests(duchy), timeout=5)
            case "internal_api":
                claim = wire.ClaimWorkRequest(
                    computation_type=ComputationTypeEnum.LIQUID_LEGIONS_SKETCH_AGGREGATION_V2, owner="a stranger"
                )
                await asyncio.to_thread(ComputationsStub(opened).ClaimWork, claim, timeout=5)
            case _:
                advance = async_wire.AdvanceComputationRequest(global_computation_id="LHdjUf0z6dc")
                await asyncio.to_thread(AsyncComputationControlStub(opened).AdvanceComputation, advance, timeout=5)


async def status(duchy: Duchy, door: str, identity: TlsFiles | None) -> grpc.StatusCode:
    try:
        await call(duchy, door, identity)
    except grpc.RpcError as error:
        return code_of(error)
    return grpc.StatusCode.OK


async def closed(duchy: Duchy, door: str, identity: TlsFiles | None, before: State, kingdom: Kingdom) -> None:
    assert await status(duchy, door, identity) in REFUSED
    assert await state_of(duchy, kingdom) == before


@pytest.mark.parametrize("kind", ["copied", "claiming", "expired", "not yet valid", "of an unknown root"])
async def test_a_forged_or_outdated_certificate_opens_no_door(
    duchy: Duchy, kingdom: Kingdom, roots: dict[str, Root], tmp_path: Path, kind: str
) -> None:
    before = await state_of(duchy, kingdom)
    for door in DOORS:
        owner = OWNERS.get(door, "worker1")
        leaf = forged(kind, owner, duchy.keys, roots)
        identity = written(leaf, tmp_path / door, duchy.keys.duchy("worker1").tls)
        await closed(duchy, door, identity, before, kingdom)


async def test_the_certificate_of_another_party_opens_no_door_but_its_own(duchy: Duchy, kingdom: Kingdom) -> None:
    before = await state_of(duchy, kingdom)
    parties = {each.name: each.tls for each in duchy.keys.parties}
    opens = {
        "computation_control": {"worker1", "worker2", "aggregator"},
        "requisition_fulfillment": {"edp1", "edp2", "consumer"},  # the consumer is a principal, and has no requisition
        "internal_api": {"worker1"},
        "async_computation_control": {"worker1"},
    }
    for door in DOORS:
        for name in parties.keys() - opens[door]:
            await closed(duchy, door, parties[name], before, kingdom)
        await closed(duchy, door, None, before, kingdom)


async def test_the_genuine_certificate_beside_them_opens_the_door(
    duchy: Duchy, roots: dict[str, Root], tmp_path: Path
) -> None:
    """So that it was the certificates that were refused."""
    for door in DOORS:
        owner = OWNERS.get(door, "worker1")
        identity = written(
            roots[owner].issue_tls(owner, ["localhost"]), tmp_path / door, duchy.keys.duchy("worker1").tls
        )
        assert await status(duchy, door, identity) not in REFUSED
