"""What a process that holds keys does first."""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def disable_core_dumps() -> None:
    """Keep key bytes out of core files: no core is written, and on Linux no crash handler is given one either.

    Call it before the first key is read. Other users' processes can then not attach to this one.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
