"""The statistics of a process's memory."""

from __future__ import annotations

import sys

import pytest

from gristmill.mill import memory


@pytest.mark.skipif(sys.platform != "linux", reason="the figures are read from /proc")
def test_what_is_used_and_what_is_left_add_up_to_the_maximum() -> None:
    figures = memory.figures()
    used, left = figures["current_runtime_memory_total"], figures["current_runtime_memory_free"]
    assert 1 << 20 < used < figures["current_runtime_memory_maximum"]
    assert used + left == figures["current_runtime_memory_maximum"]
