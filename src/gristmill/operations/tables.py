"""The same for people, in tables. What others wrote is never read as markup or control codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gristmill.operations.described import Described


def computations(rows: Sequence[Described], now: datetime) -> RenderableType:
    if not rows:
        return Text("no computations")
    columns = ("computation", "role", "stage", "attempt", "held by", "doing or waiting for", "in it for")
    table = _table(*columns, whole=("computation", "attempt", "in it for"))
    for row in rows:
        state = _words_of(row["stage"]) if row["state"] == "RUNNING" else row["state"]
        entered = _age(row["stage_entered"], now) if row["state"] == "RUNNING" else ""
        _add(
            table,
            row["computation"],
            _words_of(row["role"]),
            state,
            row["attempt"] or "",
            _holder(row),
            _doing(row, now),
            entered,
        )
    return table


def computation(row: Described, now: datetime) -> RenderableType:
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    _add(facts, "computation", f"{row['computation']} ({row['type']})")
    _add(facts, "duchy", f"{row['duchy']} ({row['role']})")
    if row["state"] == "RUNNING":
        attempt = f", attempt {row['attempt']}" if row["kind"] == "work" else ""
        _add(facts, "stage", f"{row['stage']} ({row['kind']}{attempt}), for {_age(row['stage_entered'], now)}")
        _add(facts, "lease", _lease(row, now))
        _add(facts, "waiting for" if row["kind"] == "wait" else "doing", _doing(row, now) or "says nothing yet")
        _add(facts, "earlier attempts", _counts(row, now))
    else:
        _add(facts, "ended", f"{_age(row['stage_entered'], now)} ago, {row['ending'] or row['state']}")
    if row["missing_requisitions"]:
        _add(facts, "missing requisitions", ", ".join(row["missing_requisitions"]))
    _add(facts, "created", f"{row['created']} ({_age(row['created'], now)} ago)")
    parts: list[RenderableType] = [facts]
    if row["participants"]:
        parts += [Text(), _ring(row)]
    if row["deliveries"]:
        parts += [Text(), _deliveries(row["deliveries"])]
    return Group(*parts)


def events(rows: Iterable[Described]) -> RenderableType:
    table = _table("time", "event", "stage", "attempt", "fence", "by", "detail")
    for row in rows:
        _add(
            table,
            row["time"],
            row["kind"],
            row["stage"],
            row["attempt"] or "",
            row["fence"],
            row["actor"],
            row["detail"],
        )
    return table


def _ring(row: Described) -> Table:
    asked = {peer["duchy"]: peer for peer in row.get("peers", ())}
    table = _table("participants", "role", *(["stage, as it says itself"] if asked else []))
    for each in row["participants"]:
        peer = asked.get(each["duchy"])
        said = row["stage"] if each["duchy"] == row["duchy"] else ""
        said = (peer["stage"] or peer["error"]) if peer else said
        _add(table, each["duchy"] or "not on record", each["role"], *([said] if asked else []))
    return table


def _deliveries(rows: Iterable[Described]) -> Table:
    table = _table("this duchy sends", "to", "from its stage", "received", "standing", whole=("to", "from its stage"))
    for row in rows:
        received = {True: "yes", False: "no", None: "unknown"}[row["received"]]
        _add(
            table,
            _words_of(row["message"]),
            row["receiver"] or "not on record",
            row["sent_in"],
            received,
            row["standing"],
        )
    return table


def _table(*columns: str, whole: Sequence[str] = ()) -> Table:
    """`whole` columns are never broken into lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    return table


def _add(table: Table, *cells: Any) -> None:
    table.add_row(*(Text(_printable(str(cell))) for cell in cells))


def _words_of(name: str) -> str:
    """`SETUP_PHASE` as `setup phase`, which breaks between words where the terminal is narrow."""
    return name.replace("_", " ").lower()


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "�" for each in text)


def _holder(row: Described) -> str:
    lease = row["lease"]
    return "" if lease is None else lease["owner"] + (" (expired)" if lease["expired"] else "")


def _lease(row: Described, now: datetime) -> str:
    lease = row["lease"]
    if lease is None:
        return _queue(row, now) or "none"
    held = (
        f"{lease['owner']}, for {_words(lease['age_seconds'])}" if lease["age_seconds"] is not None else lease["owner"]
    )
    if lease["renewed"]:
        held += f", renewed {_words(lease['since_renewal_seconds'])} ago"
    left = _until(lease["expires"], now)
    return f"{held}, {'expired: the next mill takes it' if lease['expired'] else f'runs out in {left}'}"


def _queue(row: Described, now: datetime) -> str:
    if not row["claimable"]:
        return ""
    if datetime.fromisoformat(row["claimable"]) > now:
        return f"none; claimable in {_until(row['claimable'], now)}"
    return f"none; claimable for {_age(row['claimable'], now)}"


def _doing(row: Described, now: datetime) -> str:
    if row["missing_inputs"]:
        return ", ".join(lack["what"] for lack in row["missing_inputs"])
    if progress := row["progress"]:
        part = f" {progress['done']:,} of {progress['total']:,} {progress['unit']}" if progress["total"] else ""
        return f"{progress['activity']}{part}"
    return "waiting for a mill" if row["claimable"] and row["lease"] is None else ""


def _counts(row: Described, now: datetime) -> str:
    counts = row["counts"]
    told = f"{counts['failures']} failed, {counts['workers_lost']} lost their worker"
    told += f", {counts['out_of_memory']} out of memory"
    if counts["waiting_for_peer_since"]:
        told += f"; waiting for a peer for {_age(counts['waiting_for_peer_since'], now)}"
    return told


def _age(time: str | None, now: datetime) -> str:
    return "" if time is None else _words((now - datetime.fromisoformat(time)).total_seconds())


def _until(time: str | None, now: datetime) -> str:
    return "" if time is None else _words((datetime.fromisoformat(time) - now).total_seconds())


def _words(seconds: float) -> str:
    """`12 s`, `3 min 5 s`, `2 h 40 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def now_utc() -> datetime:
    return datetime.now(UTC)
