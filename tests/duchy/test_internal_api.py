"""The internal API as callers see it: statuses, reasons, leases, log entries."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from duchy.conftest import Duchy, StartDuchy, eventually, refusal
from duchy.facts import ID, computation
from duchy.mills import MILL, claim, lease_metadata, publish_key, stage
from duchy.stand_in import Kingdom
from duchy.test_computation_control import in_stage, token_of
from gristmill.blobs import computation_key, requisition_key
from gristmill.duchy import by_wire
from gristmill.duchy.key_sets import fulfilled_requisitions, with_participants
from gristmill.duchy.status import error_info
from gristmill.proto.duchy import inspection_pb2, leases_pb2
from gristmill.proto.duchy.inspection_pb2_grpc import InspectionStub
from gristmill.proto.duchy.leases_pb2_grpc import LeasesStub
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, channel, client_credentials
from mill.wires import BOTH, REACH_ONLY, Wire
from wfa.measurement.internal.duchy import computation_stats_service_pb2 as stats
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy import continuation_tokens_service_pb2 as tokens
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationTypeEnum
from wfa.measurement.internal.duchy.computation_stats_service_pb2_grpc import ComputationStatsStub
from wfa.measurement.internal.duchy.computations_service_pb2 import UpdateComputationDetailsRequest
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.internal.duchy.continuation_tokens_service_pb2_grpc import ContinuationTokensStub
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

WAIT = Llv2.WAIT_REQUISITIONS_AND_KEY_SET


@pytest.fixture
async def duchy(start: StartDuchy, kingdom: Kingdom) -> Duchy:
    """A worker with one computation in INITIALIZATION_PHASE."""
    started = await start("worker1")
    kingdom.say(computation())
    await in_stage(started, Llv2.INITIALIZATION_PHASE)
    return started


def computations(duchy: Duchy) -> ComputationsStub:
    return ComputationsStub(duchy.channel("internal_api"))


async def test_an_old_token_is_aborted_with_its_reason(duchy: Duchy) -> None:
    old = await token_of(duchy)
    await claim(duchy)
    request = wire.UpdateComputationDetailsRequest(token=old, details=old.computation_details)
    refused = await refusal(computations(duchy).UpdateComputationDetails(request))
    info = error_info(refused)
    assert refused.code() is grpc.StatusCode.ABORTED
    assert info is not None
    assert (info.reason, info.domain) == (
        "COMPUTATION_TOKEN_VERSION_MISMATCH",
        "wfa.measurement.internal.duchy.ErrorCode",
    )
    assert dict(info.metadata) == {
        "computation_id": str(old.local_computation_id),
        "version": str((await token_of(duchy)).version),
        "token_version": str(old.version),
    }


async def test_an_unknown_computation_is_not_found_with_its_reason(duchy: Duchy) -> None:
    request = wire.GetComputationTokenRequest(global_computation_id="AAAAAAAAAA0")
    refused = await refusal(computations(duchy).GetComputationToken(request))
    info = error_info(refused)
    assert refused.code() is grpc.StatusCode.NOT_FOUND
    assert info is not None
    assert info.reason == "COMPUTATION_NOT_FOUND"


async def test_a_stage_is_claimed_once(duchy: Duchy) -> None:
    token = await claim(duchy)
    assert (token.attempt, token.lock_owner) == (1, MILL)
    request = wire.ClaimWorkRequest(
        computation_type=ComputationTypeEnum.LIQUID_LEGIONS_SKETCH_AGGREGATION_V2, owner="mill-2"
    )
    assert not (await computations(duchy).ClaimWork(request)).HasField("token")


async def test_a_write_with_the_lease_is_not_disturbed_by_writes_of_others(duchy: Duchy) -> None:
    token = await claim(duchy)
    metadata = await lease_metadata(duchy, token)
    request = wire.UpdateComputationDetailsRequest(token=token, details=token.computation_details)
    await computations(duchy).UpdateComputationDetails(request)
    advance = wire.AdvanceComputationStageRequest(token=token, next_computation_stage=stage(WAIT))
    advanced = await computations(duchy).AdvanceComputationStage(advance, metadata=metadata)
    assert advanced.token.computation_stage == stage(WAIT)


async def test_a_mill_whose_lease_is_gone_writes_nothing(duchy: Duchy) -> None:
    token = await claim(duchy)
    metadata = await lease_metadata(duchy, token)
    put_back = leases_pb2.PutBackRequest(
        global_computation_id=ID,
        fence=int(metadata[0][1]),
        owner=MILL,
        delay=Duration(),
        reason=leases_pb2.PutBackRequest.FAILURE,
    )
    await LeasesStub(duchy.channel("internal_api")).PutBack(put_back)
    await claim(duchy, "mill-2")
    before = await token_of(duchy)
    advance = wire.AdvanceComputationStageRequest(token=token, next_computation_stage=stage(WAIT))
    refused = await refusal(computations(duchy).AdvanceComputationStage(advance, metadata=metadata))
    info = error_info(refused)
    assert refused.code() is grpc.StatusCode.ABORTED
    assert info is not None
    assert info.reason == "COMPUTATION_LOCK_OWNER_MISMATCH"
    assert await token_of(duchy) == before


@pytest.mark.parametrize(
    "metadata",
    [[("gristmill-fence", "1")], [("gristmill-owner", MILL)], [("gristmill-fence", "x"), ("gristmill-owner", MILL)]],
)
async def test_half_a_lease_is_an_invalid_argument(duchy: Duchy, metadata: list[tuple[str, str]]) -> None:
    token = await claim(duchy)
    advance = wire.AdvanceComputationStageRequest(token=token, next_computation_stage=stage(WAIT))
    refused = await refusal(computations(duchy).AdvanceComputationStage(advance, metadata=metadata))
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_kingdoms_log_says_which_mill_acted(duchy: Duchy, kingdom: Kingdom) -> None:
    await publish_key(duchy)

    async def written() -> bool:
        return len(kingdom.log_entries) >= 3

    await eventually(written)
    told = {entry.log_message.split(": ")[1]: entry for entry in kingdom.log_entries}
    advanced = told["advanced, now in WAIT_REQUISITIONS_AND_KEY_SET"]
    assert advanced.participant_child_reference_id == MILL
    assert told["claimed, attempt 1, now in INITIALIZATION_PHASE"].stage_attempt.attempt_number == 1


async def test_a_slow_kingdom_holds_up_no_answer(duchy: Duchy, kingdom: Kingdom) -> None:
    kingdom.log_delay = 1.0
    await claim(duchy)
    assert not [entry for entry in kingdom.log_entries if "claimed" in entry.log_message]


async def test_deleting_a_computation_deletes_its_objects(duchy: Duchy) -> None:
    token = await claim(duchy)
    await computations(duchy).RecordRequisitionFulfillment(
        wire.RecordRequisitionFulfillmentRequest(
            token=token, key=token.requisitions[0].external_key, blob_path="some/where", public_api_version="v2alpha"
        )
    )
    for key in (requisition_key("some/where"), computation_key("not/ours")):
        with duchy.blobs.write(key) as writer:
            writer.append(b"body")
            writer.commit()
    request = wire.DeleteComputationRequest(local_computation_id=token.local_computation_id)
    await computations(duchy).DeleteComputation(request)
    await computations(duchy).DeleteComputation(request)
    assert duchy.files("requisitions") == []
    assert len(duchy.files("computations")) == 1


async def test_purging_removes_ended_computations_only_by_force(duchy: Duchy) -> None:
    token = await token_of(duchy)
    finish = wire.FinishComputationRequest(
        token=token, ending_computation_stage=stage(Llv2.COMPLETE), reason=ComputationDetails.FAILED
    )
    ended = (await computations(duchy).FinishComputation(finish)).token
    assert ended.computation_details.ending_state == ComputationDetails.FAILED
    later = Timestamp(seconds=int(time.time()) + 3600)
    purge = wire.PurgeComputationsRequest(updated_before=later, stages=[stage(Llv2.COMPLETE)])
    listed = await computations(duchy).PurgeComputations(purge)
    assert (listed.purge_count, list(listed.purge_sample)) == (1, [ID])
    purge.force = True
    assert (await computations(duchy).PurgeComputations(purge)).purge_count == 1
    refused = await refusal(token_of(duchy))
    assert refused.code() is grpc.StatusCode.NOT_FOUND


async def test_a_malformed_continuation_token_is_an_invalid_argument(duchy: Duchy) -> None:
    stub = ContinuationTokensStub(duchy.channel("internal_api"))
    refused = await refusal(stub.setContinuationToken(tokens.SetContinuationTokenRequest(token="?")))
    info = error_info(refused)
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info is not None
    assert info.reason == "CONTINUATION_TOKEN_MALFORMED"


async def test_a_stat_without_a_name_is_an_invalid_argument(duchy: Duchy) -> None:
    token = await claim(duchy)
    request = stats.CreateComputationStatRequest(
        local_computation_id=token.local_computation_id,
        computation_stage=token.computation_stage,
        attempt=1,
        metric_name="crypto_wall_clock_duration_ms",
        metric_value=1,
    )
    stub = ComputationStatsStub(duchy.channel("internal_api"))
    await stub.CreateComputationStat(request)
    request.metric_name = ""
    assert (await refusal(stub.CreateComputationStat(request))).code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_operators_see_stages_and_waits_and_no_secret(duchy: Duchy) -> None:
    await publish_key(duchy)
    stub = InspectionStub(duchy.channel("internal_api"))
    summary = await stub.ShowComputation(inspection_pb2.ShowComputationRequest(global_computation_id=ID))
    assert (summary.stage, summary.kind) == ("WAIT_REQUISITIONS_AND_KEY_SET", "wait")
    events = await stub.ListEvents(inspection_pb2.ListEventsRequest(global_computation_id=ID))
    assert events.events
    for shown in (summary, events):
        assert b"secret of" not in shown.SerializeToString()


@BOTH
async def test_a_herald_without_our_extension_gets_there_by_the_wires_own_calls(
    start: StartDuchy, kingdom: Kingdom, wire: Wire
) -> None:
    """Our internal API takes the calls that an existing one would get."""
    duchy, reach_only = await start("worker1"), wire is REACH_ONLY
    kingdom.say(computation(reach_only=reach_only))
    await in_stage(duchy, Llv2.INITIALIZATION_PHASE, of=wire)
    me = duchy.keys.duchy("worker1")
    await publish_key(duchy, of=wire)
    said = computation(Computation.PENDING_COMPUTATION, reach_only=reach_only)
    credentials = client_credentials([read_certificate(me.root_file)], me.tls)
    with channel(Target(f"127.0.0.1:{duchy.running.ports.internal_api}", me.cert_host), credentials) as opened:
        stub = ComputationsStub(opened)
        token = await token_of(duchy)
        details = with_participants(token.computation_details, said, "aggregator")
        entries = fulfilled_requisitions(token, said)
        token = await asyncio.to_thread(by_wire.keys_set, stub, token, details, entries)
        assert wire.stage_of(token) == Llv2.CONFIRMATION_PHASE
        with pytest.raises(by_wire.NotYet):
            await asyncio.to_thread(by_wire.started, stub, token)
        claimed = await claim(duchy, of=wire)
        wire.details(claimed).combined_public_key.element = b"combined"
        update = UpdateComputationDetailsRequest(token=claimed, details=claimed.computation_details)
        updated = (await computations(duchy).UpdateComputationDetails(update)).token
        await asyncio.to_thread(by_wire.started, stub, updated)
    token = await token_of(duchy)
    assert wire.stage_of(token) == Llv2.SETUP_PHASE
    assert [blob.blob_id for blob in token.blobs] == [0]
