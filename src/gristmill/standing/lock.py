"""Who runs a consortium's directory: advisory locks that the kernel frees when their holders die, however they die.

Two of them, each a file of the directory. SUPERVISOR says that somebody runs it or is about to. PARTIES is inherited by
every process of the parties, so that it is free only when the last one has ended, also after a supervisor that was
killed before it could end them.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from gristmill.errors import ConfigurationError

SUPERVISOR: Final = "lock"
PARTIES: Final = "parties.lock"
_PATIENCE_SECONDS: Final = 0.5
"""Somebody may only be looking, which takes the lock for a moment."""


def acquire(directory: Path, name: str = SUPERVISOR, *, seconds: float = _PATIENCE_SECONDS) -> int | None:
    """A descriptor that holds the lock until it and all that inherited it are closed; None if others hold it."""
    until = time.monotonic() + seconds
    while True:
        descriptor = _open(directory / name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > until:
                return None
            time.sleep(0.02)
            continue
        if _is(descriptor, directory / name):
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)  # its last holder removed the file: lock the one that is there now


def sign(descriptor: int) -> None:
    """Say that this process is the holder, to be asked to end."""
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def held(directory: Path, name: str = SUPERVISOR) -> bool:
    """Whether anybody holds the lock."""
    return _look(directory / name) is not None


def holder(directory: Path) -> int | None:
    """The process that runs the directory; None if nobody does, or nobody has signed yet."""
    return _look(directory / SUPERVISOR) or None


def _look(path: Path) -> int | None:
    """The holder's process ID, 0 for a holder that has not signed, None for no holder."""
    if not path.exists():
        return None
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 20, 0)
        return int(text) if text.isdigit() else 0
    else:
        return None
    finally:
        os.close(descriptor)


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be opened: {error.strerror}", cure="Give a directory of your own."
        ) from None
