"""What a mill does with a claimed stage, in this process, among stand-ins behind real mutual TLS."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from conformance.blobs.forwarded_storage import StorageServer
from gristmill import _native as native
from gristmill.mill import llv2, runner
from gristmill.trust.signatures import SignedMessage
from mill import wires
from mill.computations import (
    CONFIRMATION,
    INITIALIZATION,
    SETUP,
    Keys,
    make_keys,
    put_sketch,
    token,
)
from mill.conftest import CERTIFICATE, MILL, World
from mill.wires import BOTH, LLV2, REACH_ONLY, Wire
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.protocol.liquid_legions_v2_encryption_methods_pb2 import (
    CompleteExecutionPhaseThreeAtAggregatorResponse,
)
from wfa.measurement.internal.testing.forwarded_storage_service_pb2_grpc import add_ForwardedStorageServicer_to_server
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

AT_THE_AGGREGATOR = pytest.mark.parametrize("world", ["aggregator"], indirect=True)


@pytest.fixture(scope="module")
def keys() -> Keys:
    return make_keys()


def claimed_setup(world: World, keys: Keys, *, lock: float = 300, attempt: int = 1) -> ComputationToken:
    claimed = token(world, keys, SETUP, attempt=attempt)
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=lock)
    return claimed


def stage_of(claimed: ComputationToken) -> int:
    return wires.of(claimed).stage_of(claimed)


def refuse(code: grpc.StatusCode) -> Any:
    return lambda context: context.abort(code, "as the test wants it")


# The claim


@pytest.mark.parametrize("difference", ["version", "owner"])
def test_a_stale_claim_is_skipped_with_a_note_to_the_kingdom(world: World, keys: Keys, difference: str) -> None:
    claimed = claimed_setup(world, keys)
    told = ComputationToken()
    told.CopyFrom(claimed)
    if difference == "version":
        told.version -= 1
    else:
        claimed.lock_owner = "another mill"
    world.run(told)
    assert world.journal.writes() == ["CreateComputationLogEntry"]
    (entry,) = world.journal.of("CreateComputationLogEntry")
    assert entry.parent == "computations/LHdjUf0z6dc/participants/worker1"
    assert entry.computation_log_entry.participant_child_reference_id == MILL
    assert entry.computation_log_entry.error_details.type == 1
    assert world.journal.methods()[-1] == "ClaimWork"


def test_a_claimed_item_waits_for_an_internal_api_that_is_just_starting(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    unavailable, late = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
    world.internal.failures["GetComputationToken"] = [unavailable] * 6 + [late]
    world.run(claimed)
    assert "AdvanceComputationStage" in world.journal.methods()


def test_a_claim_that_fails_inside_the_internal_api_ends_the_mill_in_order(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    world.internal.failures["ClaimWork"] = [grpc.StatusCode.UNKNOWN]
    world.run(claimed)
    assert "AdvanceComputationStage" in world.journal.methods()


def test_an_expired_claim_is_skipped(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys, lock=-1)
    world.run(claimed)
    assert world.journal.writes() == ["CreateComputationLogEntry"]


def test_a_stage_is_put_back_before_its_lock_runs_out_and_then_left_alone(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys, lock=4)
    expires = time.time() + 4
    world.peers["aggregator"].answer = lambda context: time.sleep(6)
    world.run(claimed)
    (enqueued,) = [entry for entry in world.journal.entries if entry.method == "EnqueueComputation"]
    assert enqueued.at < expires
    assert enqueued.request.expected_owner == MILL
    assert 1 <= enqueued.request.delay_second <= 1200
    assert world.journal.writes()[-2:] == ["EnqueueComputation", "CreateComputationLogEntry"]
    assert stage_of(claimed) == SETUP


def test_nothing_is_written_when_the_lock_runs_out_while_computing(
    world: World, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = claimed_setup(world, keys, lock=2)

    def deaf(job: object, output: object) -> None:
        time.sleep(2.5)

    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", deaf)  # type: ignore[arg-type]
    world.run(claimed)
    assert world.journal.writes() == []


def test_a_claim_taken_over_by_another_mill_is_left_alone(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)

    def steal(method: str) -> None:
        if method == "RecordOutputBlobPath" and claimed.lock_owner == MILL:
            world.internal.add(claimed, owner="another mill", lock=300)

    world.internal.before_write = steal
    world.run(claimed)
    assert world.journal.writes() == ["RecordOutputBlobPath"]
    assert claimed.lock_owner == "another mill"


def test_a_write_by_somebody_else_meanwhile_does_not_disturb(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    wrote: list[str] = []

    def disturb(method: str) -> None:
        if not wrote:
            wrote.append(method)
            claimed.version += 1

    world.internal.before_write = disturb
    world.run(claimed)
    assert stage_of(claimed) == 7
    assert len(world.peers["aggregator"].received) == 1


def test_a_mill_that_is_stopped_cancels_the_cryptography_and_puts_the_stage_back(world: World, keys: Keys) -> None:
    claimed = token(world, keys, SETUP)
    noise = world.wire.details(claimed).parameters.noise.reach_noise_config.global_reach_dp_noise
    noise.epsilon, noise.delta = 0.0003, 1e-12  # a quarter of a million registers
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=300)
    with world.mill(claimed) as (mill, item):
        threading.Timer(1.0, mill.stop).start()
        started = time.monotonic()
        mill.work_claimed(item)
        mill.drain()
    assert time.monotonic() - started < 4
    assert world.journal.writes() == ["EnqueueComputation"]
    assert not any(path.is_file() for path in (world.blobs / "computations").rglob("*"))


def test_a_peer_whose_database_hiccups_is_asked_again(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    peer, asked = world.peers["aggregator"], []

    def hiccup(context: grpc.ServicerContext) -> None:
        asked.append(context)
        if len(asked) == 1:
            context.abort(grpc.StatusCode.UNKNOWN, "as the test wants it")

    peer.asked = hiccup
    world.run(claimed)
    assert len(asked) == 2
    assert stage_of(claimed) == 7


def test_an_output_is_not_made_again_when_recording_it_fails(
    world: World, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = claimed_setup(world, keys)
    made: list[object] = []
    original = llv2.ACTIONS.computes["add_noise"]
    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", lambda *given: made.append(given) or original(*given))  # type: ignore[arg-type]

    def disturb(method: str) -> None:
        if len(world.journal.of("RecordOutputBlobPath")) == 1:
            claimed.version += 1

    world.internal.before_write = disturb
    world.run(claimed)
    first, second = world.journal.of("RecordOutputBlobPath")
    assert first.blob_path == second.blob_path
    assert len(made) == 1


# Peers


def test_a_peer_that_cannot_be_reached_puts_the_stage_back(
    world: World, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "UNRENEWED_WINDOW", runner.timedelta(seconds=0.5))
    claimed = claimed_setup(world, keys, attempt=3)
    world.peers["aggregator"].answer = refuse(grpc.StatusCode.UNAVAILABLE)
    world.run(claimed)
    assert world.journal.writes()[-2:] == ["EnqueueComputation", "CreateComputationLogEntry"]
    (enqueued,) = world.journal.of("EnqueueComputation")
    assert enqueued.expected_owner == MILL
    assert 8 <= enqueued.delay_second <= 16
    assert "FailComputationParticipant" not in world.journal.methods()


@BOTH
def test_a_retry_in_place_sends_the_kept_bytes(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    peer = world.peers["aggregator"]

    def once(context: grpc.ServicerContext) -> None:
        if len(peer.received) == 1:
            refuse(grpc.StatusCode.ABORTED)(context)

    peer.answer = once
    world.run(claimed)
    assert len(peer.received) == 2
    assert peer.received[0] == peer.received[1]
    assert stage_of(claimed) == 7


@BOTH
def test_what_an_earlier_attempt_kept_is_sent_byte_for_byte(world: World, keys: Keys) -> None:
    claimed = token(world, keys, SETUP, attempt=2)
    claimed.blobs[0].path = "LHdjUf0z6dc/SETUP_PHASE/0"
    world.put("computations/LHdjUf0z6dc/SETUP_PHASE/0", b"kept" * 99)
    world.internal.add(claimed, owner=MILL, lock=300)
    world.run(claimed)
    peer = world.peers["aggregator"]
    assert peer.received == [b"kept" * 99]
    assert peer.metadata["gristmill-length"] == "396"
    assert world.journal.writes() == ["AdvanceComputation", "AdvanceComputationStage"]


@BOTH
def test_a_peer_that_is_behind_is_waited_for(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    peer = world.peers["aggregator"]
    peer.stage = CONFIRMATION
    asked: list[float] = []

    def catch_up(_: object) -> None:
        asked.append(time.monotonic())
        if len(asked) == 3:
            peer.stage = 5

    peer.asked = catch_up
    world.run(claimed)
    assert len(asked) == 3
    assert len(peer.received) == 1
    assert stage_of(claimed) == 7


@BOTH
@pytest.mark.parametrize("ended", [False, True])
def test_a_peer_that_is_past_the_stage_is_not_sent_to(world: World, keys: Keys, ended: bool) -> None:
    claimed = claimed_setup(world, keys)
    world.peers["aggregator"].stage = world.wire.complete if ended else SETUP
    world.run(claimed)
    assert world.peers["aggregator"].received == []
    assert stage_of(claimed) == 7


@pytest.mark.parametrize("wire", [REACH_ONLY])
def test_a_peer_that_names_another_protocols_stage_is_not_believed(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    world.peers["aggregator"].wire, world.peers["aggregator"].stage = LLV2, LLV2.complete
    world.run(claimed)
    assert world.peers["aggregator"].received == []
    assert world.journal.writes()[-2:] == ["FailComputationParticipant", "FinishComputation"]
    (failed,) = world.journal.of("FailComputationParticipant")
    assert "aggregator answered with an impossible stage" in failed.failure.error_message


@BOTH
def test_a_peer_that_refuses_the_message_fails_the_computation(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    world.peers["aggregator"].answer = refuse(grpc.StatusCode.PERMISSION_DENIED)
    world.run(claimed)
    assert world.journal.writes()[-2:] == ["FailComputationParticipant", "FinishComputation"]


# Storage


def test_blobs_may_be_kept_by_a_storage_server_that_asks_for_no_certificate(world: World, keys: Keys) -> None:
    claimed = token(world, keys, SETUP)
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=300)
    identity = world.identities["kingdom"]
    credentials = grpc.ssl_server_credentials([(identity.tls_key.read_bytes(), identity.tls_cert.read_bytes())])
    storage = StorageServer()
    storage.blobs["requisitions/LHdjUf0z6dc/req0"] = (world.blobs / "requisitions/LHdjUf0z6dc/req0").read_bytes()
    server = grpc.server(ThreadPoolExecutor(4))
    add_ForwardedStorageServicer_to_server(storage, server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        world.run(
            claimed,
            file_system_storage_directory=None,
            forwarded_storage_service_target=f"127.0.0.1:{port}",
            forwarded_storage_cert_host="localhost",
        )
    finally:
        server.stop(None)
    assert stage_of(claimed) == 7
    (recorded,) = world.journal.of("RecordOutputBlobPath")
    assert storage.blobs[f"computations/{recorded.blob_path}"] == world.peers["aggregator"].received[0]


# Permanent errors


@BOTH
def test_garbage_from_a_data_provider_fails_the_computation_here_and_at_the_kingdom(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys)
    world.put("requisitions/LHdjUf0z6dc/req0", b"\x07" * (world.wire.register - 1))
    world.run(claimed)
    assert world.journal.writes() == ["FailComputationParticipant", "FinishComputation"]
    (failed,) = world.journal.of("FailComputationParticipant")
    assert failed.etag == "W/1"
    assert failed.failure.participant_child_reference_id == MILL
    assert (failed.failure.stage_attempt.stage, failed.failure.stage_attempt.stage_name) == (SETUP, "SETUP_PHASE")
    (finished,) = world.journal.of("FinishComputation")
    assert finished.reason == ComputationDetails.FAILED
    assert stage_of(claimed) == world.wire.complete


def test_a_stage_that_was_tried_too_often_fails(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys, attempt=11)
    world.run(claimed)
    assert world.journal.writes() == ["FailComputationParticipant", "FinishComputation"]


@pytest.mark.parametrize("attempt", [1, 11])
def test_a_computation_that_has_ended_is_left_as_it_is(world: World, keys: Keys, attempt: int) -> None:
    claimed = token(world, keys, world.wire.complete, attempt=attempt)
    claimed.computation_details.ending_state = ComputationDetails.SUCCEEDED
    world.internal.add(claimed, owner=MILL, lock=300)
    world.run(claimed)
    assert world.journal.writes() == []


def test_a_failure_is_not_told_twice(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys, attempt=11)
    world.kingdom.participant.state = ComputationParticipant.FAILED
    world.run(claimed)
    assert world.journal.writes() == ["FinishComputation"]


@BOTH
def test_a_computation_that_the_kingdom_has_ended_is_finished_here(world: World, keys: Keys) -> None:
    claimed = claimed_setup(world, keys, attempt=11)
    world.kingdom.errors["FailComputationParticipant"] = [grpc.StatusCode.FAILED_PRECONDITION]
    world.run(claimed)
    assert stage_of(claimed) == world.wire.complete


# Opening


@BOTH
def test_initialization_makes_one_key_and_publishes_it_signed(world: World, keys: Keys) -> None:
    claimed = token(world, keys, INITIALIZATION)
    world.internal.add(claimed, owner=MILL, lock=300)
    world.kingdom.errors["SetParticipantRequisitionParams"] = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED]
    world.run(claimed)
    assert world.journal.writes() == [
        "UpdateComputationDetails",
        *["SetParticipantRequisitionParams"] * 3,
        "AdvanceComputationStage",
    ]
    published = world.kingdom.participant.requisition_params
    element = world.wire.details(claimed).local_elgamal_key.public_key.element
    assert published.duchy_certificate == CERTIFICATE
    assert len(getattr(published, world.wire.member).el_gamal_public_key) == 70
    assert getattr(published, world.wire.member).el_gamal_public_key.endswith(element)


@BOTH
def test_confirmation_confirms_before_it_keeps_the_combined_keys(world: World, keys: Keys) -> None:
    claimed = token(world, keys, CONFIRMATION)
    world.internal.add(claimed, owner=MILL, lock=300)
    world.run(claimed)
    assert world.journal.writes() == [
        "ConfirmComputationParticipant",
        "UpdateComputationDetails",
        "AdvanceComputationStage",
    ]
    assert world.wire.details(claimed).combined_public_key.element == keys.combined
    assert stage_of(claimed) == 4


@AT_THE_AGGREGATOR
@BOTH
def test_confirmation_leads_the_aggregator_to_wait_for_every_other_duchy(world: World, keys: Keys) -> None:
    claimed = token(world, keys, CONFIRMATION)
    world.internal.add(claimed, owner=MILL, lock=300)
    world.run(claimed)
    assert stage_of(claimed) == 5
    waits = getattr(claimed.stage_specific_details, world.wire.member).wait_setup_phase_inputs_details
    assert dict(waits.external_duchy_local_blob_id) == {"worker1": 0, "worker2": 1}
    assert [(blob.blob_id, blob.path) for blob in claimed.blobs] == [(0, ""), (1, "")]


def test_confirmation_collects_every_fault_into_one_failure(world: World, keys: Keys) -> None:
    claimed = token(world, keys, CONFIRMATION)
    claimed.requisitions[1].details.nonce += 1
    claimed.requisitions[0].path = ""
    world.wire.details(claimed).participant[1].el_gamal_public_key_signature = b"forged"
    world.internal.add(claimed, owner=MILL, lock=300)
    world.run(claimed)
    assert world.journal.writes() == ["FailComputationParticipant", "FinishComputation"]
    (failed,) = world.journal.of("FailComputationParticipant")
    for named in ("nonces", "req0", "worker2"):
        assert named in failed.failure.error_message


# The result


def last_stage(world: World, keys: Keys, distribution: dict[int, float], reach: int = 1234) -> ComputationToken:
    """The aggregator's last stage with its output kept already; of the reach-only protocol it is an empty mark."""
    claimed = token(world, keys, world.wire.last)
    world.wire.details(claimed).reach_estimate.reach = reach
    claimed.blobs[1].path = "LHdjUf0z6dc/the last stage/1"
    kept = CompleteExecutionPhaseThreeAtAggregatorResponse(frequency_distribution=distribution)
    world.put(f"computations/{claimed.blobs[1].path}", kept.SerializeToString() if world.wire is LLV2 else b"")
    world.internal.add(claimed, owner=MILL, lock=300)
    return claimed


@AT_THE_AGGREGATOR
@BOTH
def test_the_result_is_signed_and_encrypted_to_the_measurement_consumer(world: World, keys: Keys) -> None:
    claimed = last_stage(world, keys, {1: 0.75, 3: 0.25})
    world.run(claimed)
    (handed_in,) = world.journal.of("SetComputationResult")
    assert handed_in.aggregator_certificate == CERTIFICATE
    assert handed_in.result_public_key == keys.consumer.public_key.SerializeToString()
    assert handed_in.public_api_version == "v2alpha"
    signed = SignedMessage.FromString(keys.consumer.decrypt(handed_in.encrypted_result).expose())
    result = Measurement.Result()
    assert signed.message.Unpack(result)
    assert result.reach.value == 1234
    assert result.reach.WhichOneof("methodology") == world.wire.member
    assert result.HasField("frequency") == (world.wire is LLV2)
    if world.wire is LLV2:
        assert dict(result.frequency.relative_frequency_distribution) == {1: 0.75, 3: 0.25}
        assert result.frequency.WhichOneof("methodology") == "liquid_legions_v2"
    (finished,) = world.journal.of("FinishComputation")
    assert finished.reason == ComputationDetails.SUCCEEDED


@AT_THE_AGGREGATOR
def test_a_result_that_had_arrived_is_read_back_and_not_a_failure(world: World, keys: Keys) -> None:
    claimed = last_stage(world, keys, {1: 1.0})
    world.kingdom.errors["SetComputationResult"] = [grpc.StatusCode.UNKNOWN]
    world.kingdom.state = Computation.SUCCEEDED
    world.run(claimed)
    assert world.journal.methods().count("SetComputationResult") == 1
    assert claimed.computation_details.ending_state == ComputationDetails.SUCCEEDED


@AT_THE_AGGREGATOR
@pytest.mark.parametrize(
    ("distribution", "reach", "wire"),
    [
        ({1: 0.5}, 10, LLV2),
        ({1: 1.0}, -1, LLV2),
        ({4: 1.0}, 10, LLV2),
        ({1: 1.5, 2: -0.5}, 10, LLV2),
        ({}, -1, REACH_ONLY),
    ],
)
def test_an_impossible_result_is_not_handed_in(
    world: World, keys: Keys, distribution: dict[int, float], reach: int, wire: Wire
) -> None:
    claimed = last_stage(world, keys, distribution, reach)
    world.run(claimed)
    assert world.journal.writes() == ["FailComputationParticipant", "FinishComputation"]
    assert claimed.computation_details.ending_state == ComputationDetails.FAILED


def blinded(world: World, keys: Keys, indexes: list[int]) -> bytes:
    """Registers without noise on their way through the ring, as the aggregator gets them back."""
    common: dict[str, Any] = {"randomness": native.Randomness.operating_system(), "threads": 1}
    sketch, message = (world.directory / name for name in ("sketch", "message"))
    native.encrypt_reach_only_sketch(
        indexes, output=str(sketch), public_key=keys.combined, progress=native.Progress(), **common
    )
    native.reach_only_setup(
        own=[str(sketch)],
        received=[],
        output=str(message),
        public_key=keys.combined,
        noise=None,
        progress=native.Progress(),
        **common,
    )
    for duchy in ("worker1", "worker2"):
        sent = message.rename(world.directory / duchy)
        native.reach_only_blind_registers(
            inputs=[str(sent)],
            output=str(message),
            secret_key=keys.pairs[duchy][0],
            progress=native.Progress(),
            **common,
        )
    return message.read_bytes()


@AT_THE_AGGREGATOR
@pytest.mark.parametrize("wire", [REACH_ONLY])
def test_a_reach_that_was_lost_beside_its_mark_is_found_again_from_the_same_input(world: World, keys: Keys) -> None:
    claimed = last_stage(world, keys, {})
    world.wire.details(claimed).ClearField("reach_estimate")
    world.wire.details(claimed).parameters.noise.ClearField("reach_noise_config")
    world.put("computations/in/0", blinded(world, keys, [3, 5, 8, 13]))
    world.run(claimed)
    (handed_in,) = world.journal.of("SetComputationResult")
    signed, result = SignedMessage(), Measurement.Result()
    signed.ParseFromString(keys.consumer.decrypt(handed_in.encrypted_result).expose())
    assert signed.message.Unpack(result)
    assert result.reach.value == native.estimate_reach(decay_rate=12.0, size=1000, active=4, sampling_width=1.0)
    assert world.journal.writes() == ["UpdateComputationDetails", "SetComputationResult", "FinishComputation"]
