"""Where the recorded outputs of the original lie."""

import json
import lzma
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).resolve().parents[1] / "vectors"
LLV2_RUNS = (
    "llv2_run.json.xz",
    "llv2_run_noise_geometric.json.xz",
    "llv2_run_max_frequency_1_noise_gaussian.json.xz",
)
REACH_ONLY_RUNS = (
    "reach_only_run.json.xz",
    "reach_only_run_noise_geometric.json.xz",
    "reach_only_run_noise_gaussian.json.xz",
)
SHARE_SHUFFLE_RUNS = (
    "hmss_run.json.xz",
    "hmss_run_noise_gaussian.json.xz",
    "hmss_run_noise_geometric.json.xz",
    "hmss_reach_only_run.json.xz",
    "hmss_reach_only_run_noise_geometric.json.xz",
)
RUNS = (*LLV2_RUNS, *REACH_ONLY_RUNS, *SHARE_SHUFFLE_RUNS)


def vectors(name: str) -> Any:
    """The content of tests/vectors/NAME.json.xz."""
    return json.loads(lzma.decompress((DIRECTORY / f"{name}.json.xz").read_bytes()))
