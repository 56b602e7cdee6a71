"""How duchies and consumers follow what changes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import InvalidRequest
from gristmill.kingdom import names, pages
from gristmill.proto.kingdom import measurements_pb2 as measurements
from gristmill.trust.development import DevelopmentKeys
from kingdom.actors import Duchy, World, computation_of, world
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.system.v1alpha import computation_log_entries_service_pb2 as log_entries
from wfa.measurement.system.v1alpha import computations_service_pb2 as wire
from wfa.measurement.system.v1alpha.computation_log_entry_pb2 import ComputationLogEntry
from wfa.measurement.system.v1alpha.computation_pb2 import Computation


async def read(duchy: Duchy, token: str, count: int) -> list[wire.StreamActiveComputationsResponse]:
    """The next `count` responses of a stream that continues at `token`."""
    call = duchy.computations.StreamActiveComputations(
        wire.StreamActiveComputationsRequest(continuation_token=token), timeout=20
    )
    responses = []
    async for response in call:
        responses.append(response)
        if len(responses) == count:
            call.cancel()
            break
    return responses


async def test_a_stream_continues_after_its_token_and_misses_nothing(kingdom: World) -> None:
    duchy = kingdom.duchies["worker1"]
    submitted = [computation_of(await kingdom.submit(kingdom.build())) for _ in range(3)]
    first = await read(duchy, "", 2)
    rest = await read(duchy, first[-1].continuation_token, 1)
    assert [response.computation.name for response in first + rest] == submitted


async def test_a_change_moves_a_computation_behind_the_token(kingdom: World) -> None:
    duchy = kingdom.duchies["worker1"]
    first, second = [computation_of(await kingdom.submit(kingdom.build())) for _ in range(2)]
    token = (await read(duchy, "", 2))[-1].continuation_token
    await kingdom.duchies["worker2"].fail(first)
    (changed,) = await read(duchy, token, 1)
    assert (changed.computation.name, changed.computation.state) == (first, Computation.FAILED)
    assert [one.computation.name for one in await read(duchy, "", 2)] == [second, first]


async def test_a_waiting_stream_is_told_at_once(kingdom: World) -> None:
    waiting = asyncio.create_task(read(kingdom.duchies["aggregator"], "", 1))
    await asyncio.sleep(0.1)
    computation = computation_of(await kingdom.submit(kingdom.build()))
    (response,) = await asyncio.wait_for(waiting, 5)
    assert response.computation.name == computation


async def test_a_computation_that_waits_for_data_providers_is_not_delivered(kingdom: World) -> None:
    pending = computation_of(await kingdom.submit(kingdom.build()))
    await kingdom.publish_all(pending)
    other = computation_of(await kingdom.submit(kingdom.build()))
    (response,) = await read(kingdom.duchies["worker1"], "", 1)
    assert response.computation.name == other


async def test_a_stream_ends_by_itself_when_its_time_is_over(keys: DevelopmentKeys, tmp_path: Path) -> None:
    async with world(keys, tmp_path / "kingdom.sqlite", stream_seconds=0.2) as kingdom:
        call = kingdom.duchies["worker1"].computations.StreamActiveComputations(wire.StreamActiveComputationsRequest())
        assert [response async for response in call] == []
        assert await call.code() is grpc.StatusCode.OK


async def test_a_token_that_was_never_given_is_refused(kingdom: World) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read(kingdom.duchies["worker1"], "*not a token*", 1)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_was_recorded_is_there_after_a_restart(keys: DevelopmentKeys, tmp_path: Path) -> None:
    async with world(keys, tmp_path / "kingdom.sqlite") as kingdom:
        measurement = await kingdom.submit(kingdom.build())
        (before,) = await read(kingdom.duchies["worker1"], "", 1)
    async with world(keys, tmp_path / "kingdom.sqlite") as kingdom:
        assert await kingdom.get(measurement.name) == measurement
        assert await read(kingdom.duchies["worker1"], "", 1) == [before]


async def test_watching_a_measurement_ends_with_it(kingdom: World) -> None:
    measurement = await kingdom.submit(kingdom.build())
    seen: list[Measurement.State.ValueType] = []
    call = kingdom.measurements.WatchMeasurement(measurements.WatchMeasurementRequest(name=measurement.name))
    async for shown in call:
        seen.append(shown.state)
        if len(seen) == 1:
            await kingdom.duchies["worker1"].fail(computation_of(measurement))
    assert seen == [Measurement.AWAITING_REQUISITION_FULFILLMENT, Measurement.FAILED]


async def test_log_entries_are_kept_and_permanent_errors_refused(kingdom: World) -> None:
    duchy = kingdom.duchies["worker1"]
    parent = duchy.own(computation_of(await kingdom.submit(kingdom.build())))
    entry = ComputationLogEntry(log_message="entered SETUP_PHASE")
    request = log_entries.CreateComputationLogEntryRequest(parent=parent, computation_log_entry=entry)
    kept = await duchy.log_entries.CreateComputationLogEntry(request)
    assert re.fullmatch(re.escape(parent) + r"/logEntries/[\w-]{11}", kept.name)
    request.computation_log_entry.error_details.type = ComputationLogEntry.ErrorDetails.PERMANENT
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await duchy.log_entries.CreateComputationLogEntry(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_ids_and_tokens_round_trip(identifier: int) -> None:
    assert names.from_text(names.to_text(identifier)) == identifier
    assert names.parse_computation(names.computation(identifier)) == identifier
    position = (identifier % 2**50, identifier)
    assert pages.from_token(pages.to_token(position)) == position
    assert names.etag_time(names.etag(position[0])) == position[0]


@pytest.mark.parametrize("parse", [names.parse_computation, names.parse_participant, names.parse_system_requisition])
@pytest.mark.parametrize(
    "name", ["", "computations/", "computations/AAAAAAAAAAA", "computations/../../etc", "x" * 9999]
)
def test_names_that_are_none_are_refused(parse: Callable[[str], object], name: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(name)
