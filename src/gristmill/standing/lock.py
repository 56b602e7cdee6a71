"""Who runs a consortium's directory: an advisory lock that the kernel frees when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from gristmill.errors import ConfigurationError

_PATIENCE_SECONDS = 0.5


def acquire(directory: Path) -> int | None:
    """A descriptor that holds the lock until it and all that inherited it are closed; None if somebody else runs it."""
    until = time.monotonic() + _PATIENCE_SECONDS  # somebody may only be looking, see `holder`
    descriptor = _open(directory)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        else:
            os.ftruncate(descriptor, 0)
            return descriptor


def sign(descriptor: int) -> None:
    """Say that this process is the holder, to be asked to end."""
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def held(directory: Path) -> bool:
    """Whether somebody runs the directory."""
    return _look(directory) is not None


def holder(directory: Path) -> int | None:
    """The process that runs the directory; None if nobody does, or nobody has signed yet."""
    return _look(directory) or None


def _look(directory: Path) -> int | None:
    """The holder's process ID, 0 for a holder that has not signed, None for no holder."""
    if not (directory / "lock").exists():
        return None
    descriptor = _open(directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 20, 0)
        return int(text) if text.isdigit() else 0
    else:
        return None
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    try:
        return os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"{directory / 'lock'} cannot be opened: {error.strerror}", cure="Give a directory of your own."
        ) from None
