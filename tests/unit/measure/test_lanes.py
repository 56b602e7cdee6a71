from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from gristmill.measure.lanes import Lane, lines, table
from gristmill.proto.duchy.inspection_pb2 import ComputationSummary
from gristmill.proto.duchy.leases_pb2 import Progress


def working(done: int, stage: str = "SETUP_PHASE") -> ComputationSummary:
    progress = Progress(done=done, total=100, unit="registers")
    return ComputationSummary(stage=stage, kind="work", lease_owner="mill", progress=progress)


def test_the_rate_is_that_since_the_last_progress() -> None:
    lane = Lane("worker1").follow(working(0), 10.0).follow(working(50), 12.0)
    assert lane.rate == 25
    assert lane.state() == "50 of 100 registers, 25/s"
    assert lane.follow(working(50), 13.0).rate == 25


def test_a_new_stage_starts_without_a_rate() -> None:
    lane = Lane("worker1").follow(working(0), 0.0).follow(working(50), 1.0).follow(working(60, "NEXT"), 2.0)
    assert lane.rate == 0


def test_a_lane_says_for_whom_it_waits() -> None:
    summary = ComputationSummary(stage="WAIT_X", kind="wait", waiting_for=["input"], waiting_for_duchies=["worker2"])
    assert Lane("worker1").state() == "waiting for the kingdom"
    assert Lane("worker1").follow(summary, 0.0).state() == "waiting for worker2"


def test_work_that_no_mill_has_claimed_waits_for_one() -> None:
    unclaimed = ComputationSummary(stage="SETUP_PHASE", kind="work")
    assert Lane("worker1").follow(unclaimed, 0.0).state() == "waiting for a mill"


def test_a_waiting_stage_is_named_by_what_it_leads_to() -> None:
    summary = ComputationSummary(stage="WAIT_EXECUTION_PHASE_TWO_INPUTS", kind="wait")
    assert Lane("worker1").follow(summary, 0.0).stage == "execution phase two"


def test_lines_tell_what_changed_and_now_and_then_how_far_a_stage_is() -> None:
    start = {"worker1": Lane("worker1"), "worker2": Lane("worker2")}
    after = {**start, "worker1": start["worker1"].follow(working(10), 1.0)}
    line = "worker1: setup phase, 10 of 100 registers"
    assert list(lines(start, after, elapsed_before=0.0, elapsed=1.0)) == [f"  1.0 s  {line}"]
    assert list(lines(after, after, elapsed_before=1.0, elapsed=2.0)) == []
    assert list(lines(after, after, elapsed_before=4.9, elapsed=5.1)) == [f"  5.1 s  {line}"]


def test_without_bars_the_table_fits_a_terminal_of_eighty_columns() -> None:
    lane = replace(Lane("aggregator"), stage="requisitions and key set", done=18_048, total=20_682, rate=1_764.0)
    console = Console(file=StringIO(), width=80)
    console.print(table({"aggregator": replace(lane, unit="ciphertexts")}, 3.0, bars=False))
    assert "18,048 of 20,682 ciphertexts, 1,764/s" in console.file.getvalue()  # type: ignore[attr-defined]
