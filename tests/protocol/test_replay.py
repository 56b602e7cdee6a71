"""Recorded runs of the original, byte for byte: through the reference and through the native code."""

import json
import lzma
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from protocol import by_native, by_reference
from protocol.recorded import load
from protocol.replay import Line, Task, main, replay, replay_tasks, tasks
from protocol.vectors import DIRECTORY, LLV2_RUNS, REACH_ONLY_RUNS, RUNS

SETTINGS = [(1, None), (1, 64), (2, 7)]  # threads, items of a block


@cache
def recorded(name: str) -> tuple[list[Task | Line], dict[str, Any]]:
    """The tasks of a recorded run, made once for all ways to carry them out, and its result."""
    run = load(DIRECTORY / name)
    return list(tasks(run)), run["result"]


def not_ok(lines: Iterable[Line]) -> list[str]:
    return [f"{line} {line.reason}" for line in lines if line.verdict != "ok"]


@pytest.mark.parametrize("name", RUNS)
def test_the_reference_replays_a_recorded_run(name: str) -> None:
    assert not_ok(replay_tasks(*recorded(name), by_reference.run)) == []


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(("threads", "block"), SETTINGS)
def test_the_native_code_replays_a_recorded_run(name: str, threads: int, block: int | None) -> None:
    assert not_ok(replay_tasks(*recorded(name), partial(by_native.run, threads=threads, block=block))) == []


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        (LLV2_RUNS[0], ["setup_phase", "execution_phase_one", "execution_phase_two", "execution_phase_three"]),
        (REACH_ONLY_RUNS[0], ["setup_phase", "execution_phase"]),
    ],
)
def test_every_stage_every_provider_and_the_result_have_a_line(name: str, phases: list[str]) -> None:
    found = [(line.stage, line.role) for line in replay_tasks(*recorded(name), by_native.run)]
    stages = [(phase, role) for phase in phases for role in ("worker1", "worker2", "aggregator")]
    encryptions = [("edp_encryption", f"edp{number}") for number in (1, 2, 3)]
    assert found == [*encryptions, *stages, ("result", "aggregator")]


@pytest.mark.parametrize(
    ("name", "phase"), [(LLV2_RUNS[2], "execution_phase_one"), (REACH_ONLY_RUNS[1], "setup_phase")]
)
def test_a_changed_byte_of_a_response_fails_that_stage_alone(name: str, phase: str) -> None:
    run = load(DIRECTORY / name)
    stage = next(each for each in run["stages"] if each["stage"] == phase)
    stage["response"] = (
        stage["response"][:-200] + f"{int(stage['response'][-200], 16) ^ 1:x}" + stage["response"][-199:]
    )
    failed = [(line.stage, line.role) for line in replay(run) if line.verdict == "FAILED"]
    assert failed == [(phase, "worker1")]


def test_a_result_that_the_stages_do_not_give_fails() -> None:
    given, result = recorded(LLV2_RUNS[2])
    lines = replay_tasks(given, result | {"reach": result["reach"] + 1}, by_native.run)
    assert [line.stage for line in lines if line.verdict != "ok"] == ["result"]


def test_the_script_prints_a_line_a_stage_from_any_directory(tmp_path: Path) -> None:
    script = Path(__file__).with_name("replay.py")
    names = [str(DIRECTORY / LLV2_RUNS[2]), str(DIRECTORY / "hmss_run.json.xz")]
    plain = tmp_path / "plain.json"
    plain.write_bytes(lzma.decompress((DIRECTORY / "reach_only_run.json.xz").read_bytes()))
    command = [sys.executable, str(script), *names, str(plain)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert f"{names[0]} execution_phase_one aggregator ok" in printed
    assert f"{names[1]} shuffle_phase worker1 ok" in printed
    assert f"{plain} setup_phase worker1 ok" in printed


@pytest.mark.parametrize("kernel", ["portable", "avx2", "avx512"])
def test_every_path_of_the_curve_arithmetic_replays_the_recorded_runs(kernel: str) -> None:
    """On a processor that lacks one there is nothing to replay with, and it says so."""
    script = Path(__file__).with_name("replay.py")
    command = [sys.executable, str(script), *(str(DIRECTORY / name) for name in RUNS)]
    environment = os.environ | {"GRISTMILL_P256_KERNEL": kernel}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    if "which this processor does not have" in done.stderr:
        return
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.splitlines()
    assert printed
    assert {line.rsplit(" ", 1)[1] for line in printed} == {"ok"}


def test_the_script_finds_the_projects_python_when_started_with_another() -> None:
    script = Path(__file__).with_name("replay.py")
    if sys.prefix == sys.base_prefix or Path(sys.prefix) != script.parents[2] / ".venv":
        pytest.skip("this is not the .venv that `make dev` makes")
    other = Path(sys.base_prefix) / "bin" / "python3"
    command = [str(other), "-I", "-S", str(script), str(DIRECTORY / "hmss_run.json.xz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "shuffle_phase worker1 ok" in done.stdout


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"stages": []}), json.dumps({"rows": [1]})])
def test_an_unreadable_file_is_named_and_exits_with_an_error(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)
    assert main([str(path)]) == 1
    assert str(path) in capsys.readouterr().err
