"""What the existing internal API asks of an advance of Liquid Legions, row by row as its description has it."""

from __future__ import annotations

from typing import NamedTuple

from mill import wires
from wfa.measurement.internal.duchy import computations_service_pb2 as pb
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationStageDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import (
    AGGREGATOR,
    FIRST_NON_AGGREGATOR,
    SECOND_NON_AGGREGATOR,
)

ADD_UNCLAIMED_TO_QUEUE, DO_NOT_ADD_TO_QUEUE = 2, 3


class Row(NamedTuple):
    """A stage, the one that must precede it, its input and output blobs when it is entered, whether it is queued."""

    stage: int
    before: int
    inputs: int
    outputs: int
    queued: bool


# Of both protocols: the reach-only one has the first of them.
ROWS = {
    row.stage: row
    for row in (
        Row(2, 1, 0, 0, queued=False),
        Row(3, 2, 0, 0, queued=True),
        Row(4, 3, 0, 0, queued=False),
        Row(7, 6, 1, 1, queued=False),
        Row(8, 7, 1, 1, queued=True),
        Row(9, 8, 1, 1, queued=False),
        Row(10, 9, 1, 1, queued=True),
        Row(11, 10, 1, 1, queued=False),
        Row(12, 11, 1, 1, queued=True),
    )
}


# Of share shuffle. The wire lists no outputs; 7 is entered by the second worker, and at the first by the server.
SHARE_SHUFFLE_ROWS = {
    1: (
        Row(2, 1, 0, 0, queued=False),
        Row(5, 4, 0, 1, queued=False),
    ),
    2: (
        Row(3, 1, 0, 1, queued=False),
        Row(7, 4, 1, 0, queued=True),
    ),
    0: (Row(6, 1, 0, 2, queued=False),),
}
"""By the number of the worker; 0 for the aggregator."""


def refusal(token: ComputationToken, request: pb.AdvanceComputationStageRequest) -> str:
    """Why the advance would be refused, or leave a stage that nobody can go on from; empty if it is right."""
    wire = wires.of(token)
    own, here = wire.details(token), wire.stage_of(token)
    there: int = getattr(request.next_computation_stage, wire.stage_field)
    others = [participant.duchy_id for participant in getattr(own, "participant", ())][:-1]
    row = ROWS.get(there) if there < wire.complete else None
    details = ComputationStageDetails()
    if wire is wires.SHARE_SHUFFLE:
        place = {FIRST_NON_AGGREGATOR: 1, SECOND_NON_AGGREGATOR: 2, AGGREGATOR: 0}[own.role]
        row = next((each for each in SHARE_SHUFFLE_ROWS[place] if each.stage == there), None)
        if there == wire.gathers:
            slots = details.honest_majority_share_shuffle.wait_on_aggregation_input_details.external_duchy_local_blob_id
            slots.update({duchy: number for number, duchy in enumerate(own.non_aggregators)})
    elif there == 5:
        row = Row(5, 3, 0, len(others), queued=False)
        slots = getattr(details, wire.member).wait_setup_phase_inputs_details.external_duchy_local_blob_id
        slots.update({duchy: number for number, duchy in enumerate(others)})
    if row is None or row.before != here:
        return f"there is no transition from {here} to {there}"
    liquid_legions = wire is not wires.SHARE_SHUFFLE
    if liquid_legions and ((there == 4 and own.role == AGGREGATOR) or (there == 5 and own.role != AGGREGATOR)):
        return f"stage {there} is not of this role"
    if not token.attempt:
        return "the stage was never claimed"
    if (len(request.input_blobs), request.outputBlobs) != (row.inputs, row.outputs) or request.pass_through_blobs:
        return f"stage {there} has {row.inputs} input and {row.outputs} output blobs"
    if set(request.input_blobs) - {blob.path for blob in token.blobs if blob.path}:
        return "an input blob is none of the present stage's"
    if request.stage_details != details:
        return f"the details of stage {there} are wrong"
    if request.after_transition != (ADD_UNCLAIMED_TO_QUEUE if row.queued else DO_NOT_ADD_TO_QUEUE):
        return f"after_transition of stage {there} is wrong"
    return ""
