"""A stage's memory does not grow with the sketch: peak resident sizes of processes that run one stage each."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gristmill import _native as native
from gristmill.bench import share_shuffle, stages
from gristmill.bench.protocols import calls
from gristmill.bench.stages import Call, Size
from gristmill.bench.timing import REGISTER_SIZE, timed

MIB = 1 << 20
PROVIDERS = 3
SORTING = {
    "llv2_setup",
    "llv2_blind_registers",
    "llv2_join_registers",
    "llv2_decrypt_flags",
    "reach_only_setup",
    "reach_only_blind_registers",
    "reach_only_estimate_reach",
}
CALLS_AT_DUCHIES = {"llv2": 12, "reach-only": 6}
every_protocol = pytest.mark.parametrize(("protocol", "times"), [("llv2", 1), ("reach-only", 3)])
"""A register of the reach-only protocol is a third of the size, so there are thrice as many."""
GIB = 1 << 30

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a peak counts what came before the stage")


def peaks(
    folder: Path, registers: int, protocol: str, block: int | None = None, sort_memory: int | None = None
) -> dict[str, int]:
    """Bytes at every call at a duchy of a whole measurement of so many registers, all data providers' together."""
    found: dict[str, int] = {}
    for number, call in enumerate(calls(Size(registers // PROVIDERS, PROVIDERS, threads=2, protocol=protocol))):
        sorting = {"sort_memory": sort_memory} if call.function in SORTING else {}
        timing = timed(replace(call, arguments=call.arguments | {"block": block} | sorting), folder)
        if call.stage != stages.EDP:  # it is given its registers as a list, which grows with the sketch
            found[f"{number} {call.stage}"] = timing.peak
        for name in call.inputs:
            (folder / name).unlink()
    return found


def growth(small: dict[str, int], large: dict[str, int]) -> dict[str, float]:
    """MiB by which each call's peak is larger."""
    return {name: round((large[name] - peak) / MIB, 1) for name, peak in small.items()}


@every_protocol
def test_no_stage_grows_from_3000_to_12000_registers_with_little_memory_for_blocks_and_sorting(
    tmp_path: Path, protocol: str, times: int
) -> None:
    """The real sizes take minutes, so here the memory for sorting is a 64th of the usual. Runs of one size differ by up
    to 0.5 MiB; a stage that held all registers would grow by 1.7 MiB, and one that held the tuples by 1.3 MiB."""
    little: dict[str, Any] = {"block": 128 * times, "sort_memory": MIB // 8}
    few, many = (peaks(tmp_path, registers * times, protocol, **little) for registers in (3_000, 12_000))
    grown = growth(few, many)
    assert len(grown) == CALLS_AT_DUCHIES[protocol]
    assert {name: more for name, more in grown.items() if more > 1} == {}


def test_the_setup_phase_of_a_million_registers_takes_little_more_than_of_100_000(tmp_path: Path) -> None:
    """Usual settings. The registers are a thousand over and over, which neither reading nor sorting them notices."""
    small, large = (setup_peak(tmp_path, registers) for registers in (100_000, 1_000_000))
    assert (large - small) / MIB <= 16


@pytest.mark.long
@pytest.mark.parametrize("protocol", CALLS_AT_DUCHIES)
def test_no_stage_of_a_million_registers_takes_much_more_than_of_100_000(tmp_path: Path, protocol: str) -> None:
    """Usual settings and real sketches: three of 333,333 registers, and three of 33,333."""
    grown = growth(peaks(tmp_path, 100_000, protocol), peaks(tmp_path, 1_000_000, protocol))
    print(f"MiB more at the peak of each: {grown}")
    assert {name: more for name, more in grown.items() if more > 16} == {}


@pytest.mark.long
@pytest.mark.parametrize("function", ["llv2_setup", "llv2_blind_registers"])
def test_more_than_two_gib_of_registers_take_less_than_256_mib_and_16_per_thread(tmp_path: Path, function: str) -> None:
    registers = 11_000_000
    assert registers * REGISTER_SIZE > 2 * GIB
    run = setup_peak if function == "llv2_setup" else blind_peak
    peak = run(tmp_path, registers) / MIB
    print(f"{function}: {peak:.0f} MiB at its peak")
    assert peak < 256 + 2 * 16
    assert (tmp_path / "output").stat().st_size == registers * REGISTER_SIZE


def setup_peak(folder: Path, registers: int) -> int:
    (folder / "output").unlink(missing_ok=True)
    own = repeated(folder, registers)
    arguments = {"own": own, "received": [], "noise": None, "maximum_frequency": 10}
    arguments |= {"output": "output", "threads": 2, "public_key": native.generate_key_pair()[1].hex()}
    return timed(Call(stages.SETUP, "llv2_setup", arguments), folder).peak


def blind_peak(folder: Path, registers: int) -> int:
    inputs = repeated(folder, registers)
    secret, public = native.generate_key_pair()
    arguments = {"inputs": inputs, "output": "output", "threads": 2}
    arguments |= {"secret_key": secret.hex(), "public_key": public.hex()}
    return timed(Call(stages.PHASE_ONE_WORKER, "llv2_blind_registers", arguments), folder).peak


def repeated(folder: Path, registers: int) -> list[str]:
    """A file of a thousand encrypted registers, over and over."""
    thousand = folder / "thousand"
    thousand.unlink(missing_ok=True)
    native.encrypt_sketch(
        [(index, 1, 1) for index in range(1000)],
        output=str(thousand),
        public_key=native.generate_key_pair()[1],
        maximum_frequency=10,
        randomness=native.Randomness.operating_system(),
        threads=1,
        progress=native.Progress(),
    )
    some = thousand.read_bytes()
    with (folder / "registers").open("wb") as file:
        for _ in range(registers // 1000):
            file.write(some)
    return ["registers"]


def test_a_worker_holds_one_byte_an_entry_however_many_shares_there_are(tmp_path: Path) -> None:
    """At most 2 are allowed. Ring modulus 127, so that a share's file is as long."""
    rows = {entries: shuffle_peaks(tmp_path, entries) for entries in (2_000_000, 10_000_000)}
    for name in ("hmss-3", "hmss-10", "hmss-shuffle"):
        assert (rows[10_000_000][name] - rows[2_000_000][name]) / 8_000_000 < 1.25, name
    for name in ("hmss-aggregate", "hmss-parse"):
        assert (rows[10_000_000][name] - rows[2_000_000][name]) / MIB < 2, name


def shuffle_peaks(folder: Path, entries: int) -> dict[str, int]:
    peaks = {row: timed(call, folder).peak for row, call in share_shuffle.rows(entries, folder)}
    for name in ("share", "hmss-3", "hmss-10", "hmss-shuffle"):
        (folder / name).unlink()
    return peaks


@pytest.mark.long
def test_360_million_entries_take_a_byte_each(tmp_path: Path) -> None:
    entries = 360_000_000
    *_, (row, call) = [each for each in share_shuffle.rows(entries, tmp_path) if each[0] == "hmss-3"]
    assert row == "hmss-3"
    assert timed(call, tmp_path).peak < 1.1 * entries + 64 * MIB
    assert (tmp_path / "hmss-3").stat().st_size > entries


@pytest.mark.long
def test_aggregation_inputs_of_more_than_two_gib_are_read_in_little_memory(tmp_path: Path) -> None:
    """All entries are zero, so that the files need no room."""
    entries = 2**31 + 10**8
    for name in ("hmss-3", "hmss-10"):
        with (tmp_path / name).open("wb") as file:
            file.write(b"\x0a" + share_shuffle.varint(entries))
            file.seek(entries, os.SEEK_CUR)
            file.write(b"\x10" + share_shuffle.varint(entries))
    (call,) = [call for row, call in share_shuffle.rows(1, tmp_path) if row == "hmss-aggregate"]
    timing = timed(call, tmp_path)
    assert timing.result == {"entries": entries, "register_count": entries}
    assert timing.peak < 64 * MIB
