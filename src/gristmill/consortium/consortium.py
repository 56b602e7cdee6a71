"""A kingdom, duchies with their mills, and data providers: started, watched and stopped together on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gristmill.consortium.inspection import Inspection
from gristmill.consortium.processes import COMMAND, Child, Processes, free_ports, listens
from gristmill.consortium.wiring import HOST, DuchyPorts, Wiring
from gristmill.consumer.client import Consumer
from gristmill.consumer.keys import ConsumerKeys
from gristmill.edp.events import EventFile
from gristmill.edp.population import Population
from gristmill.trust import development
from gristmill.trust.channels import Target
from gristmill.trust.development import DevelopmentKeys
from gristmill.trust.files import make_private_directory, write_private_file

DUCHIES: Final = ("worker1", "worker2", "aggregator")


@dataclass(frozen=True, slots=True)
class Options:
    """What may differ between consortiums.

    Attributes:
        lease: for how long mills claim a stage. They report their progress three times as often.
        parallelism: threads of one mill's cryptography.
        mills: mills of each duchy; 0 starts none.
        population: all VIDs, of data providers whose events are given as text.
        duchies: their IDs. The one named `aggregator` is it, else the last.
        flags: process name ("kingdom", "worker1", "worker1 mill 1", a data provider) -> further flags of it.
    """

    lease: timedelta = timedelta(seconds=3)
    parallelism: int = field(default_factory=lambda: os.cpu_count() or 1)
    mills: int = 1
    population: Population | None = None
    duchies: Sequence[str] = DUCHIES
    flags: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Consortium:
    """Runs from `start` (or entering it as a context) until `stop`.

    Args:
        directory: new or empty; receives `keys/`, `logs/` and a directory of state for each party.
        events: data provider -> its file, or CSV text with the columns date and tailnum, which is written to one.
        keys: of the consortium that ran in this directory before, which goes on; None: new keys, a new consortium.
    """

    def __init__(
        self,
        directory: Path,
        events: Mapping[str, EventFile | str],
        options: Options | None = None,
        *,
        keys: DevelopmentKeys | None = None,
    ) -> None:
        self.directory, self.options = directory.absolute(), options or Options()
        make_private_directory(self.directory, what="the consortium's directory")
        duchies = tuple(self.options.duchies)
        self.keys = keys or development.make(self.directory / "keys", duchies=duchies, data_providers=tuple(events))
        ports = iter(free_ports(1 + 4 * len(duchies)))
        self.wiring = Wiring(
            directory=self.directory,
            keys=self.keys,
            kingdom_port=next(ports),
            ports={duchy: DuchyPorts(*(next(ports) for _ in range(4))) for duchy in duchies},
            lease=self.options.lease,
            parallelism=self.options.parallelism,
        )
        for party in ("kingdom", *duchies, *events):
            make_private_directory(self.wiring.state(party), what=f"the directory of {party}")
        self._events = {provider: self._event_file(provider, each) for provider, each in events.items()}
        self.processes = Processes(self.directory / "logs", os.environ)
        self._mills_started = dict.fromkeys(duchies, 0)

    def _event_file(self, provider: str, events: EventFile | str) -> EventFile:
        if isinstance(events, EventFile):
            return events
        write_private_file(self.wiring.events(provider), events.encode())
        return EventFile(self.wiring.events(provider), "tailnum", population=self.options.population)

    def start(self) -> None:
        """Return when every server answers. PartyFailed names the one that does not, and its log."""
        self.processes.logs.mkdir(mode=0o700, exist_ok=True)
        self._start("kingdom", self.wiring.kingdom())
        for duchy in self.wiring.ports:
            self._start(duchy, self.wiring.duchy(duchy))
        self.processes.wait_for("kingdom", lambda: listens([self.wiring.kingdom_port]))
        for duchy, ports in self.wiring.ports.items():
            self.processes.wait_for(duchy, lambda ports=ports: listens(ports.all()))  # type: ignore[misc]
        for duchy in self.wiring.ports:
            for _ in range(self.options.mills):
                self.start_mill(duchy)
        for provider in self.keys.data_providers:
            self._start(provider.name, self.wiring.data_provider(provider.name, self._events[provider.name]))

    def start_mill(self, duchy: str, *, program: Sequence[str] = COMMAND, flags: Sequence[str] = ()) -> Child:
        """One more mill for a duchy. `program` is what Python runs as one, with `flags` beside the usual ones."""
        self._mills_started[duchy] += 1
        name = f"{duchy} mill {self._mills_started[duchy]}"
        return self._start(name, [*self.wiring.mill(duchy, name.replace(" ", "-")), *flags], program)

    def _start(self, name: str, arguments: Sequence[str], program: Sequence[str] = COMMAND) -> Child:
        return self.processes.start(name, [*arguments, *self.options.flags.get(name, ())], program)

    def check(self) -> None:
        """PartyFailed if a process has ended by itself."""
        self.processes.check()

    def stop(self, *, grace_seconds: float = 10) -> None:
        """Mills, which put their stages back while their duchies still answer, and data providers; then servers."""
        servers = ("kingdom", *self.wiring.ports)
        workers = [child for child in self.processes.children if child.name not in servers]
        self.processes.stop(workers, grace_seconds=grace_seconds)
        self.processes.stop(grace_seconds=grace_seconds)

    def consumer(self) -> Consumer:
        """The measurement consumer's connection to the kingdom."""
        target = Target(f"{HOST}:{self.wiring.kingdom_port}", self.keys.kingdom.cert_host)
        return Consumer(ConsumerKeys.of(self.keys), target)

    def inspection(self, duchy: str) -> Inspection:
        return Inspection(self.keys.duchy(duchy), self.wiring.ports[duchy].internal_api)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
