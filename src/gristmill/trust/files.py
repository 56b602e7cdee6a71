"""Files that hold keys: what their permissions must be, and the paths that every server and client is given."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from gristmill.errors import FileExposed, FileUnusable
from gristmill.secret import Secret


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """`--tls-cert-file`, `--tls-key-file`, `--cert-collection-file` and `--allow-development-certificates`."""

    certificate_file: Path
    key_file: Path
    collection_file: Path
    allow_development: bool = False


def read_private_file(path: Path, *, what: str) -> Secret:
    """The content of a key file; `ConfigurationError` unless only its owner (this user or root) can read it.

    A process that is not root may read root's file through its group, as a mounted Kubernetes secret is read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hold us up
    except OSError as error:
        raise FileUnusable(f"{what} {path} cannot be read: {error.strerror}", cure="check the flag") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileUnusable(f"{what} {path} is not a file", cure="check the flag")
    with open(descriptor, "rb") as file:
        _require_owner(path, status, what)
        mounted = status.st_uid == 0 and os.geteuid() != 0
        if stat.S_IMODE(status.st_mode) & (0o037 if mounted else 0o077):
            raise FileExposed(
                f"{what} {path} can be read or written by other users (mode {stat.S_IMODE(status.st_mode):04o})",
                cure=f"chmod 600 {path} (in Kubernetes: defaultMode: 0400 on the secret's volume, 0440 with fsGroup)",
            )
        return Secret(file.read())


def require_private_directory(path: Path, *, what: str) -> None:
    """`ConfigurationError` unless `path` is a directory of this user or root that nobody else can enter (mode 0700)."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise FileUnusable(f"{what} {path} cannot be used: {error.strerror}", cure=f"mkdir -m 700 {path}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise FileUnusable(f"{what} {path} is not a directory", cure="give a directory")
    _require_owner(path, status, what)
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise FileExposed(
            f"{what} {path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o})", cure=f"chmod 700 {path}"
        )


def make_private_directory(path: Path, *, what: str) -> None:
    """Make the directory with mode 0700, or check the one that is there."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnusable(f"{what} {path} cannot be made: {error.strerror}", cure="give another place") from None
    require_private_directory(path, what=what)


def write_private_file(path: Path, content: bytes) -> None:
    """Write a new file with mode 0600 from its first byte on; it must not exist. All of it or nothing: OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None  # writing does not know the name


def _require_owner(path: Path, status: os.stat_result, what: str) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise FileExposed(f"{what} {path} belongs to another user", cure=f"chown {os.geteuid()} {path}")
