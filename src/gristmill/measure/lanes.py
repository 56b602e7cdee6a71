"""Live progress, a lane a duchy: what the internal APIs say becomes lanes, and lanes become a table or lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gristmill.measure.report import words
from gristmill.proto.duchy.inspection_pb2 import ComputationSummary

if TYPE_CHECKING:
    from rich.console import RenderableType


_LINE_SECONDS = 5
_A_MILL = ("a mill",)
_KINGDOM = {
    "the kingdom to say PENDING_PARTICIPANT_CONFIRMATION": "the data providers",
    "the kingdom to say PENDING_COMPUTATION": "the other duchies",
}
"""Whom the kingdom itself waits for before it says so."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What one duchy is doing.

    Attributes:
        stage: for people; empty until the duchy has heard of the measurement.
        done, total: items of the running stage; a total of 0 means that none are counted.
        rate: items a second since the last look, 0 if unknown.
        waiting_for: whom or what the duchy waits for; empty while it works.
        ended: SUCCEEDED, FAILED, CANCELED, or empty.
    """

    duchy: str
    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = "items"
    rate: float = 0.0
    waiting_for: tuple[str, ...] = ()
    ended: str = ""
    since: float = 0.0

    def follow(self, summary: ComputationSummary, now: float) -> Lane:
        """The lane after the internal API said `summary` at `now` (seconds on any clock that runs forward)."""
        stage, progress = _stage(summary), summary.progress
        fresh = replace(
            self,
            stage=stage,
            done=progress.done,
            total=progress.total,
            unit=progress.unit or "items",
            waiting_for=_waiting_for(summary),
            ended=summary.ending_state,
            since=now,
            rate=0.0,
        )
        if stage != self.stage or progress.done < self.done:
            return fresh
        if progress.done == self.done:
            return replace(fresh, rate=self.rate, since=self.since)
        return replace(fresh, rate=(progress.done - self.done) / max(now - self.since, 1e-3))

    def state(self) -> str:
        """`waiting for worker1`, `4,210 of 8,100 registers, 812/s`, `finished`, or nothing to say."""
        if self.ended:
            return {"SUCCEEDED": "finished"}.get(self.ended, self.ended.lower())
        if not self.stage:
            return "waiting for the kingdom"
        if self.waiting_for:
            return "waiting for " + ", ".join(self.waiting_for)
        if not self.total:
            return ""
        rate = f", {self.rate:,.0f}/s" if self.rate else ""
        return f"{self.done:,} of {self.total:,} {self.unit}{rate}"


def _waiting_for(summary: ComputationSummary) -> tuple[str, ...]:
    if summary.ending_state:
        return ()
    if summary.kind == "wait":
        return tuple(summary.waiting_for_duchies) or tuple(_KINGDOM.get(each, each) for each in summary.waiting_for)
    return () if summary.lease_owner else _A_MILL


def table(lanes: Mapping[str, Lane], elapsed: float, *, bars: bool = True) -> RenderableType:
    """The lanes as a table that is drawn again and again; without bars it fits 80 columns."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left", title_style="dim")
    drawn.title = f"{elapsed:.0f} s"
    drawn.add_column("duchy", min_width=10)
    drawn.add_column("stage", min_width=24)
    if bars:
        drawn.add_column("", width=16)
    drawn.add_column("", no_wrap=True)
    for lane in lanes.values():
        working = bool(lane.total) and not lane.waiting_for and not lane.ended
        bar = [ProgressBar(total=lane.total, completed=lane.done, width=16) if working else ""] if bars else []
        drawn.add_row(lane.duchy, "" if lane.ended else lane.stage, *bar, lane.state())
    return drawn


def lines(
    before: Mapping[str, Lane], after: Mapping[str, Lane], *, elapsed_before: float, elapsed: float
) -> Iterator[str]:
    """For output that is no terminal: a line when a duchy enters a stage or ends, and now and then while it works."""
    due = elapsed // _LINE_SECONDS > elapsed_before // _LINE_SECONDS
    for duchy, lane in after.items():
        old = before[duchy]
        news = (lane.stage, lane.waiting_for, lane.ended) != (old.stage, old.waiting_for, old.ended)
        progress = due and lane.total and lane.done < lane.total and not lane.waiting_for
        if (news and lane.waiting_for != _A_MILL) or progress:
            parts = ["" if lane.ended else lane.stage, lane.state()]
            yield f"{elapsed:5.1f} s  {duchy}: " + ", ".join(part for part in parts if part)


def _stage(summary: ComputationSummary) -> str:
    """The stage for people; of a waiting one what it leads to, as for whom it waits is said apart."""
    return words(summary.stage.removeprefix("WAIT_TO_").removeprefix("WAIT_").removesuffix("_INPUTS"))
