"""Three duchies' jobs of one share-shuffle computation: real shares, keys and certificates, and no servers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from gristmill.errors import ParticipationInvalid
from gristmill.mill.activity import Activity
from gristmill.mill.certificates import Verified
from gristmill.mill.claims import Claim
from gristmill.mill.job import Job, Services, ShareShuffleServices
from gristmill.protocols import registry
from gristmill.protocols.derive import row_of
from gristmill.protocols.share_shuffle import FIRST, SECOND, SHARE_SHUFFLE, Stage, name_aggregator
from gristmill.protocols.table import Role, Work
from gristmill.secret import Secret
from gristmill.trust.authority import Root
from gristmill.trust.hybrid import PrivateKeyset
from gristmill.trust.random_seed import seal_seed
from gristmill.trust.signatures import Signer
from reference.share_shuffle import share
from wfa.frequency_count.frequency_vector_pb2 import FrequencyVector
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken, RequisitionMetadata
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism

MODULUS = 127
WORKERS = ("worker1", "worker2")
ROLES = {"worker1": FIRST, "worker2": SECOND, "aggregator": Role.AGGREGATOR}
COMPUTATION = "LHdjUf0z6dc"


@dataclass
class Provider:
    """A data provider with its root, its certificate at the kingdom, and what it saw."""

    name: str
    vector: Sequence[int]
    root: Root
    signer: Signer

    @classmethod
    def make(cls, name: str, vector: Sequence[int]) -> Provider:
        root = Root.create(name)
        leaf = root.issue_signing(name)
        key = load_der_private_key(leaf.key_der.expose(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(name, vector, root, Signer(key, leaf.certificate))

    @property
    def certificate(self) -> str:
        return f"dataProviders/{self.name}/certificates/one"


@dataclass
class Certificates:
    """The kingdom's, by name, as `gristmill.mill.certificates` gives them once they are found to hold."""

    known: dict[str, Verified]
    asked: list[str] = field(default_factory=list)

    def of_data_provider(self, name: str, activity: Activity) -> Verified:
        self.asked.append(name)
        if name not in self.known:
            raise ParticipationInvalid(f"the kingdom has no certificate {name}")
        return self.known[name]


@dataclass
class PrivateKeys:
    keysets: dict[str, PrivateKeyset]

    def of(self, claim: Claim, key_id: str) -> PrivateKeyset:
        return self.keysets[key_id]


class Ring:
    """A computation of these data providers, whose shares lie at the workers in turn. `changes` are to parameters."""

    def __init__(self, directory: Path, providers: Sequence[Provider], **changes: Any) -> None:
        self.directory, self.providers = directory, providers
        self.keysets = {worker: PrivateKeyset.generate() for worker in WORKERS}
        self.seeds = {worker: bytes([at + 1]) * 48 for at, worker in enumerate(WORKERS)}
        self.details = {duchy: self._details(duchy, changes) for duchy in ROLES}
        self.requisitions = {duchy: [RequisitionMetadata() for _ in providers] for duchy in ROLES}
        verified = {each.certificate: Verified(each.signer.certificate, each.root.certificate) for each in providers}
        self.certificates = Certificates(verified)
        for at, provider in enumerate(providers):
            self.hand_in(at, provider)

    def _details(self, duchy: str, changes: dict[str, Any]) -> ComputationDetails:
        spec = MeasurementSpec()
        spec.vid_sampling_interval.width = 1.0
        reach_only = changes.get("reach_only", False)
        (spec.reach if reach_only else spec.reach_and_frequency).SetInParent()
        details = ComputationDetails()
        details.kingdom_computation.measurement_spec = spec.SerializeToString()
        part = details.honest_majority_share_shuffle
        part.role = ROLES[duchy].value  # type: ignore[assignment]
        part.non_aggregators.extend(WORKERS)
        part.parameters.maximum_frequency = 1 if reach_only else 5
        part.parameters.ring_modulus = MODULUS
        part.parameters.noise_mechanism = changes.get("mechanism", NoiseMechanism.NONE)
        if part.parameters.noise_mechanism != NoiseMechanism.NONE:
            part.parameters.reach_dp_params.epsilon, part.parameters.reach_dp_params.delta = 1.0, 0.1
            if not reach_only:
                part.parameters.frequency_dp_params.epsilon, part.parameters.frequency_dp_params.delta = 1.0, 0.1
        if duchy in WORKERS:
            part.random_seed = self.seeds[duchy]
            part.encryption_key_pair.private_key_id = duchy
            part.encryption_key_pair.public_key.data = self.keysets[duchy].public_key.data
        return details

    def hand_in(self, at: int, provider: Provider, *, register_count: int = 0, for_key: str = "") -> None:
        """What the fulfilment server of a worker records: a share and the seed of the other one."""
        storing, other = WORKERS[at % 2], WORKERS[1 - at % 2]
        seed = bytes([at]) * 48
        path = self.directory / f"requisition{at}"
        path.write_bytes(FrequencyVector(data=share(provider.vector, seed, MODULUS)).SerializeToString())
        sealed = seal_seed(Secret(seed), provider.signer, self.keysets[for_key or other].public_key)
        for duchy in ROLES:
            requisition = RequisitionMetadata()
            requisition.external_key.external_requisition_id = f"req{at}"
            requisition.details.external_fulfilling_duchy_id = storing
            if duchy == storing:
                requisition.path = path.name
                recorded = requisition.details.protocol.honest_majority_share_shuffle
                recorded.secret_seed_ciphertext = sealed.ciphertext
                recorded.register_count = register_count or len(provider.vector)
                recorded.data_provider_certificate = provider.certificate
            self.requisitions[duchy][at] = requisition

    def job(self, duchy: str, stage: Stage, *inputs: Path) -> Job:
        token = ComputationToken(
            global_computation_id=COMPUTATION,
            computation_stage=registry.wire_stage(SHARE_SHUFFLE, stage),
            computation_details=self.details[duchy],
            requisitions=self.requisitions[duchy],
        )
        seat = registry.seat(token.computation_details, duchy)
        assert seat is not None
        seat = name_aggregator(seat, "aggregator")
        row = row_of(seat, stage)
        assert isinstance(row, Work)
        hour = timedelta(hours=1)
        api: Any = None
        claim = Claim(api, token, lease=None, expires=time.monotonic() + 3600, length=hour, activity=Activity())
        private_keys: Any = PrivateKeys(dict(self.keysets))
        certificates: Any = self.certificates
        nothing: Any = None
        services = Services(
            duchy=duchy,
            blobs=nothing,
            kingdom=nothing,
            peers=nothing,
            signer=nothing,
            certificate="",
            duchies={},
            threads=1,
            share_shuffle=ShareShuffleServices("aggregator", certificates, private_keys),
        )
        mine = [each.path for each in self.requisitions[duchy] if each.path]
        return Job(claim, seat, row, services, inputs, tuple(self.directory / path for path in mine))


def expired(provider: Provider) -> x509.Certificate:
    start = datetime.now(UTC) - timedelta(days=2)
    return provider.root.issue_signing(provider.name, start=start, lifetime=timedelta(days=1)).certificate
