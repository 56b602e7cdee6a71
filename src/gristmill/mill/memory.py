"""This process's memory, for the existing statistics."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/memory.max")
_STATE = Path("/proc/self/statm")


def figures() -> dict[str, int]:
    """What the process may use at most, what it has, and what is left of the first, in bytes; empty off Linux.

    The names are those of the existing system, whose figures are its virtual machine's heap.
    """
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        resident = page * int(_STATE.read_text().split()[1])
        maximum = page * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return {}
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        maximum = min(maximum, int(_LIMIT.read_text()))
    return {
        "current_runtime_memory_maximum": maximum,
        "current_runtime_memory_total": resident,
        "current_runtime_memory_free": max(0, maximum - resident),
    }
