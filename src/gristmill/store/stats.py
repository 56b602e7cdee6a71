"""Figures of attempts, as mills report them."""

from __future__ import annotations

from sqlalchemy import insert, select

from gristmill.errors import InvalidRequest
from gristmill.protocols import registry
from gristmill.store import tables
from gristmill.store.rows import find
from gristmill.store.transaction import Transaction
from wfa.measurement.internal.duchy.computation_stats_service_pb2 import CreateComputationStatRequest


async def create(transaction: Transaction, request: CreateComputationStatRequest) -> None:
    if not request.local_computation_id or not request.metric_name:
        raise InvalidRequest("local_computation_id and metric_name must be set")
    computation = await find(transaction, request.local_computation_id, lock=True)
    columns = tables.stats.c
    key = {
        "computation": computation.id,
        "stage": registry.stage_of(request.computation_stage)[1],
        "attempt": request.attempt,
        "name": request.metric_name,
    }
    there = select(columns.value).where(*(columns[name] == value for name, value in key.items()))
    if await transaction.first(there) is None:
        values = {**key, "value": request.metric_value, "created": transaction.now}
        await transaction.run(insert(tables.stats).values(values))
