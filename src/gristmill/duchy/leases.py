"""Our own services beside the wire-compatible ones: Leases, Orchestration, Slots, Inspection.

Thin: each method is one method of the store.
"""

from __future__ import annotations

from typing import Final

from gristmill.duchy.status import Context
from gristmill.errors import InvalidRequest
from gristmill.proto.duchy import inspection_pb2, leases_pb2, orchestration_pb2
from gristmill.proto.duchy.inspection_pb2_grpc import InspectionServicer
from gristmill.proto.duchy.leases_pb2_grpc import LeasesServicer
from gristmill.proto.duchy.orchestration_pb2_grpc import OrchestrationServicer, SlotsServicer
from gristmill.protocols.table import Fact
from gristmill.store import Fence, Store

_FACTS: Final = {orchestration_pb2.KEYS_SET: Fact.KEYS_SET, orchestration_pb2.STARTED: Fact.STARTED}


class Leases(LeasesServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def GetLease(self, request: leases_pb2.GetLeaseRequest, context: Context) -> leases_pb2.Lease:  # noqa: N802
        return await self._store.lease(request.global_computation_id, request.owner)

    async def RenewLease(  # noqa: N802
        self, request: leases_pb2.RenewLeaseRequest, context: Context
    ) -> leases_pb2.Lease:
        return await self._store.renew(
            request.global_computation_id,
            Fence(request.fence, request.owner),
            request.duration.ToTimedelta(),
            request.progress if request.HasField("progress") else None,
        )

    async def RecordOutput(  # noqa: N802
        self, request: leases_pb2.RecordOutputRequest, context: Context
    ) -> leases_pb2.RecordOutputResponse:
        return await self._store.record_output(
            request.global_computation_id,
            Fence(request.fence, request.owner),
            request.blob_id,
            request.digest,
            request.figures if request.HasField("figures") else None,
        )

    async def PutBack(  # noqa: N802
        self, request: leases_pb2.PutBackRequest, context: Context
    ) -> leases_pb2.PutBackResponse:
        await self._store.put_back(
            request.global_computation_id,
            Fence(request.fence, request.owner),
            request.delay.ToTimedelta(),
            request.reason,
            request.message,
        )
        return leases_pb2.PutBackResponse()


class Orchestration(OrchestrationServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def RecordFact(  # noqa: N802
        self, request: orchestration_pb2.RecordFactRequest, context: Context
    ) -> orchestration_pb2.RecordFactResponse:
        if request.fact not in _FACTS:
            raise InvalidRequest("fact is not set")
        token = await self._store.record_fact(
            request.global_computation_id,
            _FACTS[request.fact],
            request.details if request.HasField("details") else None,
            request.requisitions,
        )
        return orchestration_pb2.RecordFactResponse(token=token)


class Slots(SlotsServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def JudgeMessage(  # noqa: N802
        self, request: orchestration_pb2.SlotMessage, context: Context
    ) -> orchestration_pb2.JudgeMessageResponse:
        return await self._store.judge(request)

    async def FillSlot(  # noqa: N802
        self, request: orchestration_pb2.FillSlotRequest, context: Context
    ) -> orchestration_pb2.FillSlotResponse:
        return await self._store.fill_slot(request.message, request.digest)


class Inspection(InspectionServicer):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def ListComputations(  # noqa: N802
        self, request: inspection_pb2.ListComputationsRequest, context: Context
    ) -> inspection_pb2.ListComputationsResponse:
        return await self._store.summaries(request.page_size, request.page_token)

    async def ShowComputation(  # noqa: N802
        self, request: inspection_pb2.ShowComputationRequest, context: Context
    ) -> inspection_pb2.ComputationSummary:
        return await self._store.summary(request.global_computation_id)

    async def ListEvents(  # noqa: N802
        self, request: inspection_pb2.ListEventsRequest, context: Context
    ) -> inspection_pb2.ListEventsResponse:
        return await self._store.events(request.global_computation_id)
