"""The report of `gristmill bench`: a row a stage, and the whole run at all duchies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gristmill.bench.libcrypto import Yardstick
from gristmill.bench.machine import machine
from gristmill.bench.stages import AGGREGATION, EDP, EXECUTION_AGGREGATOR, PHASE_TWO_AGGREGATOR, SETUP, Size
from gristmill.bench.timing import StageTiming

HEADING = f"{'stage':<26}{'runs':>5}{'items':>11} {'item':<11}{'us each':>9}{'x libcrypto':>12}{'wall s':>9}{'MiB':>6}"


def row(timing: StageTiming, yardstick: Yardstick | None) -> dict[str, Any]:
    each = timing.cpu / max(timing.items, 1) * 1e6
    return {
        "stage": timing.stage,
        "runs": timing.calls,
        "items": timing.items,
        "item": timing.item,
        "microseconds_each": each,
        "ratio_u": each / yardstick.fastest if yardstick else None,
        "seconds_cpu": timing.cpu,
        "seconds_wall": timing.wall,
        "peak_rss": timing.peak,
    }


def line(of: dict[str, Any]) -> str:
    """One row for people."""
    ratio = "" if of["ratio_u"] is None or of["ratio_u"] < 0.005 else f"{of['ratio_u']:.2f}"
    each = f"{of['microseconds_each']:.{1 if of['microseconds_each'] >= 1 else 4}f}"
    return (
        f"{of['stage']:<26}{of['runs']:>5}{of['items']:>11,} {of['item']:<11}{each:>9}{ratio:>12}"
        f"{of['seconds_wall']:>9.2f}{of['peak_rss'] / 2**20:>6.0f}"
    )


def whole_run(timings: Sequence[StageTiming], size: Size) -> StageTiming:
    """All stages at all duchies, counted per register of the data providers, whose own work is not in it."""
    at_duchies = [timing for timing in timings if timing.stage != EDP]
    return StageTiming(
        "whole run, all duchies",
        sum(timing.calls for timing in at_duchies),
        "register",
        size.registers * size.providers,
        sum(timing.cpu for timing in at_duchies),
        sum(timing.wall for timing in at_duchies),
        max(timing.peak for timing in at_duchies),
    )


def document(size: Size, rows: list[dict[str, Any]], yardstick: Yardstick | None) -> dict[str, Any]:
    """The whole report for JSON. Times are seconds but for `microseconds_each` and `u_us`; `peak_rss` is bytes."""
    return {
        "machine": machine(),
        "libcrypto": yardstick.version if yardstick else None,
        "u_us": yardstick.fastest if yardstick else None,
        "aes_256_ctr_16_bytes_ns": yardstick.keystream.fastest if yardstick else None,
        "protocol": size.protocol,
        "registers": size.registers,
        "edps": size.providers,
        "max_frequency": size.maximum_frequency,
        "parallelism": size.threads,
        "noise": size.noise is not None,
        "stages": rows,
    }


def footnotes(size: Size, timings: Sequence[StageTiming], yardstick: Yardstick | None) -> list[str]:
    figures = {timing.stage: timing.figures for timing in timings}
    registers = sum(timing.items for timing in timings if timing.stage == SETUP)
    found = f"{registers:,} registers in the setup phase, "
    measures = f"maximum frequency {size.maximum_frequency}"
    if size.protocol == "hmss":
        found = "{entries:,} entries of each worker".format(**figures[AGGREGATION])
    elif size.protocol == "reach-only":
        measures = "reach alone"
        found += f"{figures[EXECUTION_AGGREGATOR]['distinct']:,} distinct indexes"
    else:
        found += "{tuples:,} tuples, {kept:,} kept".format(**figures[PHASE_TWO_AGGREGATOR])
    notes = [
        f"{size.providers} data providers x {size.registers:,} registers, {measures}, "
        f"{size.threads} thread{'s' if size.threads > 1 else ''} a stage, {'with' if size.noise else 'no'} noise: "
        f"{found}.",
        "us each: processor time. wall s: of all runs, one after another. MiB: most memory of one run's process.",
    ]
    if yardstick is None:
        return [*notes, "No libcrypto was found (OpenSSL 1.1 or later), so there are no ratios."]
    busy = yardstick.median > 1.2 * yardstick.fastest
    load = " The machine was busy meanwhile: figures may be too high." if busy else ""
    if size.protocol == "hmss":
        notes.append(f"AES-256-CTR over 16 bytes by libcrypto: {yardstick.keystream.fastest / 1000:.4f} us.")
    return [*notes, f"libcrypto: {yardstick.version}, {yardstick.fastest:.1f} us a P-256 multiplication.{load}"]
