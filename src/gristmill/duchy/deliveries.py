"""Where a peer's message goes: asked before its body is read, and told once the body is kept.

Our internal API knows the protocol's tables and answers for itself (`gristmill.duchy.Slots`). In front of one that does
not, the wire's own calls of async control do: then a slot opens only with the wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

import grpc

from gristmill.duchy.messages import Announced
from gristmill.proto.duchy import leases_pb2, orchestration_pb2
from gristmill.protocols import registry
from gristmill.protocols.table import Stage, Wait
from wfa.measurement.internal.duchy import async_computation_control_service_pb2 as wire

if TYPE_CHECKING:
    from gristmill.blobs import Digest
    from gristmill.proto.duchy.orchestration_pb2_grpc import SlotsAsyncStub
    from wfa.measurement.internal.duchy.async_computation_control_service_pb2_grpc import (
        AsyncComputationControlAsyncStub,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where to keep a body, relative to the computations store; `blob_id` where the wire's own calls gave the place."""

    path: str
    blob_id: int | None = None


class Deliveries:
    """Judges and records deliveries through async control."""

    def __init__(
        self, duchy: str, slots: SlotsAsyncStub, control: AsyncComputationControlAsyncStub, timeout: float
    ) -> None:
        self._duchy, self._slots, self._control, self._timeout = duchy, slots, control, timeout

    async def judge(self, announced: Announced, sender: str) -> Place | None:
        """Where to keep the body; None when the slot is filled already and the body is to be dropped.

        Raises grpc.aio.AioRpcError with the status that the sender gets.
        """
        try:
            answer = await self._slots.JudgeMessage(_slot(announced, sender), timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            return await self._judge_by_wire(announced, sender)
        return None if answer.verdict == orchestration_pb2.REPEAT else Place(answer.blob_path)

    async def fill(self, announced: Announced, sender: str, place: Place, digest: Digest) -> bool:
        """Record the delivery and move the computation on; False when another delivery was first."""
        if place.blob_id is not None:
            await self._control.AdvanceComputation(
                wire.AdvanceComputationRequest(
                    global_computation_id=announced.computation_id,
                    computation_stage=registry.wire_stage_of(announced.computation_type, _wait_for(announced).value),
                    blob_id=place.blob_id,
                    blob_path=place.path,
                ),
                timeout=self._timeout,
            )
            return True
        answer = await self._slots.FillSlot(
            orchestration_pb2.FillSlotRequest(
                message=_slot(announced, sender),
                digest=leases_pb2.BlobDigest(path=place.path, length=digest.length, sha256=digest.sha256),
            ),
            timeout=self._timeout,
        )
        return answer.verdict == orchestration_pb2.FILL

    async def _judge_by_wire(self, announced: Announced, sender: str) -> Place | None:
        blob = await self._control.GetOutputBlobMetadata(
            wire.GetOutputBlobMetadataRequest(global_computation_id=announced.computation_id, data_origin=sender),
            timeout=self._timeout,
        )
        if blob.path:
            return None
        stage = _wait_for(announced).name
        path = f"{self._duchy}/{announced.computation_id}/{stage}/{blob.blob_id}-{token_hex(8)}"
        return Place(path, blob.blob_id)


def _slot(announced: Announced, sender: str) -> orchestration_pb2.SlotMessage:
    return orchestration_pb2.SlotMessage(
        global_computation_id=announced.computation_id,
        computation_type=announced.computation_type,
        message=announced.message,
        sender=sender,
    )


def _wait_for(announced: Announced) -> Stage:
    """The stage that waits for a message: the same for every role that waits for it."""
    protocol = registry.by_number(announced.computation_type).tables[0]
    message = protocol.messages(announced.message)
    rows = (row for path in protocol.paths.values() for row in path)
    return next(row.stage for row in rows if isinstance(row, Wait) and row.until is message)
