"""The recorded vectors that tests/vectors holds."""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[1] / "vectors"


@cache
def load(name: str) -> Any:
    with lzma.open(VECTORS / f"{name}.json.xz") as file:
        return json.load(file)
