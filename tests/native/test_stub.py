"""The hand-written stub and the module agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_stub_describes_the_module() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "gristmill._native"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert checked.returncode == 0, checked.stdout + checked.stderr
