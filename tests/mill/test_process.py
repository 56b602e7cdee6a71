"""The mill as an operating-system process among stand-ins that know none of our extensions."""

from __future__ import annotations

import signal
import subprocess
import time

import grpc
import pytest

from mill.computations import INITIALIZATION, REGISTER, SETUP, make_keys, put_sketch, token
from mill.conftest import MILL, World
from mill.wires import LLV2


def finish(process: subprocess.Popen[str], seconds: float = 20) -> str:
    """Standard error of a process that must end by itself."""
    _, errors = process.communicate(timeout=seconds)
    return errors


def test_a_claimed_setup_phase_is_worked_and_sent_and_the_queue_drained(world: World) -> None:
    keys = make_keys()
    claimed = token(world, keys, SETUP)
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=300)
    queued = token(world, keys, INITIALIZATION, name="AAAAAAAAAAE", attempt=0)
    world.internal.add(queued, queued=True)

    started = time.monotonic()
    process = world.start(world.flags(claimed, work_lock_duration="4m", request_chunk_size_bytes="1000"))
    errors = finish(process)

    assert process.returncode == 0, errors
    assert time.monotonic() - started < 10
    peer = world.peers["aggregator"]
    methods = world.journal.methods()
    assert methods.index("GetComputationStage") < methods.index("AdvanceComputation")
    assert peer.header.name == "computations/LHdjUf0z6dc"
    assert peer.header.liquid_legions_v2.description == 1
    assert len(peer.received[0]) % REGISTER == 0
    assert len(peer.received[0]) > 3 * REGISTER
    assert set(peer.chunks[:-1]) == {1000}
    (recorded,) = world.journal.of("RecordOutputBlobPath")
    assert (world.blobs / "computations" / recorded.blob_path).read_bytes() == peer.received[0]
    advance, after_initialization = world.journal.of("AdvanceComputationStage")
    assert advance.next_computation_stage.liquid_legions_sketch_aggregation_v2 == 7
    assert (list(advance.input_blobs), advance.outputBlobs) == ([recorded.blob_path], 1)
    assert advance.after_transition == 3
    assert after_initialization.next_computation_stage.liquid_legions_sketch_aggregation_v2 == 2
    first, *_ = world.journal.of("ClaimWork")
    assert (first.owner, first.computation_type, first.lock_duration.seconds) == (MILL, 1, 240)
    assert [each.liquid_legions_sketch_aggregation_v2 for each in first.prioritized_stages] == [INITIALIZATION]
    assert methods[-1] == "ClaimWork"


def test_flags_may_be_given_as_name_and_value(world: World) -> None:
    claimed = token(world, make_keys(), INITIALIZATION)
    world.internal.add(claimed, owner=MILL, lock=300)
    arguments = [part for flag in world.flags(claimed) for part in flag.split("=", 1)]
    process = world.start(arguments)
    errors = finish(process)
    assert process.returncode == 0, errors
    assert world.journal.writes()[-1] == "AdvanceComputationStage"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"no-such-flag": "1"}, "no-such-flag"),
        ({"duchy-name": None}, "--duchy-name"),
        ({"claimed-computation-version": None}, "--claimed-computation-version"),
        ({"file-system-storage-directory": None}, "storage"),
        ({"work-lock-duration": "5 minutes"}, "5 minutes"),
        ({"bytes-per-chunk": str(4 * 1024 * 1024)}, "4194304"),
        ({"mill-id": None}, "--mill-id"),
        ({"claimed-computation-type": "HONEST_MAJORITY_SHARE_SHUFFLE"}, "HONEST_MAJORITY"),
    ],
)
def test_wrong_flags_end_the_process_with_2(
    world: World,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    named: str,
) -> None:
    from gristmill.cli.main import main

    monkeypatch.delenv("HOSTNAME", raising=False)
    monkeypatch.setattr("gristmill.trust.process.disable_core_dumps", lambda: None)
    monkeypatch.setattr("gristmill.observe.logs.configure", lambda **_: None)
    arguments = world.flags(token(world, make_keys(), SETUP), **changes)
    try:
        code = main(["mill", "llv2", *arguments])
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    assert code == 2
    assert named in capsys.readouterr().err
    assert world.journal.methods() == []


def test_a_duchy_without_control_target_ends_the_process_with_2(world: World) -> None:
    arguments = [flag for flag in world.flags(token(world, make_keys(), SETUP)) if "worker2=" not in flag]
    process = world.start(arguments)
    assert "worker2" in finish(process)
    assert process.returncode == 2


@pytest.mark.parametrize(
    ("trouble", "last_write"),
    [
        ("bad data", "FinishComputation"),
        ("peer away", "CreateComputationLogEntry"),
        ("stale claim", "CreateComputationLogEntry"),
    ],
)
def test_what_goes_wrong_with_a_stage_ends_the_process_with_0(world: World, trouble: str, last_write: str) -> None:
    keys = make_keys()
    claimed = token(world, keys, SETUP)
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=300)
    changes: dict[str, str | None] = {"retry_window": "0s"}
    match trouble:
        case "bad data":
            world.put(f"requisitions/{claimed.requisitions[0].path}", b"not a sketch")
        case "peer away":
            world.peers["aggregator"].asked = lambda context: context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        case "stale claim":
            changes["claimed_computation_version"] = str(claimed.version - 1)
    process = world.start(world.flags(claimed, **changes))
    errors = finish(process)
    assert process.returncode == 0, errors
    assert world.journal.writes()[-1] == last_write
    assert ("FailComputationParticipant" in world.journal.methods()) is (trouble == "bad data")
    assert world.journal.methods()[-1] == "ClaimWork"


def test_sigterm_puts_the_stage_back_and_ends_the_process(world: World) -> None:
    keys = make_keys()
    claimed = token(world, keys, SETUP)
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=300)
    world.peers["aggregator"].answer = lambda context: time.sleep(20)
    process = world.start(world.flags(claimed))
    wait_for(lambda: "AdvanceComputation" in world.journal.methods())
    process.send_signal(signal.SIGTERM)
    finish(process, 10)
    assert process.returncode == 0
    (enqueued,) = world.journal.of("EnqueueComputation")
    assert enqueued.expected_owner == MILL
    assert 1 <= enqueued.delay_second <= 1200
    assert world.journal.methods()[-1] == "EnqueueComputation"


def test_a_mill_that_sleeps_past_its_lock_writes_nothing_when_it_wakes(world: World) -> None:
    keys = make_keys()
    claimed = token(world, keys, SETUP)
    put_sketch(world, keys, claimed)
    world.internal.add(claimed, owner=MILL, lock=4)
    process = world.start(world.flags(claimed))
    wait_for(lambda: "GetComputationToken" in world.journal.methods())
    process.send_signal(signal.SIGSTOP)
    time.sleep(4.2)
    before = world.journal.writes()
    process.send_signal(signal.SIGCONT)
    finish(process)
    assert process.returncode == 0
    assert world.journal.writes() == before
    assert claimed.computation_stage.liquid_legions_sketch_aggregation_v2 != LLV2.complete


def wait_for(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
