"""Log entries at the kingdom: what this duchy does, for the people who run the whole. Never more than best effort."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import grpc

from gristmill.duchy import names
from gristmill.observe.logs import logger
from gristmill.protocols import registry
from wfa.measurement.system.v1alpha.computation_log_entries_service_pb2 import CreateComputationLogEntryRequest

if TYPE_CHECKING:
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
    from wfa.measurement.system.v1alpha.computation_log_entries_service_pb2_grpc import (
        ComputationLogEntriesAsyncStub,
    )

log = logger("kingdom-log")

TIMEOUT: Final = 5.0
"""Seconds, for each entry."""
MOST_WAITING: Final = 200
"""Entries on their way at once; beyond this, while the kingdom is unreachable, new ones are dropped."""


class KingdomLog:
    """Sends entries from tasks of its own, so that no answer of the internal API waits for the kingdom."""

    def __init__(self, duchy: str, entries: ComputationLogEntriesAsyncStub) -> None:
        self._duchy, self._entries = duchy, entries
        self._waiting: set[asyncio.Task[None]] = set()

    def write(self, token: ComputationToken, message: str, *, actor: str = "") -> None:
        """An entry about the token's stage; `actor` is the mill's ID, where a mill acted."""
        if len(self._waiting) >= MOST_WAITING:
            log.warning("the kingdom does not take log entries, dropping one", computation=token.global_computation_id)
            return
        task = asyncio.create_task(self._send(self._request(token, message, actor)))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """Give what is on its way its few seconds."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=TIMEOUT)

    def _request(self, token: ComputationToken, message: str, actor: str) -> CreateComputationLogEntryRequest:
        computation_type, number = registry.stage_of(token.computation_stage)
        request = CreateComputationLogEntryRequest(parent=names.participant(token.global_computation_id, self._duchy))
        entry = request.computation_log_entry
        entry.log_message = message
        entry.participant_child_reference_id = actor
        entry.stage_attempt.stage = number
        entry.stage_attempt.stage_name = registry.stage_name(computation_type, number)
        entry.stage_attempt.stage_start_time.FromDatetime(datetime.now(UTC))
        entry.stage_attempt.attempt_number = token.attempt
        return request

    async def _send(self, request: CreateComputationLogEntryRequest) -> None:
        try:
            await self._entries.CreateComputationLogEntry(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            log.info("the kingdom did not take a log entry", parent=request.parent, status=error.code().name)
