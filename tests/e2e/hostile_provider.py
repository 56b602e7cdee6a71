"""A data provider whose sketches have a point off the curve, and otherwise all that is asked of them."""

from __future__ import annotations

import sys
from typing import Any

from gristmill import _native
from gristmill.cli.main import main

OFF_CURVE = b"\x02" + bytes(31) + b"\x01"
encrypt = _native.encrypt_sketch


def spoil(*arguments: Any, output: str, **more: Any) -> int:
    registers = encrypt(*arguments, output=output, **more)
    with open(output, "r+b") as sketch:
        sketch.seek(198 * 2 + 66)
        sketch.write(OFF_CURVE)
    return registers


if __name__ == "__main__":
    _native.encrypt_sketch = spoil
    sys.exit(main(sys.argv[1:]))
