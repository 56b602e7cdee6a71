"""A mill whose internal API can renew leases: renewal, loss, stalls, fences, counts."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from gristmill.mill import keeper, llv2, runner
from gristmill.mill.job import Found, Job
from gristmill.proto.duchy import leases_pb2
from mill.computations import SETUP, Keys, make_keys, put_sketch, token
from mill.conftest import MILL, World
from mill.stand_ins import Leases
from mill.wires import LLV2
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken


@pytest.fixture(scope="module")
def keys() -> Keys:
    return make_keys()


@pytest.fixture
def claimed(world: World, leases: Leases, keys: Keys) -> ComputationToken:
    claimed = token(world, keys, SETUP)
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=300)
    return claimed


def slow(seconds: float, *, moving: bool = True) -> object:
    """An action that takes its time, with or without progress, until it is told to stop."""

    def action(job: Job, output: Path) -> Found:
        job.activity.begin("taking time", unit="naps")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if moving:
                job.activity.move(1)
            time.sleep(0.05)
            job.activity.check()
        output.write_bytes(b"slow")
        return Found()

    return action


def test_a_lease_is_renewed_with_its_progress_while_the_stage_runs(
    world: World, leases: Leases, claimed: ComputationToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", slow(2.5))  # type: ignore[arg-type]
    world.run(claimed, work_lock_duration="3s")
    taking_over, *while_running = world.journal.of("RenewLease")
    assert (taking_over.fence, taking_over.owner, taking_over.duration.seconds) == (5, MILL, 3)
    assert len(while_running) == 2
    assert while_running[0].progress.activity == "taking time"
    assert 0 < while_running[0].progress.done < while_running[1].progress.done
    assert claimed.computation_stage.liquid_legions_sketch_aggregation_v2 == 7


def test_writes_carry_the_fence_and_the_output_its_digest(
    world: World, leases: Leases, claimed: ComputationToken
) -> None:
    world.run(claimed)
    assert world.journal.writes() == ["RecordOutput", "AdvanceComputation", "AdvanceComputationStage"]
    (recorded,) = world.journal.of("RecordOutput")
    sent = world.peers["aggregator"].received[0]
    assert (recorded.digest.length, recorded.digest.sha256) == (len(sent), hashlib.sha256(sent).digest())
    assert len(recorded.figures.randomness_commitment) == 32
    assert recorded.fence == 5
    assert world.internal.metadata["gristmill-fence"] == "5"
    assert world.internal.metadata["gristmill-owner"] == MILL


def test_a_lost_lease_stops_the_stage_and_nothing_is_written(
    world: World, leases: Leases, claimed: ComputationToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_it(job: Job, output: Path) -> Found:
        leases.lost = True
        return slow(20)(job, output)  # type: ignore[operator,no-any-return]

    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", lose_it)
    started = time.monotonic()
    world.run(claimed, work_lock_duration="3s")
    assert time.monotonic() - started < 5
    assert world.journal.writes() == []


def test_a_mill_that_stood_still_past_its_lease_does_not_renew_it_when_it_wakes(
    world: World, leases: Leases, claimed: ComputationToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stand_still(job: Job, output: Path) -> Found:
        job.claim.expires = time.monotonic() - 1  # what its clock says on waking; the store may not have noticed
        return slow(20)(job, output)  # type: ignore[operator,no-any-return]

    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", stand_still)
    started = time.monotonic()
    world.run(claimed, work_lock_duration="3s")
    assert time.monotonic() - started < 5
    assert len(world.journal.of("RenewLease")) == 1, "on taking over"
    assert world.journal.writes() == []


def test_a_claim_is_kept_while_the_internal_api_does_not_say_its_lease(
    world: World, leases: Leases, claimed: ComputationToken
) -> None:
    with world.mill(claimed) as (mill, item):
        assert mill._api.has_leases()
        world.internal.failures["GetLease"] = [grpc.StatusCode.UNAVAILABLE] * 6  # the channel itself tries five times
        mill.work_claimed(item)
    assert world.journal.writes() == ["RecordOutput", "AdvanceComputation", "AdvanceComputationStage"]


def test_a_stage_without_progress_is_put_back_as_stalled(
    world: World, leases: Leases, claimed: ComputationToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", slow(20, moving=False))  # type: ignore[arg-type]
    world.run(claimed, work_lock_duration="6s", stall_timeout="1s")
    (put_back,) = world.journal.of("PutBack")
    assert put_back.reason == leases_pb2.PutBackRequest.STALLED
    assert "taking time" in put_back.message
    assert world.journal.writes() == ["PutBack"]


def test_a_stage_that_does_not_even_stop_loses_its_lease_and_ends_the_process(
    world: World, leases: Leases, claimed: ComputationToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung: list[float] = []

    def deaf(job: Job, output: Path) -> Found:
        while not hung:
            time.sleep(0.05)
        return Found()

    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", deaf)
    monkeypatch.setattr(keeper, "HANG_GRACE", 0.3)
    with world.mill(claimed, work_lock_duration="3s", stall_timeout="1s") as (mill, item):
        mill._runner._on_hang = lambda: hung.append(time.monotonic())
        mill.work_claimed(item)
    assert len(hung) == 1
    assert set(world.journal.writes()) <= {"PutBack"}


def test_what_was_recorded_first_is_delivered(world: World, leases: Leases, claimed: ComputationToken) -> None:
    world.put("computations/first", b"first" * 100)
    digest = leases_pb2.BlobDigest(path="first", length=500, sha256=hashlib.sha256(b"first" * 100).digest())
    leases.outputs.append(leases_pb2.RecordedOutput(digest=digest))
    claimed.blobs[0].path = "first"
    world.run(claimed)
    assert world.peers["aggregator"].received == [b"first" * 100]
    assert world.journal.writes() == ["AdvanceComputation", "AdvanceComputationStage"]


def test_a_requisition_that_differs_from_what_was_recorded_fails_the_computation(
    world: World, leases: Leases, claimed: ComputationToken
) -> None:
    leases.digests.append(leases_pb2.BlobDigest(path="LHdjUf0z6dc/req0", length=594, sha256=bytes(32)))
    world.run(claimed)
    (failed,) = world.journal.of("FailComputationParticipant")
    assert "req0 differs" in failed.failure.error_message


@pytest.mark.parametrize(
    ("count", "value", "ends"),
    [
        ("failures", 9, False),
        ("failures", 10, True),
        ("workers_lost", 29, False),
        ("workers_lost", 30, True),
        ("out_of_memory", 3, True),
    ],
)
def test_attempts_are_counted_by_how_they_ended(
    world: World, leases: Leases, claimed: ComputationToken, count: str, value: int, ends: bool
) -> None:
    setattr(leases.counts, count, value)
    world.run(claimed)
    stage = claimed.computation_stage.liquid_legions_sketch_aggregation_v2
    assert (stage == LLV2.complete) is ends


@pytest.mark.parametrize(("hours", "fails"), [(1, False), (25, True)])
def test_a_peer_is_waited_for_a_day(
    world: World,
    leases: Leases,
    claimed: ComputationToken,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
    fails: bool,
) -> None:
    monkeypatch.setattr(runner, "BEHIND_WINDOW", timedelta(seconds=0.3))
    leases.counts.waiting_for_peer_since.FromDatetime(datetime.now(UTC) - timedelta(hours=hours))
    world.peers["aggregator"].stage = 3
    world.run(claimed)
    reasons = [request.reason for request in world.journal.of("PutBack")]
    ended = world.journal.of("FinishComputation")
    assert (reasons == [leases_pb2.PutBackRequest.PEER_BEHIND], len(ended)) == (not fails, fails)


def test_a_transient_error_outlasting_the_retry_window_is_put_back_as_a_failure(
    world: World, leases: Leases, claimed: ComputationToken
) -> None:
    (world.blobs / "requisitions/LHdjUf0z6dc/req0").unlink()
    world.run(claimed, retry_window="1s")
    (put_back,) = world.journal.of("PutBack")
    assert put_back.reason == leases_pb2.PutBackRequest.FAILURE
    assert 1 <= put_back.delay.seconds <= 4


def test_out_of_memory_is_counted_apart(
    world: World, leases: Leases, claimed: ComputationToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(job: Job, output: Path) -> Found:
        raise MemoryError

    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", greedy)
    world.run(claimed)
    (put_back,) = world.journal.of("PutBack")
    assert put_back.reason == leases_pb2.PutBackRequest.OUT_OF_MEMORY


def test_a_defect_of_the_mill_is_counted_and_tells_no_data(
    world: World, leases: Leases, claimed: ComputationToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(job: Job, output: Path) -> Found:
        raise KeyError("a-secret-register")

    monkeypatch.setitem(llv2.ACTIONS.computes, "add_noise", defective)
    world.run(claimed)
    (put_back,) = world.journal.of("PutBack")
    assert put_back.message == "KeyError in the mill"


def test_an_advance_whose_answer_was_lost_is_a_success(world: World, leases: Leases, claimed: ComputationToken) -> None:
    lost: list[str] = []
    advance = world.internal._hold

    def lose_the_answer(*arguments: object) -> None:
        advance(*arguments)  # type: ignore[arg-type]
        if not lost:
            lost.append("")
            raise grpc.RpcError("the answer is lost after the write")

    world.internal._hold = lose_the_answer  # type: ignore[method-assign]
    world.run(claimed)
    assert world.journal.of("AdvanceComputationStage") != []
    assert "FailComputationParticipant" not in world.journal.methods()
