"""The herald's two facts in front of an internal API that cannot remember them: an existing one.

Liquid Legions v2 only. A fact that comes too early is tried again a few times, which is all that the wire allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from gristmill.errors import PermanentFailure
from gristmill.protocols import registry
from gristmill.protocols.llv2 import Stage
from gristmill.protocols.table import Role
from wfa.measurement.internal.duchy import computations_service_pb2 as computations
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionEntry

if TYPE_CHECKING:
    from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
    from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub

_After = computations.AdvanceComputationStageRequest
DEADLINE: Final = 30.0


class NotYet(PermanentFailure):
    """The mill has not come far enough; permanent only once the tries are used up."""


def keys_set(
    stub: ComputationsStub, token: ComputationToken, details: ComputationDetails, entries: Sequence[RequisitionEntry]
) -> ComputationToken:
    """Record the participants and the nonces, and leave the wait for them."""
    stage = _stage(token)
    if stage.value > Stage.WAIT_REQUISITIONS_AND_KEY_SET.value:
        return token
    if stage is Stage.INITIALIZATION_PHASE:
        if not token.computation_details.liquid_legions_v2.local_elgamal_key.secret_key:
            raise NotYet("the keys are set, but this duchy has not made its own yet")
        # The mill published its key and did not get round to leaving the stage.
        token = _advance(stub, token, Stage.WAIT_REQUISITIONS_AND_KEY_SET, _After.DO_NOT_ADD_TO_QUEUE)
    update = computations.UpdateComputationDetailsRequest(token=token, details=details, requisitions=entries)
    token = stub.UpdateComputationDetails(update, timeout=DEADLINE).token
    return _advance(stub, token, Stage.CONFIRMATION_PHASE, _After.ADD_UNCLAIMED_TO_QUEUE)


def started(stub: ComputationsStub, token: ComputationToken) -> None:
    """Leave the wait for the start. The aggregator waits for its peers instead."""
    if registry.role(token.computation_details) is Role.AGGREGATOR:
        return
    stage = _stage(token)
    if stage.value > Stage.WAIT_TO_START.value:
        return
    if stage.value < Stage.CONFIRMATION_PHASE.value:
        raise NotYet(f"the computation has started, but this duchy is in {stage.name}")
    if stage is Stage.CONFIRMATION_PHASE:
        if not token.computation_details.liquid_legions_v2.HasField("combined_public_key"):
            raise NotYet("the computation has started, but this duchy is still confirming")
        # The mill confirmed and did not get round to leaving the stage.
        token = _advance(stub, token, Stage.WAIT_TO_START, _After.DO_NOT_ADD_TO_QUEUE)
    _advance(stub, token, Stage.SETUP_PHASE, _After.ADD_UNCLAIMED_TO_QUEUE, outputs=1)


def _advance(
    stub: ComputationsStub,
    token: ComputationToken,
    stage: Stage,
    after: computations.AdvanceComputationStageRequest.AfterTransition.ValueType,
    outputs: int = 0,
) -> ComputationToken:
    request = computations.AdvanceComputationStageRequest(
        token=token,
        next_computation_stage=registry.wire_stage(registry.of(token.computation_details), stage),
        outputBlobs=outputs,
        after_transition=after,
    )
    return stub.AdvanceComputationStage(request, timeout=DEADLINE).token


def _stage(token: ComputationToken) -> Stage:
    return Stage(registry.stage_of(token.computation_stage)[1])
