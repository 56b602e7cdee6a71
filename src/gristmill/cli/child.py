"""`python -m gristmill.cli.child COMMAND ...`: a command that ends with the process that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT = "GRISTMILL_PARENT_PID"
_PR_SET_PDEATHSIG = 1


def main() -> int:
    if sys.platform == "linux":
        parent = int(os.environ.get(PARENT) or os.getppid())
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            return 1
    from gristmill.cli.main import main as command

    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
