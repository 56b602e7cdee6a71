"""The processes of a consortium: started, watched and stopped together, each with a log of its own."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gristmill.errors import PartyFailed

COMMAND: Final = ("-m", "gristmill.cli.child")
_LAST_LINES: Final = 8
_LOWEST_PORT: Final = 12_000
_PORTS_OF_CONNECTIONS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(slots=True)
class Child:
    """One process: who it is to people, how it was started, and where it logs."""

    name: str
    arguments: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def failure(self) -> PartyFailed | None:
        """What to tell people when the process has ended by itself; None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return PartyFailed(
            f"{self.name} {how}. The end of its log:\n{last_lines(self.log)}",
            cure=f"Read its whole log, {self.log}, mend what it says and start again.",
        )


@dataclass(slots=True)
class Processes:
    """Children that live as long as the `with` block. Logs go to `logs/NAME.log`, one file a name, appended to.

    `inherited` are descriptors that every child keeps open until it ends.
    """

    logs: Path
    environment: Mapping[str, str]
    children: list[Child] = field(default_factory=list)
    inherited: Sequence[int] = ()

    def start(self, name: str, arguments: Sequence[str], program: Sequence[str] = COMMAND) -> Child:
        """Run `gristmill ARGUMENTS`, or another Python program with these arguments."""
        log = self.logs / f"{name.replace(' ', '-')}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 (our own command)
                [sys.executable, "-P", *program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.environment, "GRISTMILL_PARENT_PID": str(os.getpid())},  # read by COMMAND
                pass_fds=self.inherited,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then stops its children in order
            )
        child = Child(name, tuple(arguments), log, process)
        self.children.append(child)
        return child

    def check(self) -> None:
        """PartyFailed if a child has ended by itself."""
        for child in self.children:
            if failure := child.failure():
                raise failure

    def wait_for(self, name: str, ready: Callable[[], bool], *, seconds: float = 30, pause: float = 0.05) -> None:
        """Return when `ready()` is true; PartyFailed for `name` after `seconds`, or for any child that ends."""
        until = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > until:
                log = self.logs / f"{name.replace(' ', '-')}.log"
                raise PartyFailed(
                    f"{name} was not ready after {seconds:.0f} s. The end of its log:\n{last_lines(log)}",
                    cure=f"Read its whole log, {log}; a machine under heavy load may only need another try.",
                )
            time.sleep(pause)

    def discard(self, child: Child) -> None:
        """Stop watching a child that was ended on purpose."""
        self.children.remove(child)

    def stop(self, children: Collection[Child] | None = None, *, grace_seconds: float = 10) -> None:
        """Ask these (None: all) to end, the last started first, and kill those that have not after the grace."""
        ending = self.children if children is None else children
        for child in reversed(list(ending)):
            if child.process.poll() is None:
                child.process.terminate()
        until = time.monotonic() + grace_seconds
        for child in list(ending):
            try:
                child.process.wait(max(until - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            self.children.remove(child)

    def __enter__(self) -> Self:
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.stop()


def last_lines(log: Path, count: int = _LAST_LINES) -> str:
    """The last lines of a log, indented; the logs hold no secrets."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-count:]) or "    (it is empty)"


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nothing listened on a moment ago, all different.

    Peers must know each other's ports before either runs, so they cannot be left to the servers. None is one that the
    system gives to connections: a server that is started again would find its port taken by somebody's.
    """
    first, last = _LOWEST_PORT, _first_of_connections()
    candidates = random.sample(range(first, last), last - first) if last - first >= 100 * count else [0] * count
    found: list[int] = []
    with ExitStack() as stack:
        for port in candidates:
            if len(found) == count:
                break
            opened = stack.enter_context(socket.socket())
            with suppress(OSError):
                opened.bind(("127.0.0.1", port))
                found.append(opened.getsockname()[1])
    return found


def _first_of_connections() -> int:
    """The lowest port that the system gives to connections."""
    try:
        return int(_PORTS_OF_CONNECTIONS.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768  # Linux's default; elsewhere it is higher


def listens(ports: Iterable[int]) -> bool:
    """Whether all of these accept connections on 127.0.0.1."""
    for port in ports:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
    return True
