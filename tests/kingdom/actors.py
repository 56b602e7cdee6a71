"""Parties that call a real kingdom over mutual TLS, each with its own certificate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio

from gristmill import _native
from gristmill.consumer.keys import ConsumerKeys
from gristmill.consumer.request import MeasurementRequest, Privacy, build
from gristmill.kingdom.protocol import LiquidLegionsParameters
from gristmill.kingdom.server import KingdomSettings, serve
from gristmill.proto.kingdom import measurements_pb2 as measurements
from gristmill.proto.kingdom.measurements_pb2_grpc import MeasurementsStub
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, aio_channel, client_credentials
from gristmill.trust.consent import sign_el_gamal_key, sign_encryption_key
from gristmill.trust.development import DevelopmentKeys, Party
from gristmill.trust.hybrid import PrivateKeyset
from gristmill.trust.signatures import Signer, signed_bytes
from wfa.measurement.api.v2alpha import requisitions_service_pb2 as requisitions
from wfa.measurement.api.v2alpha.certificates_service_pb2_grpc import CertificatesStub
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.api.v2alpha.requisition_spec_pb2 import RequisitionSpec
from wfa.measurement.api.v2alpha.requisitions_service_pb2_grpc import RequisitionsStub
from wfa.measurement.system.v1alpha import computation_participants_service_pb2 as participants
from wfa.measurement.system.v1alpha import computations_service_pb2 as computations
from wfa.measurement.system.v1alpha import requisitions_service_pb2 as system_requisitions
from wfa.measurement.system.v1alpha.computation_log_entries_service_pb2_grpc import ComputationLogEntriesStub
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_participants_service_pb2_grpc import ComputationParticipantsStub
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.system.v1alpha.requisitions_service_pb2_grpc import RequisitionsStub as SystemRequisitionsStub

DUCHIES = ("worker1", "worker2", "aggregator")
PRIVACY = Privacy(1.0, 1e-5)


@dataclass(frozen=True)
class Duchy:
    """A duchy that does what the test says; its keys are real."""

    name: str
    party: Party
    channel: grpc.aio.Channel
    key_pair: tuple[bytes, bytes] = field(default_factory=_native.generate_key_pair)
    keyset: PrivateKeyset = field(default_factory=PrivateKeyset.generate)

    @property
    def participants(self) -> ComputationParticipantsStub:
        return ComputationParticipantsStub(self.channel)

    @property
    def computations(self) -> ComputationsStub:
        return ComputationsStub(self.channel)

    @property
    def requisitions(self) -> SystemRequisitionsStub:
        return SystemRequisitionsStub(self.channel)

    @property
    def log_entries(self) -> ComputationLogEntriesStub:
        return ComputationLogEntriesStub(self.channel)

    def own(self, computation: str) -> str:
        return f"{computation}/participants/{self.name}"

    def signed_key(self, protocol: str = "liquid_legions_v2") -> ComputationParticipant.RequisitionParams:
        signer = Signer.read(certificate=self.party.signing_certificate_file, key=self.party.signing_key_file)
        serialized, signature = sign_el_gamal_key(self.key_pair[1], signer)
        params = ComputationParticipant.RequisitionParams(duchy_certificate=self.party.certificate)
        key = getattr(params, protocol)
        key.el_gamal_public_key = serialized
        key.el_gamal_public_key_signature = signature.value
        key.el_gamal_public_key_signature_algorithm_oid = signature.algorithm_oid
        return params

    def signed_encryption_key(self) -> ComputationParticipant.RequisitionParams:
        """For share shuffle; the aggregator has none."""
        params = ComputationParticipant.RequisitionParams(duchy_certificate=self.party.certificate)
        params.honest_majority_share_shuffle.SetInParent()
        if self.name != "aggregator":
            signer = Signer.read(certificate=self.party.signing_certificate_file, key=self.party.signing_key_file)
            serialized, signature = sign_encryption_key(self.keyset.public_key, signer)
            params.honest_majority_share_shuffle.tink_public_key = serialized
            params.honest_majority_share_shuffle.tink_public_key_signature = signature.value
            params.honest_majority_share_shuffle.tink_public_key_signature_algorithm_oid = signature.algorithm_oid
        return params

    async def publish(
        self, computation: str, params: ComputationParticipant.RequisitionParams | None = None, *, etag: str = ""
    ) -> ComputationParticipant:
        """Its ElGamal key, if not something else."""
        return await self.participants.SetParticipantRequisitionParams(
            participants.SetParticipantRequisitionParamsRequest(
                name=self.own(computation), requisition_params=params or self.signed_key(), etag=etag
            )
        )

    async def read(self, computation: str) -> ComputationParticipant:
        return await self.participants.GetComputationParticipant(
            participants.GetComputationParticipantRequest(name=self.own(computation))
        )

    async def confirm(self, computation: str, *, etag: str = "") -> ComputationParticipant:
        return await self.participants.ConfirmComputationParticipant(
            participants.ConfirmComputationParticipantRequest(name=self.own(computation), etag=etag)
        )

    async def fail(self, computation: str, message: str = "out of grist") -> ComputationParticipant:
        failure = ComputationParticipant.Failure(error_message=message)
        return await self.participants.FailComputationParticipant(
            participants.FailComputationParticipantRequest(name=self.own(computation), failure=failure)
        )

    async def computation(self, computation: str) -> Computation:
        return await self.computations.GetComputation(computations.GetComputationRequest(name=computation))

    async def fulfil(self, name: str, nonce: int, *, etag: str = "") -> None:
        await self.requisitions.FulfillRequisition(
            system_requisitions.FulfillRequisitionRequest(name=name, nonce=nonce, etag=etag)
        )

    async def set_result(self, computation: str, ciphertext: bytes, public_key: bytes) -> Computation:
        return await self.computations.SetComputationResult(
            computations.SetComputationResultRequest(
                name=computation,
                aggregator_certificate=self.party.certificate,
                result_public_key=public_key,
                encrypted_result=ciphertext,
                public_api_version="v2alpha",
            )
        )


@dataclass(frozen=True)
class World:
    """A kingdom that answers, and everybody's channels to it."""

    keys: DevelopmentKeys
    database: Path
    target: Target
    consumer: ConsumerKeys
    channels: dict[str, grpc.aio.Channel]
    duchies: dict[str, Duchy]

    @property
    def measurements(self) -> MeasurementsStub:
        return MeasurementsStub(self.channels[self.keys.measurement_consumer.name])

    def requisitions(self, provider: str) -> RequisitionsStub:
        return RequisitionsStub(self.channels[provider])

    def certificates(self, party: str) -> CertificatesStub:
        return CertificatesStub(self.channels[party])

    @property
    def request(self) -> MeasurementRequest:
        return MeasurementRequest(
            data_providers=tuple(provider.name for provider in self.consumer.data_providers),
            reach=PRIVACY,
            frequency=PRIVACY,
            maximum_frequency=5,
        )

    def build(self, request: MeasurementRequest | None = None) -> Measurement:
        return build(request or self.request, self.consumer)

    async def submit(self, measurement: Measurement, *, request_id: str = "") -> Measurement:
        return await self.measurements.CreateMeasurement(
            measurements.CreateMeasurementRequest(
                parent=self.consumer.name, measurement=measurement, request_id=request_id
            )
        )

    async def get(self, name: str) -> Measurement:
        return await self.measurements.GetMeasurement(measurements.GetMeasurementRequest(name=name))

    async def listed(self, provider: str) -> list[Requisition]:
        response = await self.requisitions(provider).ListRequisitions(
            requisitions.ListRequisitionsRequest(parent=self.keys.data_provider(provider).resource)
        )
        return list(response.requisitions)

    def nonce(self, provider: str, requisition: Requisition) -> int:
        """What the data provider reads in its requisition specification."""
        keyset = PrivateKeyset.read(self.keys.data_provider(provider).private_keyset_file)
        signed = keyset.decrypt_message(requisition.encrypted_requisition_spec, SignedMessage, what="the specification")
        return RequisitionSpec.FromString(signed_bytes(signed)).nonce

    async def publish_all(self, computation: str) -> None:
        """The ElGamal keys of the computation's protocol, all at the same time, as duchies do."""
        seen = await self.duchies["worker1"].computation(computation)
        protocol = str(seen.mpc_protocol_config.WhichOneof("protocol"))
        await asyncio.gather(
            *(duchy.publish(computation, duchy.signed_key(protocol)) for duchy in self.duchies.values())
        )

    async def publish_all_encryption_keys(self, computation: str) -> None:
        """The same for share shuffle."""
        await asyncio.gather(
            *(duchy.publish(computation, duchy.signed_encryption_key()) for duchy in self.duchies.values())
        )

    async def confirm_all(self, computation: str) -> None:
        """All at the same time, as duchies do."""
        await asyncio.gather(*(duchy.confirm(computation) for duchy in self.duchies.values()))


def computation_of(measurement: Measurement) -> str:
    """A measurement and its computation share their ID."""
    return f"computations/{measurement.name.rpartition('/')[2]}"


@asynccontextmanager
async def world(
    keys: DevelopmentKeys, database: Path, *, reach_only: bool = False, **settings: Any
) -> AsyncIterator[World]:
    """A kingdom on a free port of 127.0.0.1."""
    small = LiquidLegionsParameters(
        decay_rate=10.0, max_size=1000, sampling_indicator_size=100_000, reach_only=reach_only
    )
    kingdom_settings = KingdomSettings(keys.kingdom.tls, keys.directory, database, small, **settings)
    async with serve(kingdom_settings, grace_seconds=0) as kingdom, AsyncExitStack() as stack:
        target = Target(f"127.0.0.1:{kingdom.port}", keys.kingdom.cert_host)
        root = read_certificate(keys.kingdom.root_file)
        channels = {
            party.name: await stack.enter_async_context(aio_channel(target, client_credentials([root], party.tls)))
            for party in keys.parties
        }
        duchies = {party.name: Duchy(party.name, party, channels[party.name]) for party in keys.duchies}
        yield World(keys, database, target, ConsumerKeys.of(keys), channels, duchies)
