"""Keys are refused unless nobody but their owner can read them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.errors import ConfigurationError
from gristmill.secret import Secret
from gristmill.trust.files import (
    make_private_directory,
    read_private_file,
    require_private_directory,
    write_private_file,
)


def test_a_private_file_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private_file(path, b"content")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_private_file(path, what="the key") == Secret(b"content")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    write_private_file(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        write_private_file(tmp_path / "key", b"second")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o601])
def test_a_key_that_others_can_reach_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    write_private_file(path, b"content")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"mode {mode:04o}.*chmod 600 {path}"):
        read_private_file(path, what="the key")


def test_a_mounted_secret_is_read_through_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    write_private_file(path, b"content")
    mine = os.fstat
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.fstat", lambda file: os.stat_result([*mine(file)[:4], 0, *mine(file)[5:10]]))  # root's
    path.chmod(0o440)
    assert read_private_file(path, what="the key") == Secret(b"content")
    path.chmod(0o444)
    with pytest.raises(ConfigurationError, match="0440 with fsGroup"):
        read_private_file(path, what="the key")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the key .*absent cannot be read"):
        read_private_file(tmp_path / "absent", what="the key")


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711])
def test_a_directory_that_others_can_enter_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "state"
    make_private_directory(path, what="the state directory")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 700 {path}"):
        require_private_directory(path, what="the state directory")


def test_a_new_directory_is_private(tmp_path: Path) -> None:
    make_private_directory(tmp_path / "state", what="the state directory")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_core_dumps_are_off() -> None:
    program = (
        "import resource; from gristmill.trust.process import disable_core_dumps; disable_core_dumps();"
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    before = resource.getrlimit(resource.RLIMIT_CORE)
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert output.stdout.strip() == "(0, 0)"
    assert resource.getrlimit(resource.RLIMIT_CORE) == before


def test_core_dumps_are_off_in_commands_of_people_too(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from gristmill.cli.main import main; code = main();"
        "print(code, resource.getrlimit(resource.RLIMIT_CORE))"
    )
    command = [sys.executable, "-c", program, "keys", "show", str(tmp_path / "absent")]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert output.stdout.strip() == "2 (0, 0)"
