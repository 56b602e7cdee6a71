"""Stage functions: results, independence of blocks and threads, noise, and what they refuse."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gristmill import _native as native
from gristmill._native import Cancelled, InvalidArgument
from native.duchies import Duchies, ReachOnlyDuchies

# Index 1: same key twice; 2: different keys; 3: destroyed; 4: above the maximum; 5, 6: alone.
SKETCHES = [
    [(1, 7, 1), (2, 7, 1), (3, 0, 4), (4, 9, 5)],
    [(1, 7, 1), (2, 8, 1), (5, 3, 1)],
    [(6, 3, 3)],
]
ACTIVE = 6
SHARES = {1: 1 / 4, 2: 1 / 4, 3: 2 / 4}
OFF_CURVE = b"\x02" + bytes(31) + b"\x01"
NEARLY_CONSTANT = (40.0, 1.8e-35)  # a budget under which practically every draw is the offset


PROTOCOLS = [Duchies, ReachOnlyDuchies]
OF_PROTOCOL = {Duchies: (ACTIVE, SHARES), ReachOnlyDuchies: (ACTIVE, {})}
"""What a measurement of SKETCHES finds with maximum frequency 3."""


def noisy(
    folder: Path,
    maximum_frequency: int,
    mechanism: str = "GEOMETRIC",
    kind: type[Duchies] = Duchies,
    **changes: Any,
) -> Duchies:
    common: dict[str, Any] = {"mechanism": mechanism, "contributors": 3}
    register_noise = native.RegisterNoise(
        **common,
        sketches=3,
        blind_histogram=(1.0, 1.0),
        publisher=(1.0, 1.0),
        reach=NEARLY_CONSTANT,
        group_floor=1 if kind is ReachOnlyDuchies else 4,
    )
    tuple_noise = native.TupleNoise(**common, maximum_frequency=maximum_frequency, frequency=NEARLY_CONSTANT)
    baseline = native.Baseline(**common, privacy=NEARLY_CONSTANT)
    duchies = kind(folder, SKETCHES, maximum_frequency, "noisy", **changes)
    duchies.register_noise, duchies.tuple_noise, duchies.reach_baseline = register_noise, tuple_noise, baseline
    return duchies


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_a_run_without_noise_finds_the_truth(tmp_path: Path, kind: type[Duchies]) -> None:
    assert kind(tmp_path, SKETCHES, 3, "plain").everything(None) == OF_PROTOCOL[kind]


@pytest.mark.parametrize("kind", PROTOCOLS)
def test_blocks_and_threads_do_not_change_a_byte(tmp_path: Path, kind: type[Duchies]) -> None:
    runs = []
    for threads, block in [(1, None), (1, 1), (2, 5)]:
        folder = tmp_path / f"{threads} {block}"
        folder.mkdir()
        duchies = noisy(folder, 3, "DISCRETE_GAUSSIAN", kind, threads=threads, block=block)
        assert duchies.everything(duchies.reach_baseline) == OF_PROTOCOL[kind]
        runs.append(duchies.outputs)
    assert runs[0] == runs[1]
    assert runs[0] == runs[2]


@pytest.mark.parametrize("mechanism", ["GEOMETRIC", "DISCRETE_GAUSSIAN"])
def test_a_reach_measurement_recognises_the_blind_histogram_noise(tmp_path: Path, mechanism: str) -> None:
    duchies = noisy(tmp_path, 1, mechanism)
    duchies.encrypt()
    duchies.setup()
    duchies.join()
    figures = duchies.reach()
    assert figures.blind > 0
    assert figures.kept == 0
    assert figures.active == ACTIVE
    assert duchies.outputs["matrix"] == b""


@pytest.mark.parametrize("partial_key", [b"", OFF_CURVE])
def test_a_missing_or_invalid_partial_key_is_refused(tmp_path: Path, partial_key: bytes) -> None:
    duchies = Duchies(tmp_path, SKETCHES, 1, "no partial key")
    (tmp_path / "tuples").write_bytes(b"")
    duchies.partial_keys[0] = partial_key
    with pytest.raises(InvalidArgument, match="partial composite public key"):
        duchies.reach()
    assert not (tmp_path / "two0").exists()


@pytest.mark.parametrize(("floor", "counted_too_much"), [(0, 1), (4, 0)])
def test_a_group_floor_keeps_a_small_noise_group_out_of_the_count(
    tmp_path: Path, floor: int, counted_too_much: int
) -> None:
    """Under this seed the duchies draw 0, 1 and 2 registers of publisher noise: a group as small as three sketches."""
    common: dict[str, Any] = {"mechanism": "DISCRETE_GAUSSIAN", "contributors": 3}
    noise = native.RegisterNoise(
        **common,
        sketches=3,
        blind_histogram=(1.0, 1.0),
        publisher=(1.0, 1.0),
        reach=NEARLY_CONSTANT,
        group_floor=floor,
    )
    duchies = Duchies(tmp_path, SKETCHES, 1, "floor 80", register_noise=noise)
    duchies.reach_baseline = native.Baseline(**common, privacy=NEARLY_CONSTANT)
    duchies.encrypt()
    duchies.setup()
    duchies.join()
    assert duchies.reach().active == ACTIVE + counted_too_much


@pytest.mark.parametrize(("kind", "size", "end"), [(Duchies, 198, 0), (ReachOnlyDuchies, 66, 66)])
def test_the_number_of_noise_registers_says_nothing(tmp_path: Path, kind: type[Duchies], size: int, end: int) -> None:
    """A blob of the reach-only protocol ends with a ciphertext that is not sorted."""
    sizes = set()
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        duchies = noisy(folder, 2, kind=kind)
        duchies.seed = f"size {seed}"
        duchies.encrypt()
        duchies.setup()
        output = duchies.outputs["setup0"]
        sizes.add(len(output))
        registers = [output[at : at + size] for at in range(0, len(output) - end, size)]
        assert registers == sorted(registers)
    assert len(sizes) == 1


def blind(folder: Path, **changes: Any) -> int:
    pair = native.generate_key_pair()
    arguments: dict[str, Any] = {
        "inputs": [str(folder / "input")],
        "output": str(folder / "output"),
        "secret_key": pair[0],
        "public_key": pair[1],
        "randomness": native.Randomness.operating_system(),
        "threads": 1,
        "progress": native.Progress(),
    }
    return native.llv2_blind_registers(**arguments | changes)


def registers(folder: Path, count: int) -> None:
    """An input of valid registers."""
    (folder / "input").write_bytes(native.hash_to_curve(b"any") * (6 * count))


def test_cancelling_stops_a_stage_within_a_block_and_removes_its_output(tmp_path: Path) -> None:
    registers(tmp_path, 20_000)
    progress = native.Progress()
    raised: list[BaseException] = []

    def stage() -> None:
        try:
            blind(tmp_path, progress=progress)
        except Cancelled as error:
            raised.append(error)

    thread = threading.Thread(target=stage)
    thread.start()
    while progress.done == 0 and thread.is_alive():
        time.sleep(0.005)
    assert (tmp_path / "output").exists()
    progress.cancel()
    thread.join(timeout=30)
    assert len(raised) == 1
    assert 0 < progress.done < progress.total == 20_000
    assert not (tmp_path / "output").exists()


def test_progress_ends_at_its_total(tmp_path: Path) -> None:
    registers(tmp_path, 10)
    progress = native.Progress()
    assert blind(tmp_path, progress=progress, block=3) == 10
    assert progress.done == progress.total == 10


def test_progress_moves_while_the_matrix_is_made(tmp_path: Path) -> None:
    """Which takes longer than the tests of the flags: a mill that stands still for long is thought to hang."""
    duchies = Duchies(tmp_path, SKETCHES, 3, "progress")
    duchies.encrypt()
    duchies.setup()
    duchies.join()
    figures = duchies.reach()
    assert duchies.progress.done == duchies.progress.total == figures.tuples + figures.kept


def test_records_may_straddle_input_files(tmp_path: Path) -> None:
    registers(tmp_path, 3)
    whole = (tmp_path / "input").read_bytes()
    parts = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for part, piece in zip(parts, [whole[:100], b"", whole[100:]], strict=True):
        part.write_bytes(piece)
    assert blind(tmp_path, inputs=[str(part) for part in parts]) == 3


def test_an_output_that_exists_is_left_alone(tmp_path: Path) -> None:
    registers(tmp_path, 1)
    (tmp_path / "output").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        blind(tmp_path)
    assert (tmp_path / "output").read_bytes() == b"precious"


def test_a_missing_input_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        blind(tmp_path)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("content", [b"\x02" * 197, OFF_CURVE * 6, bytes(198), b"\x03" * 199])
def test_malformed_registers_are_refused_and_leave_no_output(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "input").write_bytes(content)
    with pytest.raises(InvalidArgument):
        blind(tmp_path)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 0},
        {"block": 0},
        {"secret_key": b""},
        {"secret_key": bytes(32)},
        {"public_key": b""},
        {"public_key": bytes(33)},
    ],
)
def test_arguments_without_a_meaning_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    registers(tmp_path, 1)
    with pytest.raises(InvalidArgument):
        blind(tmp_path, **change)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("position", [0, 33, 66, 99, 132, 165])
def test_the_setup_phase_validates_every_point_of_a_data_provider(tmp_path: Path, position: int) -> None:
    register = bytearray(native.hash_to_curve(b"any") * 6)
    register[position] = 4
    (tmp_path / "own").write_bytes(register)
    with pytest.raises(InvalidArgument):
        native.llv2_setup(
            own=[str(tmp_path / "own")],
            received=[],
            output=str(tmp_path / "output"),
            public_key=None,
            maximum_frequency=2,
            noise=None,
            randomness=native.Randomness.operating_system(),
            threads=1,
            progress=native.Progress(),
        )


def test_a_reach_measurement_without_noise_parameters_is_refused(tmp_path: Path) -> None:
    duchies = Duchies(tmp_path, SKETCHES, 1, "no noise")
    duchies.encrypt()
    with pytest.raises(InvalidArgument, match="noise parameters"):
        duchies.setup()


def test_a_matrix_must_have_whole_rows(tmp_path: Path) -> None:
    (tmp_path / "matrix").write_bytes(native.hash_to_curve(b"any") * 2 * 3)
    duchies = Duchies(tmp_path, SKETCHES, 3, "odd matrix")
    with pytest.raises(InvalidArgument, match="same key aggregator matrix"):
        duchies.frequencies()


def test_phase_three_needs_a_frequency_of_at_least_two_and_some_rows(tmp_path: Path) -> None:
    (tmp_path / "matrix").write_bytes(b"")
    for maximum_frequency, reason in [(1, "maximum frequency"), (2, "no register is left")]:
        with pytest.raises(InvalidArgument, match=reason):
            Duchies(tmp_path, SKETCHES, maximum_frequency, "").run(
                native.llv2_estimate_frequency,
                "",
                inputs=[str(tmp_path / "matrix")],
                secret_key=b"\x01",
                maximum_frequency=maximum_frequency,
                baseline=None,
            )
