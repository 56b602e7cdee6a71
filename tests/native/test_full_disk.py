"""Spill files on a full disk: an error with the system's number, by which it is known, and no file left."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from full_disk import Disk, Mounted
from gristmill import _native as native

REGISTER = 198
MORE_THAN_MEMORY = 340_000
"""So many registers are sorted through spill files (more than 64 MiB)."""


@pytest.fixture(scope="module")
def registers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Encrypted registers, the same few again and again: to encrypt them all would take minutes."""
    folder = tmp_path_factory.mktemp("registers")
    few = folder / "few"
    native.encrypt_sketch(
        [(index, index, 1) for index in range(100)],
        output=str(few),
        public_key=native.combine_public_keys([native.public_element(bytes([3]) * 32)]),
        maximum_frequency=3,
        randomness=native.Randomness.operating_system(),
        threads=1,
        progress=native.Progress(),
    )
    path = folder / "many"
    some = few.read_bytes()
    end = native.public_element(b"\x01") + native.public_element(bytes([3]) * 32)  # an encryption of zero
    for name, last in (("many", b""), ("blob", end)):
        with (folder / name).open("wb") as file:
            file.writelines(some for _ in range(MORE_THAN_MEMORY // 100))
            file.write(last)
    return path


def blind(registers: Path, folder: Path) -> OSError:
    """What a stage says that sorts these registers into this folder."""
    with pytest.raises(OSError) as failed:  # noqa: PT011 (its number is looked at)
        native.llv2_blind_registers(
            inputs=[str(registers)],
            output=str(folder / "output"),
            secret_key=bytes([3]) * 32,
            public_key=native.combine_public_keys([native.public_element(bytes([3]) * 32)]),
            randomness=native.Randomness.operating_system(),
            threads=2,
            progress=native.Progress(),
            block=500,
        )
    return failed.value


def count(registers: Path, folder: Path) -> OSError:
    """The same of a stage that makes no file, and spills into a folder that it is told."""
    with pytest.raises(OSError) as failed:  # noqa: PT011 (its number is looked at)
        native.reach_only_estimate_reach(
            inputs=[str(registers.with_name("blob"))],
            spill_folder=str(folder),
            secret_key=bytes([3]) * 32,
            decay_rate=12.0,
            sketch_size=1000,
            sampling_width=1.0,
            reach_baseline=None,
            noise=None,
            threads=2,
            progress=native.Progress(),
        )
    return failed.value


@pytest.mark.parametrize("stage", [blind, count])
def test_spill_files_that_do_not_fit_are_an_error_with_its_number_and_leave_nothing(
    registers: Path, disk: Disk, stage: Callable[[Path, Path], OSError]
) -> None:
    disk.fill()
    error = stage(registers, disk.directory)
    assert error.errno in (errno.ENOSPC, errno.EFBIG)
    assert [path.name for path in disk.directory.iterdir() if path.name != ".ballast"] == []
    if isinstance(disk, Mounted):
        assert "bytes are free, sorting needs" in str(error)
