"""What a duchy's audit trail of a computation must look like, whatever was done to its processes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from gristmill.proto.duchy.inspection_pb2 import Event
from gristmill.protocols import llv2, reach_only
from gristmill.protocols.table import Role

WRITES = ("details updated", "output recorded", "put back", "stage entered", "ended")
"""Kinds of events that a mill's writes make."""


LEAVES = ("stage entered", "put back", "ended", "worker lost")
"""Kinds of events after which a mill has its stage in hand no more."""


@dataclass(frozen=True, slots=True)
class Blow:
    """A mill that was killed or stopped at a time (seconds since the epoch)."""

    mill: str
    kind: str
    time: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """A stage that lost its worker: from the blow to the stage's next claim, by this host's clock."""

    blow: Blow
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Span:
    """In which somebody was away or had a stage in hand. Seconds since the epoch."""

    who: str
    began: float
    ended: float


def path(duchy: str, maximum_frequency: int) -> list[str]:
    """The stages that a duchy goes through, in order: a consortium's kingdom measures reach alone by reach-only."""
    role = Role.AGGREGATOR if duchy == "aggregator" else Role.NON_AGGREGATOR
    protocol = llv2.LLV2 if maximum_frequency > 1 else reach_only.REACH_ONLY
    return [row.stage.name for row in protocol.paths[role]]


def defects(events: Sequence[Event], stages: Sequence[str]) -> list[str]:
    """What is wrong with the history of a computation that succeeded and had to go through `stages`; empty if nothing.

    No stage is entered or ended twice, no output recorded twice, no slot filled twice; fences strictly increase; and
    every write of a mill is made under the latest claim, by the mill that made it.
    """
    found = []
    entered = [event.stage for event in events if event.kind in ("created", "stage entered")]
    if entered != list(stages):
        found.append(f"the stages entered are {entered}")
    if [event.detail.partition(":")[0] for event in events if event.kind == "ended"] != ["SUCCEEDED"]:
        found.append(f"it ended with {[event.detail for event in events if event.kind == 'ended']}")
    fences = [event.fence for event in events if event.kind == "claimed"]
    if any(later <= earlier for earlier, later in pairwise(fences)):
        found.append(f"the claims' fences are {fences}")
    for kind in ("output recorded", "slot filled", "fact recorded", "requisition fulfilled"):
        # The detail begins with which one it is; a message may come before the stage that waits for it.
        once = Counter((event.stage if kind == "output recorded" else event.actor, event.detail.partition(":")[0])
                       for event in events if event.kind == kind)  # fmt: skip
        found += [f"{kind} {count} times: {what}" for what, count in once.items() if count > 1]
    return found + _strange_writes(events)


def _strange_writes(events: Iterable[Event]) -> list[str]:
    """Writes of mills that did not hold the lease."""
    found, holder = [], ("", 0)
    for event in events:
        writer = (event.actor, event.fence)
        if event.kind == "claimed":
            holder = writer
        elif event.kind == "worker lost" and holder == writer:
            holder = ("", 0)
        elif event.kind in WRITES and "-mill-" in event.actor:
            if writer != holder:
                found.append(f"{event.kind} in {event.stage} by {writer}, while {holder} held the lease")
            if event.kind in ("put back", "ended"):
                holder = ("", 0)
    return found


def recoveries(events: Sequence[Event], blows: Iterable[Blow]) -> tuple[list[Recovery], list[str]]:
    """Stages that another claim took over after a blow, and mills that lost theirs though nobody had touched them."""
    blows = sorted(blows, key=lambda blow: blow.time)
    claimed: dict[int, float] = {}
    found, untouched = [], []
    for event in events:
        time = _seconds(event)
        if event.kind == "claimed":
            claimed[event.fence] = time
        if event.kind == "worker lost":
            since = claimed[event.fence]
            dealt = [blow for blow in blows if blow.mill == event.actor and since <= blow.time <= time]
            if dealt:
                found.append(Recovery(dealt[0], event.stage, time - dealt[0].time))
            else:
                untouched.append(event.actor)
    return found, untouched


def claims(histories: Iterable[Sequence[Event]], outages: Iterable[Span], server: str) -> list[Span]:
    """When which mill of a duchy had a stage in hand.

    A mill that lost it has nothing in hand from its own death or standstill on, from its next claim on, and from the
    return of a server that was away.
    """
    outages, found = list(outages), []
    for events in histories:
        for at, event in enumerate(events):
            if event.kind != "claimed":
                continue
            began = _seconds(event)
            left = next((later for later in events[at + 1 :] if later.kind in LEAVES), None)
            ends = [math.inf if left is None else _seconds(left)]
            if left is None or left.kind == "worker lost":
                ends += [each.began for each in outages if each.who == event.actor and each.began >= began]
                ends += [each.ended for each in outages if each.who == server and each.ended >= began]
            found.append(Span(event.actor, began, min(ends)))
    found.sort(key=lambda span: span.began)
    clipped = []
    for at, span in enumerate(found):
        following = next((later.began for later in found[at + 1 :] if later.who == span.who), math.inf)
        clipped.append(replace(span, ended=min(span.ended, following)))
    return clipped


def without_a_taker(began: float, ended: float, server: str, mills: Collection[str], spans: Iterable[Span]) -> float:
    """For how many seconds of this time the duchy's server was away, or each of its mills away or at work."""
    spans = [span for span in spans if span.began < ended and span.ended > began]
    edges = sorted(
        {began, ended} | {edge for span in spans for edge in (span.began, span.ended) if began < edge < ended}
    )
    total = 0.0
    for start, end in pairwise(edges):
        out = {span.who for span in spans if span.began <= start and span.ended >= end}
        total += (end - start) * (server in out or out.issuperset(mills))
    return total


def _seconds(event: Event) -> float:
    return event.time.ToMicroseconds() / 1e6
