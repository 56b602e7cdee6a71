"""The committed classes are what proto/ gives, and the check would notice if they were not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "protos.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_generated_classes_are_current() -> None:
    result = check(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_check_names_stale_missing_and_left_over_classes(tmp_path: Path) -> None:
    for folder in ("proto", "tools", "src/wfa", "src/gristmill/proto"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    seed = tmp_path / "proto/wfa/measurement/api/v2alpha/random_seed.proto"
    seed.write_text(seed.read_text().replace("bytes data = 1", "bytes data = 2"))
    (tmp_path / "src/wfa/frequency_count/frequency_vector_pb2.py").unlink()
    (tmp_path / "src/wfa/frequency_count/forgotten_pb2.py").write_text("")
    result = check(tmp_path)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "left over: src/wfa/frequency_count/forgotten_pb2.py",
        "missing: src/wfa/frequency_count/frequency_vector_pb2.py",
        "stale: src/wfa/measurement/api/v2alpha/random_seed_pb2.py",
    ]
