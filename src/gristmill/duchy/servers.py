"""A duchy's servers, each as a context that serves until it is left and gives the bound port.

They can share a process and a loop (`gristmill duchy`, tests) or have one each. Which one may trust whom is decided
here: internal API and async control accept certificates under this duchy's own root only, because their messages carry
secrets; computation control accepts the duchies of the info file, requisition fulfillment the data providers of its
map.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from gristmill.duchy import async_computation_control, computation_control, requisition_fulfillment
from gristmill.duchy.async_computation_control import AsyncComputationControl
from gristmill.duchy.computation_control import ComputationControl
from gristmill.duchy.computations import Computations, ComputationStats, ContinuationTokens
from gristmill.duchy.deliveries import Deliveries
from gristmill.duchy.kingdom_log import KingdomLog
from gristmill.duchy.leases import Inspection, Leases, Orchestration, Slots
from gristmill.duchy.listening import Listen, listening
from gristmill.duchy.requisition_fulfillment import RequisitionFulfillment
from gristmill.duchy.slots import PassedSlots
from gristmill.errors import ConfigurationError, ParticipationInvalid
from gristmill.proto.duchy import inspection_pb2_grpc, leases_pb2_grpc, orchestration_pb2_grpc
from gristmill.store import open_store
from gristmill.trust.certificates import Roots, read_certificate, verify_leaf
from gristmill.trust.channels import Target, aio_channel, client_credentials
from gristmill.trust.identity import duchy_parties, principal_parties, read_duchies
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2_grpc
from wfa.measurement.internal.duchy import (
    async_computation_control_service_pb2_grpc,
    computation_stats_service_pb2_grpc,
    computations_service_pb2_grpc,
    continuation_tokens_service_pb2_grpc,
)
from wfa.measurement.system.v1alpha import (
    computation_control_service_pb2_grpc,
    computation_log_entries_service_pb2_grpc,
    requisitions_service_pb2_grpc,
)
from wfa.measurement.system.v1alpha import computations_service_pb2_grpc as system_computations_service_pb2_grpc

if TYPE_CHECKING:
    from cryptography import x509

    from gristmill.blobs import BlobStore
    from gristmill.secret import Secret
    from gristmill.store.sealing import SealsColumns
    from gristmill.trust.files import TlsFiles


@asynccontextmanager
async def serve_internal_api(
    where: Listen,
    tls: TlsFiles,
    *,
    duchy: str,
    database: Secret,
    sealer: SealsColumns,
    kingdom: Target | None = None,
    info_file: Path | None = None,
    blobs: BlobStore | None = None,
) -> AsyncIterator[int]:
    """Computations, ComputationStats, ContinuationTokens and our extensions, over the store.

    Args:
        database: a SQLAlchemy URL.
        kingdom: where log entries go; None writes none.
        info_file: if given, the duchies' roots are not believed to be the kingdom's.
        blobs: where the objects of deleted computations are removed.
    """
    async with open_store(database.expose().decode(), sealer, duchy) as store:
        kingdom_channel = aio_channel(kingdom, kingdom_credentials(tls, info_file)) if kingdom else None
        kingdom_log = None
        if kingdom_channel:
            stub = computation_log_entries_service_pb2_grpc.ComputationLogEntriesStub(kingdom_channel)
            kingdom_log = KingdomLog(duchy, stub)
        wire = computations_service_pb2_grpc
        register = [
            partial(wire.add_ComputationsServicer_to_server, Computations(store, kingdom_log, blobs)),
            partial(computation_stats_service_pb2_grpc.add_ComputationStatsServicer_to_server, ComputationStats(store)),
            partial(
                continuation_tokens_service_pb2_grpc.add_ContinuationTokensServicer_to_server, ContinuationTokens(store)
            ),
            partial(leases_pb2_grpc.add_LeasesServicer_to_server, Leases(store)),
            partial(orchestration_pb2_grpc.add_OrchestrationServicer_to_server, Orchestration(store)),
            partial(orchestration_pb2_grpc.add_SlotsServicer_to_server, Slots(store)),
            partial(inspection_pb2_grpc.add_InspectionServicer_to_server, Inspection(store)),
        ]
        try:
            async with listening(where, tls, [own_root(tls)], register) as port:
                yield port
        finally:
            if kingdom_log and kingdom_channel:
                await kingdom_log.close()
                await kingdom_channel.close()


@asynccontextmanager
async def serve_async_control(
    where: Listen, tls: TlsFiles, *, duchy: str, internal_api: Target, maximum_attempts: int = 2**31 - 1
) -> AsyncIterator[int]:
    """AsyncComputationControl, and Slots passed through to the internal API."""
    async with aio_channel(internal_api, own_credentials(tls)) as channel:
        control = AsyncComputationControl(
            duchy,
            computations_service_pb2_grpc.ComputationsStub(channel),
            maximum_attempts=maximum_attempts,
            timeout=internal_api.timeout_seconds,
        )
        slots = PassedSlots(orchestration_pb2_grpc.SlotsStub(channel), timeout=internal_api.timeout_seconds)
        wire = async_computation_control_service_pb2_grpc
        register = [
            partial(wire.add_AsyncComputationControlServicer_to_server, control),
            partial(orchestration_pb2_grpc.add_SlotsServicer_to_server, slots),
        ]
        passed = async_computation_control.PASSED
        async with listening(where, tls, [own_root(tls)], register, passed=passed) as port:
            yield port


@asynccontextmanager
async def serve_control(
    where: Listen,
    tls: TlsFiles,
    *,
    duchy: str,
    info_file: Path,
    internal_api: Target,
    async_control: Target,
    blobs: BlobStore,
) -> AsyncIterator[int]:
    """ComputationControl, for the duchies of the info file; strangers as at `serve_fulfillment`."""
    roots = Roots.read(tls.collection_file, allow_development=tls.allow_development)
    parties = duchy_parties(info_file, roots)
    credentials = own_credentials(tls)
    async with aio_channel(internal_api, credentials) as internal, aio_channel(async_control, credentials) as control:
        deliveries = Deliveries(
            duchy,
            orchestration_pb2_grpc.SlotsStub(control),
            async_computation_control_service_pb2_grpc.AsyncComputationControlStub(control),
            async_control.timeout_seconds,
        )
        servicer = ComputationControl(
            duchy,
            parties.caller,
            computations_service_pb2_grpc.ComputationsStub(internal),
            deliveries,
            blobs,
            internal_api.timeout_seconds,
        )
        add = computation_control_service_pb2_grpc.add_ComputationControlServicer_to_server
        passed = computation_control.PASSED
        async with listening(where, tls, list(roots), [partial(add, servicer)], passed=passed) as port:
            yield port


@asynccontextmanager
async def serve_fulfillment(
    where: Listen,
    tls: TlsFiles,
    *,
    duchy: str,
    principals_file: Path,
    internal_api: Target,
    kingdom: Target,
    blobs: BlobStore,
    info_file: Path | None = None,
) -> AsyncIterator[int]:
    """RequisitionFulfillment, for the data providers of the map.

    Strangers get through TLS if any root of the bundle issued their certificate, and then UNAUTHENTICATED.
    """
    roots = Roots.read(tls.collection_file, allow_development=tls.allow_development)
    parties = principal_parties(principals_file, roots)
    async with (
        aio_channel(internal_api, own_credentials(tls)) as internal,
        aio_channel(kingdom, kingdom_credentials(tls, info_file, parties.roots)) as kingdom_channel,
    ):
        servicer = RequisitionFulfillment(
            duchy,
            parties.caller,
            computations_service_pb2_grpc.ComputationsStub(internal),
            requisitions_service_pb2_grpc.RequisitionsStub(kingdom_channel),
            system_computations_service_pb2_grpc.ComputationsStub(kingdom_channel),
            blobs,
            timeout=internal_api.timeout_seconds,
        )
        add = requisition_fulfillment_service_pb2_grpc.add_RequisitionFulfillmentServicer_to_server
        passed = requisition_fulfillment.PASSED
        async with listening(where, tls, list(roots), [partial(add, servicer)], passed=passed) as port:
            yield port


def own_root(tls: TlsFiles) -> x509.Certificate:
    """The root of the bundle that issued this process's own certificate, proved by its key."""
    roots = Roots.read(tls.collection_file, allow_development=tls.allow_development)
    leaf = read_certificate(tls.certificate_file)
    root = roots.issuer_of(leaf)
    try:
        if root is None:
            raise ParticipationInvalid("the bundle lacks its root")
        verify_leaf(leaf, root, what=str(tls.certificate_file))
    except ParticipationInvalid as error:
        raise ConfigurationError(
            f"the certificate {tls.certificate_file} cannot be used: {error.message}",
            cure="Check --tls-cert-file, and that --cert-collection-file has this duchy's root.",
        ) from None
    return root


def own_credentials(tls: TlsFiles) -> grpc.ChannelCredentials:
    """For channels to this duchy's own servers."""
    return client_credentials([own_root(tls)], tls)


def kingdom_credentials(
    tls: TlsFiles, info_file: Path | None = None, others: list[x509.Certificate] | None = None
) -> grpc.ChannelCredentials:
    """For channels to the kingdom, whose root no file names: any root of the bundle but those of known others."""
    roots = Roots.read(tls.collection_file, allow_development=tls.allow_development)
    duchies = [each.root for each in read_duchies(info_file, roots).values()] if info_file else []
    return client_credentials(roots.without([own_root(tls), *duchies, *(others or ())]), tls)
