"""What peers and data providers send when a duchy's disk is full: refused for now, nothing kept, taken later."""

from __future__ import annotations

import hashlib

import grpc
import pytest

from duchy.conftest import Duchy, StartDuchy, refusal
from duchy.facts import computation
from duchy.mills import publish_key
from duchy.stand_in import Kingdom
from duchy.test_computation_control import Llv2, chunks, header, in_stage, send, token_of
from duchy.test_fulfillment import fulfill, requests
from full_disk import ROOM, Disk
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

BODY = bytes(range(198)) * (3 * ROOM // 198)
PROMISE = [("gristmill-length", str(len(BODY))), ("gristmill-sha256", hashlib.sha256(BODY).hexdigest())]


@pytest.fixture
async def aggregator(start: StartDuchy, kingdom: Kingdom, disk: Disk) -> Duchy:
    """In CONFIRMATION_PHASE, when its peers may send; blobs and database are on the disk."""
    duchy = await start("aggregator", directory=disk.directory)
    kingdom.say(computation())
    await in_stage(duchy, Llv2.INITIALIZATION_PHASE)
    await publish_key(duchy)
    kingdom.say(computation(Computation.PENDING_PARTICIPANT_CONFIRMATION))
    await in_stage(duchy, Llv2.CONFIRMATION_PHASE)
    return duchy


async def test_a_peers_upload_is_unavailable_and_leaves_no_part(aggregator: Duchy, disk: Disk) -> None:
    before = await token_of(aggregator)
    disk.fill()
    refused = await refusal(send(aggregator, "worker1", [header(), *chunks(BODY, 90_000)], PROMISE))
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    assert "Make room" in (refused.details() or "")
    assert aggregator.files("computations") == []
    disk.make_room()
    assert await token_of(aggregator) == before


async def test_the_peer_sends_again_when_there_is_room(aggregator: Duchy, disk: Disk) -> None:
    disk.fill()
    await refusal(send(aggregator, "worker1", [header(), *chunks(BODY, 90_000)], PROMISE))
    disk.make_room()
    await send(aggregator, "worker1", [header(), *chunks(BODY, 90_000)], PROMISE)
    (kept,) = aggregator.files("computations")
    assert kept.read_bytes() == BODY


async def test_a_data_providers_sketch_is_not_half_recorded_and_taken_later(
    start: StartDuchy, kingdom: Kingdom, disk: Disk
) -> None:
    duchy = await start("worker1", directory=disk.directory)
    kingdom.say(computation())
    await in_stage(duchy, Llv2.INITIALIZATION_PHASE)
    sketch = BODY[: 198 * (2 * ROOM // 198)]
    disk.fill()
    refused = await refusal(fulfill(duchy, requests(duchy, sketch)))
    assert refused.code() is grpc.StatusCode.UNAVAILABLE
    assert duchy.files("requisitions") == []
    assert not any(each.path for each in (await token_of(duchy)).requisitions)
    assert kingdom.fulfilled == []
    disk.make_room()
    assert await fulfill(duchy, requests(duchy, sketch)) == Requisition.FULFILLED
    assert [path.read_bytes() for path in duchy.files("requisitions")] == [sketch]
