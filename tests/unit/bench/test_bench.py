"""`gristmill bench`, and what `make bench` makes of its timings."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from gristmill.bench import results as measured
from gristmill.bench import stages
from gristmill.bench.chart import chart
from gristmill.bench.libcrypto import yardstick
from gristmill.bench.results import Effort
from gristmill.bench.sketches import sketch
from gristmill.bench.stages import Call, Noise
from gristmill.bench.targets import TARGETS
from gristmill.bench.timing import StageTiming, timed
from gristmill.cli.main import main
from gristmill.errors import GristmillError

ROOT = Path(__file__).parents[3]
EVERY_STAGE = [
    "EDP encryption",
    "setup",
    "phase one, worker",
    "phase one, aggregator",
    "phase two, worker",
    "phase two, aggregator",
    "phase three, worker",
    "phase three, aggregator",
    "whole run, all duchies",
]


def benched(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, dict[str, float]]:
    assert main(["bench", "--json", *flags]) == 0
    return {row["stage"]: row for row in json.loads(capsys.readouterr().out)["stages"]}


def test_every_stage_of_a_measurement_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = benched(capsys, "--registers=60", "--edps=4", "--max-frequency=3", "--parallelism=2")
    assert list(rows) == EVERY_STAGE
    assert rows["EDP encryption"]["items"] == rows["phase one, aggregator"]["items"] == 240
    kept = rows["phase two, aggregator"]["items"]
    assert rows["phase three, aggregator"]["items"] == 2 * kept > 0
    assert rows["phase three, worker"]["items"] == 2 * 2 * kept
    assert all(row["seconds_cpu"] > 0 and row["seconds_wall"] > 0 and row["peak_rss"] > 2**20 for row in rows.values())


def test_a_measurement_of_reach_alone_ends_with_phase_two(capsys: pytest.CaptureFixture[str]) -> None:
    rows = benched(capsys, "--registers=20", "--max-frequency=1")
    assert [stage for stage in rows if stage.startswith("phase")] == EVERY_STAGE[2:6]


def test_a_measurement_of_the_reach_only_protocol_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--protocol=reach-only", "--registers=60", "--edps=4"]
    rows = benched(capsys, *flags, "--noise")
    stages = ["EDP encryption", "setup", "execution, worker", "execution, aggregator", "whole run, all duchies"]
    assert list(rows) == stages
    assert rows["EDP encryption"]["items"] == 240
    received = rows["execution, aggregator"]["items"]
    assert rows["execution, worker"]["items"] == 2 * received > 2 * 240
    assert main(["bench", *flags]) == 0
    printed = capsys.readouterr().out
    assert "4 data providers x 60 registers, reach alone, 1 thread a stage, no noise: " in printed


def test_a_measurement_of_share_shuffle_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--protocol=hmss", "--registers=500", "--edps=4", "--parallelism=2"]
    rows = benched(capsys, *flags, "--noise")
    assert list(rows) == ["EDP encryption", "shuffle, worker", "aggregation", "whole run, all duchies"]
    entries = rows["aggregation"]["items"]
    assert rows["shuffle, worker"]["items"] == 2 * entries > 2 * 500
    assert main(["bench", *flags]) == 0
    printed = capsys.readouterr().out
    assert "4 data providers x 500 registers, maximum frequency 10, 2 threads a stage, no noise: 500 entries" in printed
    assert "AES-256-CTR over 16 bytes by libcrypto: 0.0" in printed


@pytest.mark.parametrize("flags", [["--edps=20"], ["--max-frequency=1", "--noise"]])
def test_many_data_providers_and_reach_alone_are_timed_in_share_shuffle(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert benched(capsys, "--protocol=hmss", "--registers=50", *flags)["aggregation"]["items"] >= 50


def test_the_table_says_what_was_measured_and_against_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--registers=20"]) == 0
    printed = capsys.readouterr().out
    assert [line[:26].strip() for line in printed.splitlines()[1:10]] == EVERY_STAGE
    assert "3 data providers x 20 registers, maximum frequency 10, 1 thread a stage, no noise" in printed
    assert "libcrypto: OpenSSL" in printed


def test_a_directory_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing"
    assert main(["bench", f"--directory={missing}"]) == 2
    assert str(missing) in capsys.readouterr().err


def test_no_file_is_left_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benched(capsys, "--registers=20", f"--directory={tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_what_the_system_refuses_a_stage_is_told_as_the_system_told_it(tmp_path: Path) -> None:
    call = Call(stages.PHASE_THREE_WORKER, "llv2_decrypt_counts", {"inputs": ["none"], "output": "x", "threads": 1})
    call.arguments["secret_key"] = "07"
    with pytest.raises(FileNotFoundError, match="none"):
        timed(call, tmp_path)


def test_what_a_stage_refuses_is_told(tmp_path: Path) -> None:
    call = Call(stages.PHASE_THREE_WORKER, "llv2_decrypt_counts", {"inputs": [], "output": "x", "threads": 0})
    call.arguments["secret_key"] = "07"
    with pytest.raises(GristmillError, match=r"phase three, worker could not be timed: .*threads: 0"):
        timed(call, tmp_path)


def test_a_peak_is_that_of_the_stage_and_not_of_the_process_that_started_it(tmp_path: Path) -> None:
    """Linux hands the largest size down to children as `ru_maxrss`."""
    large = bytes(range(256)) * (400 * 2**20 // 256)
    assert timed(Call("", "hash_to_curve", {"texts": 10}), tmp_path).peak < len(large) / 4


@pytest.mark.parametrize("registers", [1, 2, 500])
def test_a_sketch_has_exactly_so_many_registers_and_always_the_same(registers: int) -> None:
    made = sketch(0, registers, 10)
    assert len({index for index, _, _ in made}) == registers
    assert {frequency for _, _, frequency in made} <= set(range(1, 11))
    assert made == sketch(0, registers, 10)


def test_sketches_collide_as_real_ones_do() -> None:
    sketches = [sketch(provider, 2000, 10) for provider in range(3)]
    assert any(key == 0 for _, key, _ in sketches[0])  # two people of one provider
    keys: dict[int, list[int]] = {}
    for index, key, _ in (register for each in sketches for register in each):
        keys.setdefault(index, []).append(key)
    several = [found for found in keys.values() if len(found) > 1]
    assert Counter(len(set(found)) > 1 for found in several).keys() == {True, False}  # other people, the same person


def results(effort: Effort) -> dict[str, object]:
    u = yardstick()
    assert u is not None, "the benchmark needs libcrypto"
    return measured.measure(effort, u, lambda line: None)


def test_the_benchmark_measures_every_row_with_exactly_these_keys() -> None:
    made = results(Effort(True, 30, 50, Noise(reach=(1.0, 1.0)), 1, whole_noise=False, entries=3000))
    rows = made["rows"]
    assert isinstance(rows, list)
    assert [row["id"] for row in rows] == [target.id for target in TARGETS]
    keys = ["id", "work", "unit", "items", "seconds_cpu", "ratio_u", "required", "aim", "met", "peak_rss"]
    assert all(list(row) == keys for row in rows)
    unmeasured = [row["id"] for row in rows if row["ratio_u"] is None]
    assert unmeasured == ["run-noise"]
    assert "run-noise" in measured.table(made)
    assert "not measured" in measured.table(made)


def row_of(id: str, cpu: float, items: int, u: float) -> dict[str, object]:
    target = next(target for target in TARGETS if target.id == id)
    return measured._row(target, StageTiming("any", 1, "item", items, cpu, cpu, 1), u)


def test_a_row_is_met_up_to_what_is_required() -> None:
    p1w = next(target for target in TARGETS if target.id == "p1w")
    assert row_of("p1w", cpu=p1w.required * 50e-6 * 1000, items=1000, u=50.001)["met"] is True
    assert row_of("p1w", cpu=p1w.required * 50e-6 * 1000, items=1000, u=49.999)["met"] is False


def test_the_run_with_noise_counts_seconds_as_if_on_the_reference_processor() -> None:
    row = row_of("run-noise", cpu=20.0, items=3000, u=23.6)
    assert row["ratio_u"] == pytest.approx(40.0)
    assert row["met"] is False


def test_the_chart_in_the_docs_shows_the_results() -> None:
    written = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    assert (ROOT / "docs" / "performance.svg").read_text() == chart(written)


def test_targets_grow_harder_from_existing_to_aim() -> None:
    def known(*numbers: float | None) -> list[float]:
        return [number for number in numbers if number is not None]

    for target in TARGETS:
        bounds = known(target.existing, target.required, target.aim)
        assert bounds == sorted(set(bounds), reverse=True), target
