"""The benchmark against the targets: what `make bench` measures, prints, and writes to benchmarks/results.json."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gristmill import __version__
from gristmill import _native as native
from gristmill.bench import share_shuffle, stages
from gristmill.bench.libcrypto import Yardstick
from gristmill.bench.machine import machine
from gristmill.bench.report import whole_run
from gristmill.bench.stages import Call, Noise, Size
from gristmill.bench.targets import REFERENCE_U, TARGETS, Target
from gristmill.bench.timing import StageTiming, measurement, summed, timed

ROW_OF = {
    stages.PHASE_ONE_WORKER: "p1w",
    stages.PHASE_ONE_AGGREGATOR: "p1a",
    stages.PHASE_TWO_WORKER: "p2w",
    stages.PHASE_TWO_AGGREGATOR: "p2a",
    stages.PHASE_THREE_WORKER: "p3w",
    stages.PHASE_THREE_AGGREGATOR: "p3a",
    stages.EDP: "edp",
}
REACH_ONLY_ROW_OF = {
    stages.EXECUTION_WORKER: "ro-w",
    stages.EXECUTION_AGGREGATOR: "ro-a",
    stages.EDP: "ro-edp",
}


@dataclass(frozen=True)
class Effort:
    """How much is measured. Every row counts its fastest repetition: the one that other work disturbed least."""

    quick: bool
    registers: int
    texts: int
    noise: Noise
    """Of the row `noise`: the budget decides how many noise registers there are."""
    repetitions: int
    whole_noise: bool
    """Measure `run-noise` too."""
    entries: int
    """Of each frequency vector of the rows `hmss-`."""


FULL = Effort(False, 10_000, 20_000, Noise(reach=(0.0033, 1e-12)), 3, True, 10_000_000)
QUICK = Effort(True, 2_000, 5_000, Noise(reach=(0.01, 1e-12)), 2, False, 2_000_000)

Say = Callable[[str], None]


def measure(effort: Effort, yardstick: Yardstick, say: Say) -> dict[str, Any]:
    """All rows; `say` gets a line before each part. Raises what a stage raises."""
    fastest: dict[str, StageTiming] = {}
    figures: dict[str, float] = {}

    def keep(row: str, timing: StageTiming) -> None:
        if row not in fastest or timing.cpu / timing.items < fastest[row].cpu / fastest[row].items:
            fastest[row] = timing

    size = Size(effort.registers)
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as name:
        folder = Path(name)
        for repetition in range(effort.repetitions):
            say(f"3 x {effort.registers:,} registers, repetition {repetition + 1} of {effort.repetitions}")
            timings = list(measurement(size, folder, yardstick))
            for timing in timings:
                if timing.stage in ROW_OF:
                    keep(ROW_OF[timing.stage], timing)
                if timing.stage == stages.PHASE_TWO_AGGREGATOR:
                    figures = {
                        key: timing.figures[key] / (size.registers * size.providers) for key in ("tuples", "kept")
                    }
            keep("run", whole_run(timings, size))
            reach_only = Size(effort.registers, protocol="reach-only")
            for timing in measurement(reach_only, folder, yardstick):
                if timing.stage in REACH_ONLY_ROW_OF:
                    keep(REACH_ONLY_ROW_OF[timing.stage], timing)
            for row, timing in _parts(effort, folder, yardstick):
                keep(row, timing)
            for row, timing in _shares(effort.entries, folder, yardstick):
                keep(row, timing)
        if effort.whole_noise:
            say("3 x 1,000 registers with noise")
            noisy = Size(1000, noise=Noise())
            fastest["run-noise"] = whole_run(list(measurement(noisy, folder, yardstick)), noisy)
    u = yardstick.fastest
    return {
        "machine": machine(),
        "libcrypto": yardstick.version,
        "u_us": u,
        "u_us_median": yardstick.median,
        "aes_256_ctr_16_bytes_ns": yardstick.keystream.fastest,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "gristmill": __version__,
        "quick": effort.quick,
        "tuples_per_register": figures["tuples"],
        "kept_tuples_per_register": figures["kept"],
        "rows": [_row(target, fastest.get(target.id), u) for target in TARGETS],
    }


def _parts(effort: Effort, folder: Path, yardstick: Yardstick) -> Iterator[tuple[str, StageTiming]]:
    """What no measurement shows alone: the setup phase of a duchy that has only noise to give, and hashing."""
    key = native.generate_key_pair()[1].hex()
    common: dict[str, Any] = {"own": [], "received": [], "output": "noise", "public_key": key, "threads": 1}
    llv2 = {"noise": effort.noise.registers(providers=3), "maximum_frequency": 10}
    reach_only = {"noise": effort.noise.registers(providers=3, group_floor=1)}
    for row, function, noise in (("noise", "llv2_setup", llv2), ("ro-noise", "reach_only_setup", reach_only)):
        yardstick.measure()
        timing = timed(Call(stages.SETUP, function, common | noise), folder)
        (folder / "noise").unlink()
        yield row, summed(stages.SETUP, "noise register", timing.result, [timing])
    yardstick.measure()
    timing = timed(Call("hash to curve", "hash_to_curve", {"texts": effort.texts}), folder)
    yield "h2c", summed("hash to curve", "text", timing.result, [timing])


def _shares(entries: int, folder: Path, yardstick: Yardstick) -> Iterator[tuple[str, StageTiming]]:
    """Share shuffle, call by call."""
    for row, call in share_shuffle.rows(entries, folder):
        yardstick.measure()
        yield row, summed(call.stage, "entry", entries, [timed(call, folder)])
    for name in ("share", "hmss-3", "hmss-10", "hmss-shuffle"):
        (folder / name).unlink()


def _row(target: Target, timing: StageTiming | None, u: float) -> dict[str, Any]:
    """`ratio_u` is what required and aim are compared with. A row that was not measured has nulls."""
    ratio = None
    if timing and target.id == "run-noise":
        ratio = timing.cpu / u * REFERENCE_U
    elif timing:
        ratio = timing.cpu / timing.items * (1e9 if target.in_nanoseconds else 1e6 / u)
    return {
        "id": target.id,
        "work": target.work,
        "unit": target.unit,
        "items": timing.items if timing else None,
        "seconds_cpu": timing.cpu if timing else None,
        "ratio_u": ratio,
        "required": target.required,
        "aim": target.aim,
        "met": None if ratio is None else ratio <= target.required,
        "peak_rss": timing.peak if timing else None,
    }


def table(results: dict[str, Any]) -> str:
    """The rows for people."""
    existing = {target.id: target.existing for target in TARGETS}
    lines = [
        f"{'id':<15}{'work':<43}{'existing':>9}{'required':>9}{'aim':>7}{'measured':>10}{'met':>5}{'items':>11}{'MiB':>5}"
    ]
    for row in results["rows"]:
        before, aim = ("" if one is None else f"{one:g}" for one in (existing[row["id"]], row["aim"]))
        start = f"{row['id']:<15}{row['work']:<43}{before:>9}{row['required']:>9g}{aim:>7}"
        if row["ratio_u"] is None:
            lines.append(f"{start}  not measured: it takes too long for make bench-quick; run make bench")
            continue
        met = "yes" if row["met"] else "no"
        lines.append(f"{start}{row['ratio_u']:>10.4g}{met:>5}{row['items']:>11,}{row['peak_rss'] / 2**20:>5.0f}")
    u, median, tuples, kept = (
        results[key] for key in ("u_us", "u_us_median", "tuples_per_register", "kept_tuples_per_register")
    )
    lines += [
        "",
        f"In U per item; run-noise in seconds of processor time, scaled to U = {REFERENCE_U} us; hmss in nanoseconds "
        "per entry. Processor",
        "time of one thread, bytes in to bytes out; but for hmss 3 data providers, maximum frequency 10. MiB: peak "
        "resident size of the",
        "stage's process.",
        f"U = {u:.1f} us (median {median:.1f} us): one EC_POINT_mul of a P-256 point by {results['libcrypto']}.",
        f"AES-256-CTR over 16 bytes, by the same: {results['aes_256_ctr_16_bytes_ns']:.2f} ns.",
        f"The run has {tuples:.2f} tuples and {kept:.2f} kept tuples an input register.",
        f"{results['machine']['processor']}, load {results['machine']['load']}.",
    ]
    return "\n".join(lines)
