"""Deals faults at random moments to a consortium under load, starts again what it killed, and keeps a record.

One thread deals, and does what an operator's supervisor does. The same seed gives the same faults in the same order to
the same parties; what the parties were doing at that moment differs from run to run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

from faults.history import Blow, Span
from faults.proxied import SERVICES, ProxiedConsortium
from faults.proxy import Link
from gristmill.consortium.inspection import Inspection
from gristmill.consortium.processes import COMMAND, Child, listens
from gristmill.errors import Unavailable

RESTART_SECONDS = 0.5
"""After which a supervisor starts a process again."""
LOOK_SECONDS = 0.02
CARELESS = str(Path(__file__).with_name("careless_mill.py"))


class Kind(StrEnum):
    """What is done. The order is that of the report."""

    MILL_KILLED = "mill killed"
    SERVER_KILLED = "duchy's server killed"
    KINGDOM_KILLED = "kingdom killed"
    MILL_STOPPED = "mill stopped past its lease"
    MILL_WOKEN = "mill stopped, and woken when another has its stage"
    REPLY_LOST = "reply lost after commit"
    CONNECTION_RESET = "connections reset in mid-stream"
    SLOW = "peer slow for some seconds"
    AWAY = "peer away for some seconds"
    AWAY_A_MINUTE = "peer away for a minute"
    PARTED_A_MINUTE = "peer parted from the others for a minute"
    SLOW_A_MINUTE = "peer slow for a minute"
    BEHIND_A_MINUTE = "peer behind for a minute: its mills stand still"


MINUTE = 60.0
LASTS = {Kind.AWAY_A_MINUTE, Kind.PARTED_A_MINUTE, Kind.SLOW_A_MINUTE, Kind.BEHIND_A_MINUTE}
"""Nothing can happen meanwhile but that others wait, so the next fault is dealt when these are over."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, to whom, and when (seconds since the epoch)."""

    kind: Kind
    to: str
    time: float


@dataclass(slots=True)
class Campaign:
    """`deal` the faults, then `tend` until the measurements have ended. A context."""

    consortium: ProxiedConsortium
    seed: int
    dealt: list[Fault] = field(default_factory=list)
    outages: list[Span] = field(default_factory=list)
    """From a party's death until it was started again and, if it is a server, listened; or from its stop to its waking.
    """
    ended_by_themselves: list[str] = field(default_factory=list)
    _killed: dict[str, float] = field(default_factory=dict)
    """Party -> since when it is dead by our hand, until it is up again."""
    _due: dict[str, float] = field(default_factory=dict)
    _wake: dict[int, float] = field(default_factory=dict)
    _stopped: dict[int, float] = field(default_factory=dict)
    _programs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _stopped_at: float = 0.0
    """The last of them."""
    _random: random.Random = field(init=False)
    _inspections: dict[str, Inspection] = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._inspections = {duchy: self.consortium.inspection(duchy) for duchy in self.consortium.wiring.ports}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for inspection in self._inspections.values():
            inspection.__exit__(None, None, None)

    def start_mills(self, programs: Sequence[tuple[str, ...]]) -> None:
        """One of each for each duchy. A careless one looks at no clock: only the store can refuse its late writes."""
        for duchy in self.consortium.wiring.ports:
            for program in programs:
                child = self.consortium.start_mill(duchy, program=program)
                self._programs[child.name] = program

    def deal(self, plan: Mapping[Kind, int], *, mean_gap: float) -> None:
        """All faults of the plan in random order, with random gaps of `mean_gap` seconds on average."""
        kinds = [kind for kind, count in plan.items() for _ in range(count)]
        self._random.shuffle(kinds)
        for kind in kinds:
            self.tend_for(self._random.expovariate(1 / mean_gap))
            to = self._deal(kind)
            self.dealt.append(Fault(kind, to, self._stopped_at if kind is Kind.MILL_WOKEN else time.time()))
            if kind in LASTS:
                self.tend_for(MINUTE)

    def blows(self) -> list[Blow]:
        """To mills."""
        mills = (Kind.MILL_KILLED, Kind.MILL_STOPPED, Kind.MILL_WOKEN)
        return [Blow(fault.to, fault.kind, fault.time) for fault in self.dealt if fault.kind in mills] + [
            Blow(mill, fault.kind, fault.time)
            for fault in self.dealt
            if fault.kind is Kind.BEHIND_A_MINUTE
            for mill in self.mills_of(fault.to)
        ]

    # The supervisor's part

    def tend_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()

    def tend(self) -> None:
        """Start again what has ended, wake what has been stopped for long enough, and wait for a moment."""
        now = time.monotonic()
        for pid, due in list(self._wake.items()):
            if now >= due:
                self._resume(pid)
        for child in list(self.consortium.processes.children):
            if child.process.poll() is not None:
                self._restart(child, now)
        for party in [party for party in self._killed if party not in self._due and self._up(party)]:
            self.outages.append(Span(audited(party), self._killed.pop(party), time.time()))
        time.sleep(LOOK_SECONDS)

    def all_up(self) -> bool:
        return not (self._killed or self._due or self._wake)

    def _restart(self, child: Child, now: float) -> None:
        if child.name not in self._due:
            if child.name not in self._killed:
                self.ended_by_themselves.append(f"{child.name} with {child.process.returncode}")
                self._killed[child.name] = time.time()
            self._due[child.name] = now + RESTART_SECONDS
        elif now >= self._due[child.name]:
            del self._due[child.name]
            processes = self.consortium.processes
            processes.discard(child)
            processes.start(child.name, child.arguments, self._programs.get(child.name, COMMAND))

    def _up(self, party: str) -> bool:
        wiring = self.consortium.wiring
        if party == "kingdom":
            return listens([wiring.kingdom_port])
        return party not in wiring.ports or listens(wiring.ports[party].all())

    def _resume(self, pid: int) -> None:
        for child in self._running():
            if child.pid == pid:
                os.kill(pid, signal.SIGCONT)
                self._awake(child)

    def _awake(self, child: Child) -> None:
        """Or dead."""
        if self._wake.pop(child.pid, None) is not None:
            self.outages.append(Span(audited(child.name), self._stopped.pop(child.pid), time.time()))

    # The faults: each gives the party that it was dealt to, under the name that it has in the audit trail

    def _deal(self, kind: Kind) -> str:
        duchy = self._random.choice(list(self.consortium.wiring.ports))
        match kind:
            case Kind.MILL_KILLED:
                return self._kill(self._mill())
            case Kind.SERVER_KILLED:
                return self._kill(self._some(lambda child: child.name in self.consortium.wiring.ports))
            case Kind.KINGDOM_KILLED:
                return self._kill(self._some(lambda child: child.name == "kingdom"))
            case Kind.MILL_STOPPED:
                lease = self.consortium.options.lease.total_seconds()
                return self._stop(self._mill(), lease + self._random.uniform(0.5, 2.0))
            case Kind.MILL_WOKEN:
                return self._wake_when_succeeded(self._mill())
            case Kind.REPLY_LOST:
                link = self._link()
                link.lose_a_reply()
                return link.name
            case Kind.CONNECTION_RESET:
                link = self._link()
                link.reset_after(self._random.randint(100, 20_000))
                return link.name
            case Kind.SLOW | Kind.SLOW_A_MINUTE:
                for link in self._of(duchy):
                    seconds = MINUTE if kind is Kind.SLOW_A_MINUTE else self._random.uniform(2, 5)
                    link.slow(seconds, bytes_per_second=20_000, delay_seconds=0.2)
            case Kind.AWAY | Kind.AWAY_A_MINUTE:
                for link in self._of(duchy):
                    link.refuse(MINUTE if kind is Kind.AWAY_A_MINUTE else self._random.uniform(1, 3))
            case Kind.PARTED_A_MINUTE:
                for link in self._of(duchy):
                    link.hold(MINUTE)
            case Kind.BEHIND_A_MINUTE:
                for child in self._running():
                    if child.name.startswith(f"{duchy} mill "):
                        self._stop(child, MINUTE)
        return duchy

    def _kill(self, child: Child) -> str:
        self._killed[child.name] = time.time()
        os.kill(child.pid, signal.SIGKILL)
        child.process.wait()
        self._awake(child)
        return audited(child.name)

    def _stop(self, child: Child, seconds: float) -> str:
        os.kill(child.pid, signal.SIGSTOP)
        self._stopped_at = time.time()
        self._stopped[child.pid], self._wake[child.pid] = self._stopped_at, time.monotonic() + seconds
        return audited(child.name)

    def _mill(self) -> Child:
        """Any that is awake; three times of four one that has a stage in hand, if one is seen within a second."""

        def awake(child: Child) -> bool:
            return " mill " in child.name and child.pid not in self._wake

        until = time.monotonic() + (1.0 if self._random.random() < 0.75 else 0.0)
        while time.monotonic() < until:
            owners = self._leases(self._random.choice(list(self.consortium.wiring.ports))).values()
            at_work = [each for each in self._running() if awake(each) and audited(each.name) in owners]
            if at_work:
                return self._random.choice(at_work)
        return self._some(awake)

    def _leases(self, duchy: str) -> dict[str, str]:
        """Computation -> the mill that holds its lease, or empty. Nothing while the duchy does not say."""
        if duchy in self._killed:
            return {}
        with suppress(Unavailable):
            return {each.global_computation_id: each.lease_owner for each in self._inspections[duchy].computations()}
        return {}

    def _wake_when_succeeded(self, child: Child) -> str:
        """Stop a mill, and wake it at the moment when it can do the most harm: its successor is at work."""
        duchy, mill = child.name.partition(" ")[0], audited(child.name)
        before = self._leases(duchy)
        lease = self.consortium.options.lease.total_seconds()
        self._stop(child, lease + 3.0)
        mine = [computation for computation, owner in before.items() if owner == mill]
        while child.pid in self._wake:
            now = self._leases(duchy)
            if any(now.get(computation) not in (mill, "", None) for computation in mine):
                self._resume(child.pid)
            self.tend()
        return mill

    def _some(self, wanted: Callable[[Child], bool]) -> Child:
        """One of those that are up; waits until there is one."""
        while not (found := [each for each in self._running() if each.name not in self._killed and wanted(each)]):
            self.tend()
        return self._random.choice(found)

    def _running(self) -> list[Child]:
        return [child for child in self.consortium.processes.children if child.process.poll() is None]

    def mills_of(self, duchy: str) -> list[str]:
        return [audited(name) for name in self._programs if name.startswith(f"{duchy} mill ")]

    def _link(self) -> Link:
        """Of those on which there are calls: a duchy's asynchronous computation control is called by none of ours."""
        links = [self.consortium.kingdom_link]
        for duchy in self.consortium.duchy_links.values():
            links += [duchy[service] for service in SERVICES if service != "async_computation_control"]
        return self._random.choice(links)

    def _of(self, duchy: str) -> list[Link]:
        """By which others reach a duchy; its own mills are on its own side."""
        return [link for service, link in self.consortium.duchy_links[duchy].items() if service != "internal_api"]


def audited(party: str) -> str:
    """The name that a party's process has in audit trails."""
    return party.replace(" ", "-")
