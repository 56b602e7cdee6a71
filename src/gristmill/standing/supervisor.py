"""The process behind a standing consortium: holds the directory's lock, runs all parties, starts again what ends.

`python -m gristmill.standing.supervisor DIR LOCK PARTIES`, the last two being the descriptors of the locks, inherited
from `gristmill consortium up`. SIGTERM ends it in order: first mills and data providers, then the servers.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gristmill.consortium.consortium import Consortium, Options
from gristmill.consortium.processes import Child, Processes
from gristmill.errors import ConfigurationError, GristmillError
from gristmill.observe import logs
from gristmill.standing import lock
from gristmill.standing.record import Record, replace_private_file
from gristmill.system_errors import of_system
from gristmill.trust import development
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.process import disable_core_dumps

STATE: Final = "running.json"
GRACE_SECONDS: Final = 30.0
"""A mill puts its stage back within 25 s of its SIGTERM, however the stage behaves."""
_LOOK_SECONDS: Final = 0.25
_SHORTEST_PAUSE, _LONGEST_PAUSE, _STABLE_SECONDS = 1.0, 30.0, 60.0

log = logs.logger("consortium")


@dataclass(slots=True)
class Restarts:
    """Starts again what has ended by itself, ever more rarely while it keeps ending."""

    processes: Processes
    counts: dict[str, int] = field(default_factory=dict)
    _pauses: dict[str, float] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)

    def tend(self, now: float) -> bool:
        """Whether anything has changed."""
        changed = False
        for child in list(self.processes.children):
            code = child.process.poll()
            if code is None:
                continue
            if child.name not in self._due:
                stable = now - self._started.get(child.name, -_STABLE_SECONDS) >= _STABLE_SECONDS
                pause = _SHORTEST_PAUSE if stable else min(_LONGEST_PAUSE, 2 * self._pauses[child.name])
                self._pauses[child.name], self._due[child.name] = pause, now + pause
                log.warning("ended by itself", party=child.name, exit_code=code, again_in_seconds=pause)
                changed = True
            elif now >= self._due[child.name]:
                changed = self._start_again(child, now) or changed
        return changed

    def _start_again(self, child: Child, now: float) -> bool:
        try:
            again = self.processes.start(child.name, child.arguments)
        except OSError as error:  # no memory, no process, no room for the log: it may pass
            self._due[child.name] = now + _LONGEST_PAUSE
            log.warning("could not be started again", party=child.name, reason=error.strerror)
            return False
        self.processes.discard(child)
        del self._due[child.name]
        self._started[child.name] = now
        self.counts[child.name] = self.counts.get(child.name, 0) + 1
        log.info("started again", party=child.name, pid=again.pid)
        return True


def supervise(directory: Path, held: int, parties: int) -> int:
    """Run until SIGTERM or SIGINT; the exit code is 0 then."""
    disable_core_dumps()
    logs.configure()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    lock.sign(held)
    consortium: Consortium | None = None
    try:
        consortium = open_consortium(directory)
        consortium.processes.inherited = (parties,)
        consortium.start()
        restarts, since = Restarts(consortium.processes), datetime.now(UTC)
        _publish(consortium, restarts, since)
        log.info("up", parties=len(consortium.processes.children))
        while True:
            time.sleep(_LOOK_SECONDS)
            if restarts.tend(time.monotonic()):
                _publish_again(consortium, restarts, since)
    except (GristmillError, OSError) as error:
        log.error("giving up", reason=str(of_system(error) if isinstance(error, OSError) else error))
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        log.info("going down")
        (directory / STATE).unlink(missing_ok=True)
        if consortium is not None:
            consortium.stop(grace_seconds=GRACE_SECONDS)
        log.info("down")


def open_consortium(directory: Path) -> Consortium:
    """The consortium of a record; it has its keys from the first time that it was opened."""
    record, keys = Record.read(directory), directory / "keys"
    options = Options(duchies=record.duchies, flags={"kingdom": record.method.flags()})
    if not keys.exists():
        unfinished = directory / ".keys"  # all keys or none, also when this process is killed among them
        shutil.rmtree(unfinished, ignore_errors=True)
        development.make(unfinished, duchies=record.duchies, data_providers=tuple(record.files))
        unfinished.rename(keys)
    return Consortium(directory, record.events(), options, keys=DevelopmentKeys.load(keys))


def _publish_again(consortium: Consortium, restarts: Restarts, since: datetime) -> None:
    """A full disk does not end the consortium: what was published stands until the next change."""
    try:
        _publish(consortium, restarts, since)
    except ConfigurationError as error:
        log.warning("the state could not be written", reason=str(error))


def _publish(consortium: Consortium, restarts: Restarts, since: datetime) -> None:
    wiring = consortium.wiring
    content = {
        "pid": os.getpid(),
        "since": since.isoformat(timespec="seconds"),
        "kingdom_port": wiring.kingdom_port,
        "duchy_ports": {duchy: asdict(ports) for duchy, ports in wiring.ports.items()},
        "parties": [
            {
                "name": child.name,
                "pid": child.pid if child.process.poll() is None else None,
                "restarts": restarts.counts.get(child.name, 0),
                "log": str(child.log),
            }
            for child in consortium.processes.children
        ],
    }
    replace_private_file(consortium.directory / STATE, content)


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
