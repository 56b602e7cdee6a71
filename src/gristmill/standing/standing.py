"""Take a consortium up, look at it, submit to it, and take it down again, by its directory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from gristmill.consortium.inspection import Inspection
from gristmill.consortium.processes import last_lines
from gristmill.consortium.wiring import HOST
from gristmill.consumer.client import Consumer
from gristmill.consumer.keys import ConsumerKeys
from gristmill.errors import ConfigurationError, PartyFailed
from gristmill.standing import lock
from gristmill.standing.record import Record
from gristmill.standing.supervisor import GRACE_SECONDS, STATE
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.files import make_private_directory, write_private_file

UP: Final = "up"
DOWN: Final = "down"
CHANGING: Final = "starting or ending"
START_SECONDS = 90.0
_LOOK_SECONDS = 0.05
_LOCKS = (lock.SUPERVISOR, lock.PARTIES)


@dataclass(frozen=True, slots=True)
class Standing:
    """A consortium that runs, as measurements need it (`gristmill.measure.run.Running`)."""

    directory: Path
    record: Record
    state: dict[str, Any]
    keys: DevelopmentKeys

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """ConfigurationError if nothing runs there, or it is no consortium's directory."""
        directory = directory.absolute()
        record, state = Record.read(directory), running(directory)
        if state is None:
            raise ConfigurationError(
                f"the consortium in {directory} is {state_of(directory)}",
                cure=f"Take it up with gristmill consortium up {directory}",
            )
        _require_valid_keys(directory)
        return cls.of(directory, record, state)

    @classmethod
    def of(cls, directory: Path, record: Record, state: dict[str, Any]) -> Self:
        """That of a record, and of what its supervisor says."""
        return cls(directory, record, state, DevelopmentKeys.load(directory / "keys"))

    def consumer(self) -> Consumer:
        target = Target(f"{HOST}:{self.state['kingdom_port']}", self.keys.kingdom.cert_host)
        return Consumer(ConsumerKeys.of(self.keys), target)

    def inspection(self, duchy: str) -> Inspection:
        return Inspection(self.keys.duchy(duchy), self.state["duchy_ports"][duchy]["internal_api"])

    def check(self) -> None:
        """PartyFailed once it has been taken down. Parties that end by themselves are started again."""
        if lock.holder(self.directory) != self.state["pid"] or not (self.directory / STATE).exists():
            raise PartyFailed(
                f"the consortium in {self.directory} was taken down",
                cure=f"gristmill consortium up {self.directory} goes on with its measurements.",
            )


def bring_up(
    directory: Path,
    record: Record | None = None,
    contents: Mapping[str, str] | None = None,
    *,
    seconds: float = START_SECONDS,
) -> Standing:
    """Start a consortium and return when it answers.

    `record` is that of a new one, whose directory must be new or empty; None takes up what is there. `contents` are
    the events of data providers whose files are to be written into the directory first. ConfigurationError
    for a directory that is somebody else's, open to others, in use or not empty, for keys that have expired and events
    that are gone; PartyFailed for a party that does not start, and for what is left of an earlier run and does not end.
    A new directory whose consortium did not start is left as it was found.
    """
    directory = directory.absolute()
    existed = directory.exists()
    if record is None:
        Record.read(directory).require_files()
        _require_valid_keys(directory)
    else:
        _require_empty(directory)
    make_private_directory(directory, what="the consortium's directory")
    with _locked(directory) as held:
        if record is not None:
            _require_empty(directory)  # another `up` may have been faster
        try:
            if record is not None:
                _write(directory, record, contents or {})
            parties = _await_the_last_run(directory)
            try:
                _start(directory, held, parties, seconds)
            finally:
                os.close(parties)
        except BaseException:
            if record is not None:
                _clear(directory, keep=existed)
            raise
    return Standing.attach(directory)


def take_down(directory: Path, *, seconds: float = 2 * GRACE_SECONDS + 15) -> bool:
    """End the consortium and return when all its processes have ended; False if it was down already."""
    directory = directory.absolute()
    Record.read(directory)
    until = time.monotonic() + seconds
    told: int | None = None
    was = state_of(directory)
    while lock.held(directory) or lock.held(directory, lock.PARTIES):
        pid = lock.holder(directory)
        if pid is not None and pid != told:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            told = pid
        if time.monotonic() > until:
            raise _lingers(directory, seconds)
        time.sleep(_LOOK_SECONDS)
    return was != DOWN


def state_of(directory: Path) -> str:
    """UP, DOWN, or CHANGING while it starts or ends."""
    if running(directory) is not None:
        return UP
    return CHANGING if lock.held(directory) or lock.held(directory, lock.PARTIES) else DOWN


def running(directory: Path) -> dict[str, Any] | None:
    """What the directory's supervisor says of itself and the parties; None while nothing runs, or not all of it yet."""
    pid = lock.holder(directory)
    if pid is None:
        return None
    try:
        state = json.loads((directory / STATE).read_text())
    except (OSError, ValueError):
        return None
    return state if state.get("pid") == pid else None


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    held = lock.acquire(directory)
    if held is None:
        state = "up already" if running(directory) is not None else CHANGING
        raise ConfigurationError(
            f"the consortium in {directory} is {state}",
            cure=f"Look at it with gristmill consortium status {directory}",
        )
    try:
        yield held
    finally:
        os.close(held)


def _require_empty(directory: Path) -> None:
    found = directory.exists() and (
        not directory.is_dir() or any(path.name not in _LOCKS for path in directory.iterdir())
    )
    if found:
        raise ConfigurationError(
            f"{directory} is not empty", cure="Give a new directory; without --data-provider what is there is taken up."
        )


def _write(directory: Path, record: Record, contents: Mapping[str, str]) -> None:
    """The record comes last: with it the directory is a consortium's."""
    try:
        for name, text in contents.items():
            make_private_directory(record.files[name].parent, what=f"the directory of {name}")
            write_private_file(record.files[name], text.encode())
    except OSError as error:
        raise ConfigurationError(
            f"{directory} cannot be written: {error.strerror}", cure="Make room on the disk, or give another place."
        ) from None
    record.write(directory)


def _await_the_last_run(directory: Path) -> int:
    """The parties' lock. A supervisor that was killed leaves parties behind, which end a little later."""
    held = lock.acquire(directory, lock.PARTIES, seconds=GRACE_SECONDS)
    if held is None:
        raise _lingers(directory, GRACE_SECONDS)
    return held


def _lingers(directory: Path, seconds: float) -> PartyFailed:
    return PartyFailed(
        f"processes of the consortium in {directory} did not end within {seconds:.0f} s",
        cure=f"Read {_log(directory)}; fuser -v {directory / lock.PARTIES} names them, with -k it kills them.",
    )


def _start(directory: Path, held: int, parties: int, seconds: float) -> None:
    (directory / "logs").mkdir(mode=0o700, exist_ok=True)
    (directory / STATE).unlink(missing_ok=True)
    with _log(directory).open("ab") as output:
        supervisor = subprocess.Popen(  # noqa: S603 (our own command)
            [sys.executable, "-P", "-m", "gristmill.standing.supervisor", str(directory), str(held), str(parties)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(held, parties),
            start_new_session=True,
        )
    until = time.monotonic() + seconds
    try:
        while not (directory / STATE).exists():
            if supervisor.poll() is not None:
                if supervisor.returncode in (0, -signal.SIGTERM):
                    raise PartyFailed("the consortium was taken down while it started", cure="Take it up again.")
                raise PartyFailed(
                    f"the consortium did not start. The end of its log:\n{last_lines(_log(directory))}",
                    cure="Mend what it says and try again.",
                )
            if time.monotonic() > until:
                raise PartyFailed(f"the consortium did not start within {seconds:.0f} s", cure="Try again.")
            time.sleep(_LOOK_SECONDS)
    except BaseException:
        if supervisor.poll() is None:
            supervisor.terminate()
            with suppress(subprocess.TimeoutExpired):
                supervisor.wait(2 * GRACE_SECONDS + 15)
            if supervisor.poll() is None:
                supervisor.kill()  # the kernel ends its parties
                supervisor.wait()
        raise


def keys_expire(directory: Path) -> datetime | None:
    """When the development keys expire, all at once; None if there are none yet."""
    root = directory / "keys" / "kingdom_root.pem"  # the first to be made
    return read_certificate(root).not_valid_after_utc if root.exists() else None


def _require_valid_keys(directory: Path) -> None:
    expire = keys_expire(directory)
    if expire is not None and expire <= datetime.now(UTC):
        raise ConfigurationError(
            f"the development keys in {directory} expired at {expire:%Y-%m-%d %H:%M} UTC",
            cure="Start a new consortium in a new directory.",
        )


def _clear(directory: Path, *, keep: bool) -> None:
    """Remove what a start that failed has written; what the log said is in the error. The lock, held, goes last."""
    for path in sorted(directory.iterdir(), key=lambda path: path.name == lock.SUPERVISOR):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    if not keep:
        with suppress(OSError):
            directory.rmdir()


def _log(directory: Path) -> Path:
    return directory / "logs" / "consortium.log"
