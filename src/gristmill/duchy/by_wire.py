"""The herald's two facts in front of an internal API that cannot remember them: an existing one.

A fact that comes too early is tried again a few times, which is all that the wire allows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from gristmill.errors import PermanentFailure
from gristmill.protocols import derive, registry
from gristmill.protocols.table import Fact, Stage, Work
from wfa.measurement.internal.duchy import computations_service_pb2 as computations
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionEntry

if TYPE_CHECKING:
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
    from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub

DEADLINE: Final = 30.0

_WORK_DONE: Final[Mapping[Fact, Collection[str]]] = {
    Fact.KEYS_SET: ("local_elgamal_key",),
    # Share shuffle's key pair is there from the creation on: the kingdom cannot say this before it was published.
    Fact.STARTED: ("combined_public_key", "encryption_key_pair"),
}
"""What a protocol's details have, if it has such a field, once the work before the wait for a fact is done."""


class NotYet(PermanentFailure):
    """The mill has not come far enough; permanent only once the tries are used up."""


def keys_set(
    stub: ComputationsStub, token: ComputationToken, details: ComputationDetails, entries: Sequence[RequisitionEntry]
) -> ComputationToken:
    """Record the participants and the nonces, and leave the wait for them."""
    waiting = _waiting(stub, token, Fact.KEYS_SET)
    if waiting is None:
        return token
    update = computations.UpdateComputationDetailsRequest(token=waiting, details=details, requisitions=entries)
    return _advance(stub, stub.UpdateComputationDetails(update, timeout=DEADLINE).token)


def started(stub: ComputationsStub, token: ComputationToken) -> None:
    """Leave the wait for the start, if this duchy's role has one."""
    waiting = _waiting(stub, token, Fact.STARTED)
    if waiting is not None:
        _advance(stub, waiting)


def _waiting(stub: ComputationsStub, token: ComputationToken, fact: Fact) -> ComputationToken | None:
    """The computation in the stage that waits for the fact; None if it never gets there again. NotYet before that."""
    details = token.computation_details
    protocol, role = registry.of(details), registry.role(details)
    wait, here = protocol.waits(role).get(fact), protocol.walk(role).index(_stage(token))
    if wait is None or here > wait:
        return None
    if here < wait - 1 or (here == wait - 1 and not _done(details, fact)):
        raise NotYet(f"the kingdom says {fact.value}, but this duchy is still in {_stage(token).name}")
    # One before: the mill did the work and did not get round to leaving the stage.
    return token if here == wait else _advance(stub, token)


def _done(details: ComputationDetails, fact: Fact) -> bool:
    part = registry.part(details)
    return any(field in part.DESCRIPTOR.fields_by_name and part.HasField(field) for field in _WORK_DONE[fact])


def _advance(stub: ComputationsStub, token: ComputationToken) -> ComputationToken:
    """Into the stage that follows."""
    details = token.computation_details
    protocol, role = registry.of(details), registry.role(details)
    following = derive.transitions(protocol)[_stage(token), role]
    row = next(row for row in protocol.paths[role] if row.stage is following)
    works = isinstance(row, Work)
    request = computations.AdvanceComputationStageRequest(
        token=token,
        next_computation_stage=registry.wire_stage(protocol, following),
        outputBlobs=int(protocol.output_blobs and isinstance(row, Work) and row.delivers is not None),
        after_transition=(
            computations.AdvanceComputationStageRequest.ADD_UNCLAIMED_TO_QUEUE
            if works
            else computations.AdvanceComputationStageRequest.DO_NOT_ADD_TO_QUEUE
        ),
    )
    return stub.AdvanceComputationStage(request, timeout=DEADLINE).token


def _stage(token: ComputationToken) -> Stage:
    protocol = registry.of(token.computation_details)
    return derive.stage_from_wire(protocol, *registry.stage_of(token.computation_stage))
