"""A mill whose cryptography in execution phase one hangs: no progress, deaf to its cancel flag."""

from __future__ import annotations

import sys
import time
from typing import Any, Never

from gristmill import _native
from gristmill.cli.main import main


def hang(**_: Any) -> Never:
    while True:
        time.sleep(1)


if __name__ == "__main__":
    _native.llv2_blind_registers = hang
    sys.exit(main(sys.argv[1:]))
