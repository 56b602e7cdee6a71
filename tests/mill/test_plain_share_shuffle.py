"""Share shuffle by our mills alone over internal APIs that know none of our extensions, with keys in blob storage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from gristmill.blobs import LocalBlobs, private_key_key
from gristmill.errors import ConfigurationError
from gristmill.mill import runner
from gristmill.secret import Secret
from gristmill.trust.files import write_private_file
from gristmill.trust.hybrid import PrivateKeyset, private_key_id
from gristmill.trust.key_encryption import KeyEncryption, new_key_encryption_keyset
from gristmill.trust.random_seed import seal_seed
from gristmill.trust.signatures import SignedMessage, Signer
from mill import pki
from mill.conftest import World
from mill.plain_ring import plain_ring
from mill.shares import MODULUS, ROLES, WORKERS
from mill.wires import SHARE_SHUFFLE
from reference.share_shuffle import share
from wfa.frequency_count.frequency_vector_pb2 import FrequencyVector
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.certificates_service_pb2_grpc import CertificatesServicer
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism

ID = "LHdjUf0z6dc"
VECTORS = ([0, 1, 2, 0, 3], [0, 1, 0, 0, 1])
PROVIDERS = ("edp1", "edp2")


@dataclass
class Kingdom(CertificatesServicer):
    """The public API: data providers' certificates, and what has become of them."""

    identities: dict[str, pki.Identity]
    revoked: str = ""

    def GetCertificate(self, request: Any, context: grpc.ServicerContext) -> Certificate:  # noqa: N802
        provider = request.name.split("/")[1]
        state = Certificate.REVOKED if provider == self.revoked else Certificate.REVOCATION_STATE_UNSPECIFIED
        der = self.identities[provider].signing_cert.read_bytes()
        return Certificate(name=request.name, x509_der=der, revocation_state=state)


@dataclass
class Ring:
    worlds: dict[str, World]
    tokens: dict[str, ComputationToken]
    consumer: PrivateKeyset
    kingdom: Kingdom

    def run(self, *duchies: str) -> None:
        """Let the mills of these duchies, or of all, do what there is to do."""
        for _ in range(6):
            for duchy in duchies or self.worlds:
                world = self.worlds[duchy]
                if world.internal.queue:
                    with world.mill(self.tokens[duchy], **flags(world)) as (mill, _):
                        mill.drain()

    def stages(self) -> list[int]:
        return [SHARE_SHUFFLE.stage_of(self.tokens[duchy]) for duchy in ROLES]


def flags(world: World) -> dict[str, str | None]:
    return {
        "protocols_setup_config": str(world.directory / "setup.textproto"),
        "kingdom_public_api_target": f"127.0.0.1:{world.ports['kingdom']}",
        "kingdom_public_api_cert_host": "localhost",
        "key_encryption_key_file": str(world.directory / "kek.tink"),
    }


@pytest.fixture
def ring(tmp_path: Path, identities: dict[str, pki.Identity]) -> Iterator[Ring]:
    """The computation in every duchy as an existing herald creates it, its shares already there."""
    parties = identities | {name: pki.make(tmp_path, name) for name in PROVIDERS}
    kingdom, consumer = Kingdom(parties), PrivateKeyset.generate()
    spec = MeasurementSpec()
    spec.vid_sampling_interval.width = 1.0
    spec.reach_and_frequency.maximum_frequency = 3
    spec.measurement_public_key.Pack(consumer.public_key)
    keysets = {worker: PrivateKeyset.generate() for worker in WORKERS}
    with plain_ring(tmp_path, parties, SHARE_SHUFFLE, kingdom) as worlds:
        tokens = {duchy: created(world, spec, keysets) for duchy, world in worlds.items()}
        for at, (provider, vector) in enumerate(zip(PROVIDERS, VECTORS, strict=True)):
            hand_in(worlds, tokens, at, parties[provider], vector, keysets[WORKERS[1 - at]])
        for duchy, world in worlds.items():
            world.internal.add(tokens[duchy], queued=True)
        yield Ring(worlds, tokens, consumer, kingdom)


def created(world: World, spec: MeasurementSpec, keysets: dict[str, PrivateKeyset]) -> ComputationToken:
    setup, kek = ProtocolsSetupConfig(), new_key_encryption_keyset()
    mine = setup.honest_majority_share_shuffle
    mine.role = ROLES[world.duchy].value  # type: ignore[assignment]
    mine.first_non_aggregator_duchy_id, mine.second_non_aggregator_duchy_id = WORKERS
    mine.aggregator_duchy_id = "aggregator"
    (world.directory / "setup.textproto").write_text(text_format.MessageToString(setup))
    write_private_file(world.directory / "kek.tink", kek.expose())
    token = ComputationToken(local_computation_id=7, global_computation_id=ID)
    token.computation_stage.CopyFrom(SHARE_SHUFFLE.stage(1))
    known = token.computation_details.kingdom_computation
    known.public_api_version, known.measurement_spec = "v2alpha", spec.SerializeToString()
    part = token.computation_details.honest_majority_share_shuffle
    part.role = mine.role
    part.non_aggregators.extend(WORKERS)
    part.parameters.maximum_frequency, part.parameters.ring_modulus = 3, MODULUS
    part.parameters.noise_mechanism = NoiseMechanism.NONE
    if keyset := keysets.get(world.duchy):
        part.random_seed = world.duchy.encode() * 6 + bytes(6)
        part.encryption_key_pair.private_key_id = private_key_id(keyset.public_key)
        part.encryption_key_pair.public_key.data = keyset.public_key.data
        with LocalBlobs(world.blobs).write(private_key_key(part.encryption_key_pair.private_key_id)) as writer:
            writer.append(KeyEncryption(kek).seal_keyset(keyset.serialize()))
            writer.commit()
    return token


def hand_in(
    worlds: dict[str, World],
    tokens: dict[str, ComputationToken],
    at: int,
    provider: pki.Identity,
    vector: list[int],
    other: PrivateKeyset,
) -> None:
    """At the worker with this number; the seed is for the other."""
    storing, seed = WORKERS[at], bytes([at + 7]) * 48
    signer = Signer.read(certificate=provider.signing_cert, key=provider.signing_key)
    worlds[storing].put(f"requisitions/r{at}", FrequencyVector(data=share(vector, seed, MODULUS)).SerializeToString())
    for duchy, token in tokens.items():
        requisition = token.requisitions.add()
        requisition.external_key.external_requisition_id = f"r{at}"
        requisition.details.external_fulfilling_duchy_id = storing
        if duchy == storing:
            requisition.path = f"r{at}"
            recorded = requisition.details.protocol.honest_majority_share_shuffle
            recorded.secret_seed_ciphertext = seal_seed(Secret(seed), signer, other.public_key).ciphertext
            recorded.register_count = len(vector)
            recorded.data_provider_certificate = f"dataProviders/{provider.name}/certificates/one"


def start(ring: Ring) -> None:
    """The existing herald, when the kingdom says so: the first worker leaves its wait."""
    token = ring.tokens["worker1"]
    assert SHARE_SHUFFLE.stage_of(token) == 2
    token.computation_stage.CopyFrom(SHARE_SHUFFLE.stage(4))
    token.attempt = 0
    ring.worlds["worker1"].internal.add(token, queued=True)


def test_three_mills_count_exactly_and_leave_nothing_unrecorded_behind(ring: Ring) -> None:
    ring.run()
    assert ring.stages() == [2, 3, 6]
    published = ring.worlds["worker1"].kingdom.journal.of("SetParticipantRequisitionParams")[0]
    key = EncryptionPublicKey.FromString(published.requisition_params.honest_majority_share_shuffle.tink_public_key)
    pair = ring.tokens["worker1"].computation_details.honest_majority_share_shuffle.encryption_key_pair
    assert (key.format, key.data) == (EncryptionPublicKey.TINK_KEYSET, pair.public_key.data)
    start(ring)
    ring.run()
    assert ring.stages() == [9, 9, 9]
    assert {each.computation_details.ending_state for each in ring.tokens.values()} == {ComputationDetails.SUCCEEDED}
    (handed_in,) = ring.worlds["aggregator"].kingdom.journal.of("SetComputationResult")
    signed = SignedMessage.FromString(ring.consumer.decrypt(handed_in.encrypted_result).expose())
    result = Measurement.Result()
    assert signed.message.Unpack(result)
    assert result.reach.value == 3
    shares = result.frequency.relative_frequency_distribution
    assert dict(shares) == pytest.approx({2: 2 / 3, 3: 1 / 3})
    for duchy, world in ring.worlds.items():
        assert not [path for path in (world.blobs / "computations" / duchy).rglob("*") if path.is_file()]


def test_a_peer_that_has_not_recorded_its_move_yet_fails_nothing(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """worker2 is through while worker1 is in its setup phase still: it is put back, and goes on later."""
    monkeypatch.setattr(runner, "UNRENEWED_WINDOW", timedelta(seconds=0.5))
    ring.run()
    start(ring)
    ring.run("worker1")
    assert ring.stages() == [5, 4, 6]
    ring.tokens["worker1"].computation_stage.CopyFrom(SHARE_SHUFFLE.stage(4))
    ring.run("worker2")
    assert ring.stages() == [4, 4, 6]
    assert ring.worlds["worker2"].journal.methods().count("EnqueueComputation") == 1
    assert ring.worlds["worker2"].kingdom.journal.of("FailComputationParticipant") == []
    ring.tokens["worker1"].computation_stage.CopyFrom(SHARE_SHUFFLE.stage(5))
    ring.worlds["worker2"].internal.add(ring.tokens["worker2"], queued=True)
    ring.run()
    assert ring.stages() == [9, 9, 9]


def test_a_setup_phase_that_is_repeated_after_a_lost_answer_sends_nothing_again(ring: Ring) -> None:
    """worker1's send timed out although worker2 had taken it: worker2 is past its wait, which is asked first."""
    ring.run()
    start(ring)
    ring.run("worker1")
    (received,) = (ring.worlds["worker2"].blobs / "computations" / "received").rglob("0")
    written = received.stat().st_mtime_ns
    first = ring.tokens["worker1"]
    first.computation_stage.CopyFrom(SHARE_SHUFFLE.stage(4))
    del first.blobs[:]
    first.attempt = 0
    ring.worlds["worker1"].internal.add(first, queued=True)
    ring.run("worker1")
    assert ring.stages() == [5, 4, 6]
    assert received.stat().st_mtime_ns == written
    ring.run()
    assert ring.stages() == [9, 9, 9]


def test_a_revoked_certificate_fails_the_computation_with_that_reason(ring: Ring) -> None:
    ring.kingdom.revoked = "edp2"
    ring.run()
    start(ring)
    ring.run("worker1", "worker2")
    (failed,) = ring.worlds["worker1"].kingdom.journal.of("FailComputationParticipant")
    assert "dataProviders/edp2/certificates/one is not to be trusted" in failed.failure.error_message
    assert failed.name.endswith("participants/worker1")
    assert ring.tokens["worker1"].computation_details.ending_state == ComputationDetails.FAILED


@pytest.mark.parametrize("missing", ["protocols_setup_config", "kingdom_public_api_target"])
def test_a_flag_of_its_own_that_is_missing_is_named(ring: Ring, missing: str) -> None:
    world = ring.worlds["worker1"]
    flag = f"--{missing.replace('_', '-')}"
    with (
        pytest.raises(ConfigurationError, match=flag),
        world.mill(ring.tokens["worker1"], **flags(world) | {missing: None}),
    ):
        pass


def test_a_setup_without_a_role_or_of_another_duchy_is_refused(ring: Ring) -> None:
    world, other = ring.worlds["worker1"], ring.worlds["worker2"]
    for file in (other.directory / "setup.textproto", other.directory / "kek.tink"):
        with (
            pytest.raises(ConfigurationError),
            world.mill(ring.tokens["worker1"], **flags(world) | {"protocols_setup_config": str(file)}),
        ):
            pass


def test_a_claim_of_another_protocol_is_refused(ring: Ring) -> None:
    world = ring.worlds["worker1"]
    with (
        pytest.raises(ConfigurationError, match="the mill hmss cannot work on LIQUID_LEGIONS"),
        world.mill(
            ring.tokens["worker1"], **flags(world), claimed_computation_type="LIQUID_LEGIONS_SKETCH_AGGREGATION_V2"
        ),
    ):
        pass
