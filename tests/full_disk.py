"""A disk that can be full and have room again: a real file system of a few megabytes where this user may mount one,
and everywhere a limit on the size of files, which the system enforces in the same calls."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

MEBIBYTE = 1 << 20
ROOM = MEBIBYTE // 4
"""What a full disk still takes: enough for what other parts of the process write, too little for what a test writes."""
_SIZE = 32 * MEBIBYTE


class Disk(Protocol):
    """Where a test keeps its files, and what to do to them."""

    directory: Path

    def fill(self, *processes: int, room: int = ROOM) -> None:
        """From now on only so many bytes are left: for this process, or for these."""

    def make_room(self, *processes: int) -> None: ...


class Mounted:
    """A tmpfs, filled by a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ballast = directory / ".ballast"

    def fill(self, *processes: int, room: int = ROOM) -> None:
        with self._ballast.open("wb") as file:
            while True:
                free = os.statvfs(self.directory)
                try:
                    os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - room)
                    return
                except OSError as error:
                    if error.errno != errno.ENOSPC:  # else somebody wrote between the question and the answer
                        raise

    def make_room(self, *processes: int) -> None:
        self._ballast.unlink(missing_ok=True)


class Limited:
    """A limit on the size of a process's files (RLIMIT_FSIZE): larger ones fail with "File too large"."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def fill(self, *processes: int, room: int = ROOM) -> None:
        self._limit(processes, room)

    def make_room(self, *processes: int) -> None:
        self._limit(processes, resource.RLIM_INFINITY)

    def _limit(self, processes: Iterable[int], size: int) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        limits = (size if most == resource.RLIM_INFINITY else most, most)
        if not processes:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        for process in processes:
            resource.prlimit(process, resource.RLIMIT_FSIZE, limits)


def _mount(directory: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "tmpfs", str(directory)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _unmount(directory: Path) -> None:
    subprocess.run(["umount", "--lazy", str(directory)], check=True, capture_output=True)


def _can_mount() -> bool:
    with tempfile.TemporaryDirectory() as place:
        if mounted := _mount(Path(place)):
            _unmount(Path(place))
        return mounted


KINDS = ("file system", "limit") if _can_mount() else ("limit",)


@contextmanager
def disk_of(kind: str, directory: Path) -> Iterator[Disk]:
    directory.mkdir(mode=0o700)
    if kind == "limit":
        limited = Limited(directory)
        try:
            yield limited
        finally:
            limited.make_room()
        return
    if not _mount(directory):
        raise RuntimeError("a file system could be mounted a moment ago")
    try:
        yield Mounted(directory)
    finally:
        _unmount(directory)
