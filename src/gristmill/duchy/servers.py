"""The servers around the internal API, each as a context that serves until it is left and gives the bound port.

They can share a process and a loop (`gristmill duchy`, tests) or have one each. Which one may trust whom is decided
here: async control accepts certificates under this duchy's own root only, as it leads to the internal API; computation
control accepts the duchies of the info file, requisition fulfillment the data providers of its map.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.duchy import async_computation_control, computation_control, requisition_fulfillment
from gristmill.duchy.async_computation_control import AsyncComputationControl
from gristmill.duchy.computation_control import ComputationControl
from gristmill.duchy.credentials import kingdom_credentials, own_credentials, own_root
from gristmill.duchy.deliveries import Deliveries
from gristmill.duchy.listening import Listen, listening
from gristmill.duchy.requisition_fulfillment import RequisitionFulfillment
from gristmill.duchy.slots import PassedSlots
from gristmill.proto.duchy import orchestration_pb2_grpc
from gristmill.trust.certificates import Roots
from gristmill.trust.channels import Target, aio_channel
from gristmill.trust.identity import duchy_parties, principal_parties
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2_grpc
from wfa.measurement.internal.duchy import (
    async_computation_control_service_pb2_grpc,
    computations_service_pb2_grpc,
)
from wfa.measurement.system.v1alpha import (
    computation_control_service_pb2_grpc,
    requisitions_service_pb2_grpc,
)
from wfa.measurement.system.v1alpha import computations_service_pb2_grpc as system_computations_service_pb2_grpc

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.trust.files import TlsFiles


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
