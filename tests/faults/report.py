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
from faults.history import Recovery, claims, defects, path, recoveries, without_a_taker
from faults.load import RIGHT, Load, Measured
from faults.scene import wait_until
from gristmill.proto.duchy.inspection_pb2 import Event

RECOVERY_SECONDS: Final = 5.0
"""A stage whose worker died runs again within its lease and so much more."""
SETTLE_SECONDS: Final = 60.0
REFUSED: Final = "the internal API answered ABORTED to"


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
    at_work = {
        duchy: claims([each for (owner, _), each in histories.items() if owner == duchy], campaign.outages, duchy)
        for duchy in campaign.consortium.wiring.ports
    }
    slack = []
    for duchy, each in found:
        expired, ended = each.blow.time + lease, each.blow.time + each.seconds
        spans = [*at_work[duchy], *campaign.outages]
        starved = without_a_taker(expired, ended, duchy, campaign.mills_of(duchy), spans) if ended > expired else 0.0
        slack.append((each.seconds - lease - starved, duchy, each))
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
            **_refusals(campaign),
        },
        "recovery_seconds": {
            "all": spread([each.seconds for _, each in found]),
            "all_but_what_nobody_was_free_to_take_over": spread([lease + more for more, _, _ in slack]),
            "bound": lease + RECOVERY_SECONDS,
            "slowest": [
                {
                    "seconds": round(each.seconds, 2),
                    "nobody_was_free_for_seconds": round(each.seconds - lease - more, 2),
                    "duchy": duchy,
                    "stage": each.stage,
                    "after": each.blow.kind,
                }
                for more, duchy, each in sorted(slack, key=lambda triple: -triple[2].seconds)[:5]
            ],
        },
        "server_up_again_seconds": {
            party: spread([each.ended - each.began for each in campaign.outages if each.who in parties])
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
    if kind not in (Kind.MILL_KILLED, Kind.MILL_STOPPED, Kind.MILL_WOKEN, Kind.BEHIND_A_MINUTE):
        return {}
    mine = [each for each in found if each.blow.kind == kind]
    return {"stages_lost": len(mine), "recovery_seconds": spread([each.seconds for each in mine])}


def _refusals(campaign: Campaign) -> dict[str, int]:
    """How mills learned that their claim was gone: from the store, which refused their write, or by themselves."""
    found = Counter[str]()
    for log in campaign.consortium.processes.logs.glob("*-mill-*.log"):
        for line in log.read_text(errors="replace").splitlines():
            if "claim lost, nothing more is written" in line:
                found["late_writes_refused_by_the_store" if REFUSED in line else "claims_given_up_by_the_mill"] += 1
    return dict(found)


def _links(campaign: Campaign) -> list[Any]:
    consortium = campaign.consortium
    return [consortium.kingdom_link, *(link for links in consortium.duchy_links.values() for link in links.values())]
