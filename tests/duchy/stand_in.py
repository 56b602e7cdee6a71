"""A stand-in for the kingdom, small enough to be told exactly what to say, behind real gRPC and mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from duchy.facts import continuation_token
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import server_credentials
from gristmill.trust.development import DevelopmentKeys
from wfa.measurement.system.v1alpha import computation_log_entries_service_pb2_grpc as log_grpc
from wfa.measurement.system.v1alpha import computation_participants_service_pb2_grpc as participants_grpc
from wfa.measurement.system.v1alpha import computations_service_pb2 as computations
from wfa.measurement.system.v1alpha import computations_service_pb2_grpc as computations_grpc
from wfa.measurement.system.v1alpha import requisitions_service_pb2 as requisitions
from wfa.measurement.system.v1alpha import requisitions_service_pb2_grpc as requisitions_grpc
from wfa.measurement.system.v1alpha.computation_log_entry_pb2 import ComputationLogEntry
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition


@dataclass
class Kingdom(
    computations_grpc.ComputationsServicer,
    participants_grpc.ComputationParticipantsServicer,
    requisitions_grpc.RequisitionsServicer,
    log_grpc.ComputationLogEntriesServicer,
):
    """Says what `say` was given, to whoever streams; keeps what it hears."""

    port: int = 0
    said: list[Computation] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refuse_failures: int = 0
    fulfilled: list[requisitions.FulfillRequisitionRequest] = field(default_factory=list)
    log_entries: list[ComputationLogEntry] = field(default_factory=list)
    refuse_fulfillment: grpc.StatusCode | None = None
    break_streams: grpc.StatusCode | None = None
    log_delay: float = 0.0
    known: Computation | None = None

    def say(self, *computations_: Computation) -> None:
        for each in computations_:
            copy = Computation()
            copy.CopyFrom(each)
            self.said.append(copy)

    async def StreamActiveComputations(self, request, context):  # noqa: N802
        self.streams.append(request.continuation_token)
        after = next(
            (at for at in range(len(self.said) + 1) if continuation_token(at) == request.continuation_token), 0
        )
        if self.break_streams:
            await context.abort(self.break_streams, "the stand-in was told to")
        while True:
            while after < len(self.said):
                after += 1
                yield computations.StreamActiveComputationsResponse(
                    computation=self.said[after - 1], continuation_token=continuation_token(after)
                )
            await asyncio.sleep(0.01)
            if self.break_streams:
                await context.abort(self.break_streams, "the stand-in was told to")

    async def GetComputation(self, request, context):  # noqa: N802
        return self.known or Computation(name=request.name)

    async def SetComputationResult(self, request, context):  # noqa: N802
        raise NotImplementedError

    async def FailComputationParticipant(self, request, context):  # noqa: N802
        if self.refuse_failures:
            self.refuse_failures -= 1
            await context.abort(grpc.StatusCode.INTERNAL, "the stand-in was told to")
        self.failures.append(f"{request.name}: {request.failure.error_message}")
        return ComputationParticipant(name=request.name)

    async def GetComputationParticipant(self, request, context):  # noqa: N802
        raise NotImplementedError

    async def SetParticipantRequisitionParams(self, request, context):  # noqa: N802
        raise NotImplementedError

    async def ConfirmComputationParticipant(self, request, context):  # noqa: N802
        raise NotImplementedError

    async def FulfillRequisition(self, request, context):  # noqa: N802
        self.fulfilled.append(request)
        if self.refuse_fulfillment:
            await context.abort(self.refuse_fulfillment, "the stand-in was told to")
        return Requisition(name=request.name, state=Requisition.FULFILLED)

    async def CreateComputationLogEntry(self, request, context):  # noqa: N802
        await asyncio.sleep(self.log_delay)
        self.log_entries.append(request.computation_log_entry)
        return request.computation_log_entry


@asynccontextmanager
async def serve_kingdom(keys: DevelopmentKeys) -> AsyncIterator[Kingdom]:
    kingdom = Kingdom()
    server = grpc.aio.server()
    computations_grpc.add_ComputationsServicer_to_server(kingdom, server)
    participants_grpc.add_ComputationParticipantsServicer_to_server(kingdom, server)
    requisitions_grpc.add_RequisitionsServicer_to_server(kingdom, server)
    log_grpc.add_ComputationLogEntriesServicer_to_server(kingdom, server)
    roots = [read_certificate(duchy.root_file) for duchy in keys.duchies]
    kingdom.port = server.add_secure_port("127.0.0.1:0", server_credentials(keys.kingdom.tls, roots))
    await server.start()
    try:
        yield kingdom
    finally:
        await server.stop(0)
