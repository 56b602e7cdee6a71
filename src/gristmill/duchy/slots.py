"""gristmill.duchy.Slots at async control: handed to the internal API, which owns the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gristmill.duchy.status import Context
from gristmill.proto.duchy import orchestration_pb2
from gristmill.proto.duchy.orchestration_pb2_grpc import SlotsServicer

if TYPE_CHECKING:
    from gristmill.proto.duchy.orchestration_pb2_grpc import SlotsAsyncStub


class PassedSlots(SlotsServicer):
    def __init__(self, internal_api: SlotsAsyncStub, *, timeout: float = 30.0) -> None:
        self._internal_api, self._timeout = internal_api, timeout

    async def JudgeMessage(  # noqa: N802
        self, request: orchestration_pb2.SlotMessage, context: Context
    ) -> orchestration_pb2.JudgeMessageResponse:
        return await self._internal_api.JudgeMessage(request, timeout=self._timeout)

    async def FillSlot(  # noqa: N802
        self, request: orchestration_pb2.FillSlotRequest, context: Context
    ) -> orchestration_pb2.FillSlotResponse:
        return await self._internal_api.FillSlot(request, timeout=self._timeout)
