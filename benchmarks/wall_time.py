"""Where the wall time of a whole measurement goes, from the kingdom's start to the result.

    python benchmarks/wall_time.py [--registers 100000] [--state DIR]

makes events of three publishers that fill that many registers each, measures them with `gristmill measure`, and reads
back what each duchy's database recorded. The critical path is followed backwards: a stage that waited for messages
began when its last message came, from the stage that sent it. What is not computing on that path is the overhead.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from gristmill import _native
from gristmill.protocols.llv2 import Stage

DECAY_RATE = 12.0
SKETCH_SIZE = 1_000_000
PUBLISHERS = 3
OVERLAP = 0.3


@dataclass(frozen=True)
class Step:
    """One stage of the critical path; seconds."""

    duchy: str
    stage: str
    queue: float
    """From the entry into the stage to the claim."""
    compute: float
    keep: float
    """Reading and checking the inputs, flushing and hashing the output, recording it."""
    hand_over: float
    """From the recorded output to the next stage's entry at whoever waited for it, or to the end."""


@dataclass(frozen=True)
class Event:
    seconds: float
    kind: str
    stage: int
    actor: str
    detail: str


class Duchy:
    """What one duchy's database says of its only computation."""

    def __init__(self, directory: Path) -> None:
        self.name = directory.name
        database = sqlite3.connect(f"file:{directory / 'duchy.sqlite'}?mode=ro", uri=True)
        rows = database.execute("SELECT time, kind, stage, actor, detail FROM events ORDER BY id").fetchall()
        self.events = [Event(time / 1e6, kind, stage, actor, detail) for time, kind, stage, actor, detail in rows]
        self.computing: dict[int, float] = defaultdict(float)
        query = "SELECT stage, value FROM stats WHERE name = 'crypto_wall_clock_duration_ms'"
        for stage, milliseconds in database.execute(query):
            self.computing[stage] += milliseconds / 1000

    def only(self, kind: str, stage: int) -> Event:
        """The first such event: nothing is retried on a machine where nothing fails."""
        return next(event for event in self.events if (event.kind, event.stage) == (kind, stage))


def steps(duchies: dict[str, Duchy]) -> list[Step]:
    """The critical path, first stage first."""
    path: list[Step] = []
    at = duchies["aggregator"]
    over = next(event for event in at.events if event.kind == "ended").seconds
    stage = max(at.computing)
    while True:
        entered, claimed = at.only("stage entered", stage), at.only("claimed", stage)
        recorded = at.only("output recorded", stage)
        computing = at.computing[stage]
        path.append(
            Step(
                at.name,
                Stage(stage).name,
                queue=claimed.seconds - entered.seconds,
                compute=computing,
                keep=recorded.seconds - claimed.seconds - computing,
                hand_over=over - recorded.seconds,
            )
        )
        if stage == Stage.SETUP_PHASE.value and at.name != "aggregator":
            return path[::-1]
        over = entered.seconds
        # Whoever made the aggregator or the neighbour enter the stage sent the last message.
        at = duchies[entered.actor]
        stage = max(event.stage for event in at.events if event.kind == "output recorded" and event.seconds < over)


def started(duchies: dict[str, Duchy]) -> float:
    """When the first duchy heard the kingdom's start."""
    heard = (event for duchy in duchies.values() for event in duchy.events if event.detail == "STARTED")
    return min(event.seconds for event in heard)


def people_for(registers: int) -> int:
    """How many people make each publisher fill about that many registers."""
    audience = _native.estimate_reach(decay_rate=DECAY_RATE, size=SKETCH_SIZE, active=registers, sampling_width=1.0)
    # A person is reached by one publisher for sure, and by each further one with the overlap.
    return round(audience * PUBLISHERS / (1 + (PUBLISHERS - 1) * OVERLAP))


def measure(registers: int, directory: Path) -> Path:
    """Run the measurement and give the directory of its state."""
    gristmill = [sys.executable, "-m", "gristmill"]
    events, kept = directory / "events", directory / "state"
    people = str(people_for(registers))
    synth = ["synth", "--people", people, "--publishers", str(PUBLISHERS), "--overlap", str(OVERLAP), str(events)]
    subprocess.run([*gristmill, *synth], check=True, stdout=sys.stderr)  # noqa: S603
    given = [f"--events={file.stem}={file}" for file in sorted(events.glob("*.csv"))]
    sizes = [f"--decay-rate={DECAY_RATE}", f"--sketch-size={SKETCH_SIZE}"]
    command = [*gristmill, "measure", *given, *sizes, f"--keep={kept}", "--json"]
    subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603
    return kept


def report(state: Path) -> None:
    duchies = {path.parent.name: Duchy(path.parent) for path in sorted(state.glob("*/duchy.sqlite"))}
    path = steps(duchies)
    end = next(event for event in duchies["aggregator"].events if event.kind == "ended").seconds
    wall, computing = end - started(duchies), sum(step.compute for step in path)
    print(f"{'duchy':<12}{'stage':<24}{'queue':>9}{'compute':>9}{'keep':>9}{'hand over':>11}   seconds")
    for step in path:
        figures = f"{step.queue:>9.3f}{step.compute:>9.3f}{step.keep:>9.3f}{step.hand_over:>11.3f}"
        print(f"{step.duchy:<12}{step.stage:<24}{figures}")
    totals = [sum(getattr(step, name) for step in path) for name in ("queue", "compute", "keep", "hand_over")]
    print(f"{'sum':<36}{totals[0]:>9.3f}{totals[1]:>9.3f}{totals[2]:>9.3f}{totals[3]:>11.3f}")
    print(f"from the start to the end {wall:.3f} s, of which not computing {wall - computing:.3f} s", end="")
    print(f" = {(wall - computing) / wall:.1%} of it, {(wall - computing) / computing:.1%} on top")


def main() -> None:
    parser = argparse.ArgumentParser(description="Where the wall time of a whole measurement goes.")
    parser.add_argument("--registers", type=int, default=100_000, help="of each of the three publishers")
    parser.add_argument("--state", type=Path, help="read this kept state of `gristmill measure` instead of measuring")
    arguments = parser.parse_args()
    if arguments.state:
        report(arguments.state)
        return
    with tempfile.TemporaryDirectory(prefix="gristmill-wall-") as directory:
        report(measure(arguments.registers, Path(directory)))


if __name__ == "__main__":
    main()
