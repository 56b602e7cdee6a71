"""The locks that say who runs a consortium's directory."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gristmill.errors import ConfigurationError
from gristmill.standing import lock


def test_only_one_of_many_gets_the_lock(tmp_path: Path) -> None:
    got: list[int | None] = []
    threads = [threading.Thread(target=lambda: got.append(lock.acquire(tmp_path, seconds=0.1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [descriptor for descriptor in got if descriptor is not None]
    assert len(held) == 1
    os.close(held[0])


def test_whoever_looks_does_not_keep_the_lock_from_anybody(tmp_path: Path) -> None:
    (tmp_path / lock.SUPERVISOR).touch(mode=0o600)
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            lock.held(tmp_path)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(20):
            descriptor = lock.acquire(tmp_path, seconds=5)
            assert descriptor is not None
            os.close(descriptor)
    finally:
        done.set()
        looking.join()


def test_a_lock_file_that_a_dead_process_left_is_free_and_names_nobody(tmp_path: Path) -> None:
    (tmp_path / lock.SUPERVISOR).write_text(str(os.getpid()))
    assert not lock.held(tmp_path)
    assert lock.holder(tmp_path) is None


def test_the_holder_is_known_once_it_has_signed_and_not_by_what_an_earlier_one_wrote(tmp_path: Path) -> None:
    (tmp_path / lock.SUPERVISOR).write_text("1")
    descriptor = lock.acquire(tmp_path)
    assert descriptor is not None
    assert lock.held(tmp_path)
    assert lock.holder(tmp_path) is None
    lock.sign(descriptor)
    assert lock.holder(tmp_path) == os.getpid()
    os.close(descriptor)
    assert lock.holder(tmp_path) is None


def test_a_lock_is_held_until_the_last_process_that_inherited_it_has_ended(tmp_path: Path) -> None:
    descriptor = lock.acquire(tmp_path, lock.PARTIES)
    assert descriptor is not None
    program = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, pass_fds=(descriptor,)) as child:
        os.close(descriptor)
        assert lock.held(tmp_path, lock.PARTIES)
        assert lock.acquire(tmp_path, lock.PARTIES, seconds=0.1) is None
        child.kill()
    assert not lock.held(tmp_path, lock.PARTIES)


def test_a_lock_whose_file_is_removed_while_it_is_taken_is_taken_on_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, removed = fcntl.flock, list[Path]()

    def flock(descriptor: int, how: int) -> None:
        if not removed:  # as by a holder that failed, between our opening the file and our locking it
            removed.append(tmp_path / lock.SUPERVISOR)
            removed[0].unlink()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    descriptor = lock.acquire(tmp_path)
    assert descriptor is not None
    assert lock.held(tmp_path)
    os.close(descriptor)


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    (tmp_path / lock.SUPERVISOR).symlink_to(tmp_path / "other")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        lock.acquire(tmp_path)
