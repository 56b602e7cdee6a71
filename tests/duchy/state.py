"""All that a call could have changed at a duchy: the same before and after a refusal."""

from __future__ import annotations

from typing import NamedTuple

from duchy.conftest import Duchy
from duchy.facts import ID
from duchy.stand_in import Kingdom
from duchy.test_computation_control import token_of
from gristmill.proto.duchy.inspection_pb2 import Event, ListEventsRequest
from gristmill.proto.duchy.inspection_pb2_grpc import InspectionStub
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken


class State(NamedTuple):
    token: ComputationToken
    events: list[Event]
    files: dict[str, bytes]
    fulfilled: int
    failures: list[str]


async def state_of(duchy: Duchy, kingdom: Kingdom) -> State:
    listed = await InspectionStub(duchy.channel("internal_api")).ListEvents(ListEventsRequest(global_computation_id=ID))
    files = {str(path): path.read_bytes() for path in duchy.files("")}
    return State(await token_of(duchy), list(listed.events), files, len(kingdom.fulfilled), [*kingdom.failures])
