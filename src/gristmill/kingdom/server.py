"""The kingdom's server: system API, public API and measurement submission on one port, over mutual TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio

from gristmill.errors import AddressTaken
from gristmill.kingdom.certificates import Certificates, record_of
from gristmill.kingdom.computation_participants import ComputationLogEntries, ComputationParticipants
from gristmill.kingdom.computations import Computations
from gristmill.kingdom.measurements import Measurements
from gristmill.kingdom.protocol import LiquidLegionsParameters
from gristmill.kingdom.registry import Registry
from gristmill.kingdom.requisitions import Requisitions
from gristmill.kingdom.share_shuffle import ShareShuffleParameters
from gristmill.kingdom.statuses import Statuses
from gristmill.kingdom.system_requisitions import SystemRequisitions
from gristmill.proto.kingdom import measurements_pb2_grpc
from gristmill.store.kingdom import certificates
from gristmill.store.kingdom.database import KingdomStore, open_kingdom_store
from gristmill.trust.certificates import Roots, read_certificate, subject_key_identifier
from gristmill.trust.channels import SERVER_OPTIONS, server_credentials
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.files import TlsFiles
from gristmill.trust.identity import Parties
from wfa.measurement.api.v2alpha import certificates_service_pb2_grpc, requisitions_service_pb2_grpc
from wfa.measurement.system.v1alpha import computation_log_entries_service_pb2_grpc as log_entries_grpc
from wfa.measurement.system.v1alpha import computation_participants_service_pb2_grpc as participants_grpc
from wfa.measurement.system.v1alpha import computations_service_pb2_grpc as computations_grpc
from wfa.measurement.system.v1alpha import requisitions_service_pb2_grpc as system_requisitions_grpc


@dataclass(frozen=True, slots=True)
class KingdomSettings:
    """What a kingdom needs: its TLS identity, the consortium's public files, a database, the protocols' parameters.

    With `shares` every measurement is carried out by share shuffle.
    """

    tls: TlsFiles
    consortium: Path
    database: Path
    parameters: LiquidLegionsParameters = field(default_factory=LiquidLegionsParameters)
    shares: ShareShuffleParameters | None = None
    stream_seconds: float = 600.0
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class RunningKingdom:
    """A kingdom that answers: its port, and its store for tests to look into."""

    port: int
    store: KingdomStore


@asynccontextmanager
async def serve(
    settings: KingdomSettings, *, host: str = "127.0.0.1", port: int = 0, grace_seconds: float = 1.0
) -> AsyncIterator[RunningKingdom]:
    """Serve until the context is left; port 0 lets the operating system choose. Raises ConfigurationError."""
    keys = DevelopmentKeys.load(settings.consortium)
    registry = read_registry(keys, settings.tls)
    credentials = server_credentials(settings.tls, registry.parties.roots)
    async with open_kingdom_store(settings.database) as store:
        await _register_certificates(store, registry, keys)
        server = grpc.aio.server(interceptors=_interceptors(settings), options=SERVER_OPTIONS)
        _add_services(server, store, registry, settings)
        try:
            bound = server.add_secure_port(f"{host}:{port}", credentials)
        except RuntimeError:
            raise AddressTaken(f"port {port} of {host} is taken", cure="Choose another --port.") from None
        await server.start()
        try:
            yield RunningKingdom(bound, store)
        finally:
            await server.stop(grace_seconds)


def read_registry(keys: DevelopmentKeys, tls: TlsFiles) -> Registry:
    """All parties of the consortium that call a kingdom, each with its own root."""
    parties = [party for party in keys.parties if party.resource]
    roots = {party.resource: read_certificate(party.root_file) for party in parties}
    bundle = Roots.read(tls.collection_file, allow_development=tls.allow_development)
    identified = [(name, subject_key_identifier(root) or b"") for name, root in roots.items()]
    return Registry(Parties(identified, bundle), roots, keys.aggregator)


async def _register_certificates(store: KingdomStore, registry: Registry, keys: DevelopmentKeys) -> None:
    """Record the consortium's consent-signaling certificates; those that are there already stay as they are."""
    async with store.transaction() as transaction:
        for party in keys.parties:
            if party.certificate and await certificates.find(transaction, party.certificate) is None:
                der = party.signing_certificate_file.read_bytes()
                await certificates.add(transaction, record_of(registry, party.resource, der, name=party.certificate))


def _interceptors(settings: KingdomSettings) -> list[grpc.aio.ServerInterceptor]:
    if not settings.verbose:
        return [Statuses()]
    from gristmill.observe.calls import LoggedServer

    return [LoggedServer(), Statuses()]


def _add_services(server: grpc.aio.Server, store: KingdomStore, registry: Registry, settings: KingdomSettings) -> None:
    computations_grpc.add_ComputationsServicer_to_server(
        Computations(store, registry, stream_seconds=settings.stream_seconds), server
    )
    participants_grpc.add_ComputationParticipantsServicer_to_server(ComputationParticipants(store, registry), server)
    log_entries_grpc.add_ComputationLogEntriesServicer_to_server(ComputationLogEntries(store, registry), server)
    system_requisitions_grpc.add_RequisitionsServicer_to_server(SystemRequisitions(store, registry), server)
    requisitions_service_pb2_grpc.add_RequisitionsServicer_to_server(Requisitions(store, registry), server)
    certificates_service_pb2_grpc.add_CertificatesServicer_to_server(Certificates(store, registry), server)
    measurements_pb2_grpc.add_MeasurementsServicer_to_server(
        Measurements(store, registry, settings.parameters, settings.shares), server
    )
