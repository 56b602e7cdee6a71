"""What a mill does in the stages that the services' tests have to get past, by the wire's own calls and a lease."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from duchy.conftest import Duchy
from duchy.facts import DUCHIES, element
from gristmill.proto.duchy.leases_pb2 import GetLeaseRequest
from gristmill.proto.duchy.leases_pb2_grpc import LeasesStub
from mill import wires
from mill.wires import LLV2, Wire
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage, ComputationTypeEnum
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)

MILL = "mill-1"
_After = wire.AdvanceComputationStageRequest


def stage(number: int) -> ComputationStage:
    return ComputationStage(liquid_legions_sketch_aggregation_v2=number)  # type: ignore[arg-type]


async def claim(duchy: Duchy, owner: str = MILL, *, of: Wire = LLV2) -> ComputationToken:
    request = wire.ClaimWorkRequest(
        computation_type=ComputationTypeEnum.ComputationType.Value(of.computation_type),
        owner=owner,
        lock_duration=Duration(seconds=60),
    )
    response = await ComputationsStub(duchy.channel("internal_api")).ClaimWork(request)
    assert response.HasField("token")
    return response.token


async def lease_metadata(duchy: Duchy, token: ComputationToken, owner: str = MILL) -> tuple[tuple[str, str], ...]:
    leases = LeasesStub(duchy.channel("internal_api"))
    lease = await leases.GetLease(GetLeaseRequest(global_computation_id=token.global_computation_id, owner=owner))
    return ("gristmill-fence", str(lease.fence)), ("gristmill-owner", owner)


async def publish_key(duchy: Duchy, *, of: Wire = LLV2) -> ComputationToken:
    """INITIALIZATION_PHASE -> WAIT_REQUISITIONS_AND_KEY_SET."""
    stub = ComputationsStub(duchy.channel("internal_api"))
    token = await claim(duchy, of=of)
    details = token.computation_details
    pair = of.details(token).local_elgamal_key
    pair.public_key.element = element(DUCHIES.index(duchy.name))
    pair.secret_key = b"secret of " + duchy.name.encode()
    token = (
        await stub.UpdateComputationDetails(wire.UpdateComputationDetailsRequest(token=token, details=details))
    ).token
    return await advance(duchy, token, Llv2.WAIT_REQUISITIONS_AND_KEY_SET)


async def confirm(duchy: Duchy, *, of: Wire = LLV2) -> ComputationToken:
    """CONFIRMATION_PHASE -> what the role waits for."""
    token = await claim(duchy, of=of)
    aggregator = duchy.name == "aggregator"
    following = Llv2.WAIT_SETUP_PHASE_INPUTS if aggregator else Llv2.WAIT_TO_START
    return await advance(duchy, token, following)


async def advance(duchy: Duchy, token: ComputationToken, to: int) -> ComputationToken:
    metadata = await lease_metadata(duchy, token)
    request = wire.AdvanceComputationStageRequest(token=token, next_computation_stage=wires.of(token).stage(to))
    stub = ComputationsStub(duchy.channel("internal_api"))
    return (await stub.AdvanceComputationStage(request, metadata=metadata)).token
