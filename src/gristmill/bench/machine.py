"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Processor, how many, whether it has AVX2 (None if unknown), and the load of the last minute."""
    said = _cpuinfo()
    instructions = said.get("flags", said.get("Features"))
    return {
        "processor": said.get("model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "processors": os.cpu_count(),
        "avx2": "avx2" in instructions.split() if instructions else None,
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 2),
    }


def _cpuinfo() -> dict[str, str]:
    """What Linux says about the first processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
