"""What a campaign has found: the figures for `benchmarks/faults.json`, and everything that is not as it must be."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from faults.campaign import Campaign, Kind
from faults.history import Recovery, defects, path, recoveries
from faults.load import RIGHT, Load, Measured
from faults.scene import wait_until
from gristmill.proto.duchy.inspection_pb2 import Event

RECOVERY_SECONDS: Final = 5.0
"""A stage whose worker died runs again within its lease and so much more."""
SETTLE_SECONDS: Final = 60.0
REFUSED: Final = re.compile(r"claim lost, nothing more is written")


@dataclass(frozen=True, slots=True)
class Findings:
    """`problems` is empty when everything is as it must be; `figures` can be written as JSON."""

    problems: list[str]
    figures: dict[str, Any]


def findings(campaign: Campaign, load: Load, *, database: str, plan: dict[Kind, int], seconds: float) -> Findings:
    """Look at every measurement, every duchy's history of it, and every recovery. Waits until all duchies are done."""
    problems = [f"{each.name or 'a measurement'}: {each.outcome}" for each in load.measured if each.outcome != RIGHT]
    problems += [f"{each}: nobody had killed it" for each in campaign.ended_by_themselves]
    histories = _histories(campaign, load.measured, problems)
    found: list[tuple[str, Recovery]] = []
    untouched = 0
    for (duchy, measured), events in histories.items():
        if measured.outcome == RIGHT:
            wrongs = defects(events, path(duchy, measured.maximum_frequency))
            problems += [f"{measured.computation} at {duchy}: {each}" for each in wrongs]
        recovered, others = recoveries(events, campaign.blows())
        found += [(duchy, each) for each in recovered]
        untouched += len(others)
    lease = campaign.consortium.options.lease.total_seconds()
    slack = [(each.seconds - lease - _server_away(campaign, duchy, each), duchy, each) for duchy, each in found]
    problems += [
        f"{each.stage} at {duchy} ran again {each.seconds:.1f} s after: {each.blow.kind}"
        for more, duchy, each in slack
        if more > RECOVERY_SECONDS
    ]
    figures = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": campaign.seed,
        "database_of_the_duchies": database,
        "machine": machine(),
        "seconds": round(seconds, 1),
        "lease_seconds": lease,
        "measurements": {
            "at_once": load.at_once,
            "outcomes": dict(Counter(each.outcome for each in load.measured)),
            "seconds": spread([each.seconds for each in load.measured]),
        },
        "faults": {
            kind.value: {
                "count": sum(fault.kind is kind for fault in campaign.dealt),
                **_effect(kind, [each for _, each in found]),
            }
            for kind in Kind
            if plan.get(kind)
        },
        "links": {
            "replies_lost": sum(link.replies_lost for link in _links(campaign)),
            "connections_reset": sum(link.connections_reset for link in _links(campaign)),
        },
        "stages": {
            "worked": sum(event.kind == "claimed" for events in histories.values() for event in events),
            "lost_by_their_mill": len(found),
            "lost_without_a_fault_of_their_mill": untouched,
            "applied_twice": sum("times" in each or "entered" in each for each in problems),
            "mills_that_found_their_claim_lost": _refusals(campaign),
        },
        "recovery_seconds": {
            "all": spread([each.seconds for _, each in found]),
            "beyond_lease_and_the_servers_absence": spread([more for more, _, _ in slack]),
            "bound": lease + RECOVERY_SECONDS,
            "slowest": [
                {"seconds": round(each.seconds, 2), "duchy": duchy, "stage": each.stage, "after": each.blow.kind}
                for duchy, each in sorted(found, key=lambda pair: -pair[1].seconds)[:5]
            ],
        },
        "server_up_again_seconds": {
            party: spread([each.ended - each.began for each in campaign.outages if each.party in parties])
            for party, parties in (
                ("duchy", campaign.consortium.wiring.ports),
                ("kingdom", ("kingdom",)),
            )
        },
        "problems": problems,
    }
    return Findings(problems, figures)


def write(file: Path, section: str, figures: dict[str, Any]) -> None:
    """Replace one section of the report, and keep the others."""
    report = json.loads(file.read_text()) if file.exists() else {}
    report[section] = figures
    file.write_text(json.dumps(report, indent=2) + "\n")


def spread(seconds: Sequence[float]) -> dict[str, float] | None:
    """Count, minimum, median, 95th percentile and maximum; None without any."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return {
        "count": len(ordered),
        "min": round(ordered[0], 2),
        "median": round(statistics.median(ordered), 2),
        "p95": round(ordered[math.ceil(0.95 * len(ordered)) - 1], 2),
        "max": round(ordered[-1], 2),
    }


def machine() -> dict[str, Any]:
    models = re.findall(r"^model name\s*:\s*(.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return {
        "processors": os.cpu_count(),
        "model": models[0] if models else platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""


def _histories(
    campaign: Campaign, measured: Sequence[Measured], problems: list[str]
) -> dict[tuple[str, Measured], list[Event]]:
    found = {}
    for duchy in campaign.consortium.wiring.ports:
        with campaign.consortium.inspection(duchy) as inspection:

            def ended() -> bool | None:
                return all(each.ending_state for each in inspection.computations()) or None

            try:
                wait_until(ended, seconds=SETTLE_SECONDS)
            except AssertionError:
                open_ones = [each for each in inspection.computations() if not each.ending_state]
                problems += [f"{each.global_computation_id} hangs at {duchy} in {each.stage}" for each in open_ones]
            for each in measured:
                if each.name:
                    found[duchy, each] = inspection.events(each.computation)
    return found


def _effect(kind: Kind, found: Sequence[Recovery]) -> dict[str, Any]:
    """Of faults that hit a mill: how many had a stage in hand, and when it ran again."""
    if kind not in (Kind.MILL_KILLED, Kind.MILL_STOPPED, Kind.BEHIND_A_MINUTE):
        return {}
    mine = [each for each in found if each.blow.kind == kind]
    return {"stages_lost": len(mine), "recovery_seconds": spread([each.seconds for each in mine])}


def _server_away(campaign: Campaign, duchy: str, recovery: Recovery) -> float:
    """Seconds of a recovery in which the duchy's server was not there: nobody can claim then."""
    began, ended = recovery.blow.time, recovery.blow.time + recovery.seconds
    return sum(
        max(0.0, min(ended, each.ended) - max(began, each.began)) for each in campaign.outages if each.party == duchy
    )


def _refusals(campaign: Campaign) -> int:
    """Log lines of mills that noticed, by themselves or from the store's answer, that their claim was gone."""
    logs = campaign.consortium.processes.logs.glob("*-mill-*.log")
    return sum(len(REFUSED.findall(log.read_text(errors="replace"))) for log in logs)


def _links(campaign: Campaign) -> list[Any]:
    consortium = campaign.consortium
    return [consortium.kingdom_link, *(link for links in consortium.duchy_links.values() for link in links.values())]
