"""Write docs/errors.md from the docstrings of gristmill/errors.py, or check that the committed page is current.

    python tools/errors.py
    python tools/errors.py --check

A class's docstring is its meaning, then the paragraphs `Retried:`, `Who acts:` and `Cure:`.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from gristmill.errors import GristmillError, Reaction  # noqa: E402
from gristmill.store import refusals  # noqa: E402

PAGE = ROOT / "docs" / "errors.md"
FIELDS = ("Retried", "Who acts", "Cure")
FAMILIES = {
    "GM-0": "Without a code of its own",
    "GM-1": "Configuration and input: a process stops before it starts",
    "GM-2": "Refusals: a call is answered with a status, and nothing is changed",
    "GM-3": "Over soon, perhaps: tried again",
    "GM-4": "For good: the computation fails",
    "GM-5": "A worker stops",
    "GM-6": "Processes of a consortium on one machine",
}
HEAD = """# Errors

Every error says what happened, to what, and the cure. Its code begins the messages of commands, the events of stages
that were put back, and the kingdom's record of a failed computation; in logs it is `error`, in metrics `reason`.
The cures here are general; the message's own is more exact. This page is made from the code by `tools/errors.py`.
"""


@dataclass(frozen=True, slots=True)
class Described:
    """One error; `fields` holds the texts of FIELDS."""

    kind: type[GristmillError]
    meaning: str
    fields: dict[str, str]


def errors() -> list[Described]:
    """Every class of the tree with a code of its own, by code. Raises ValueError for a docstring that lacks a field."""
    kinds = {kind.code: kind for kind in (GristmillError, *_below(GristmillError)) if "code" in vars(kind)}
    return [describe(kinds[code]) for code in sorted(kinds)]


def describe(kind: type[GristmillError]) -> Described:
    meaning, *rest = inspect.cleandoc(kind.__doc__ or "").split("\n\n")
    fields: dict[str, str] = {}
    for line in "\n".join(rest).splitlines():
        label, colon, text = line.partition(": ")
        if colon and label in FIELDS:
            fields[label] = text
        elif fields:
            fields[[*fields][-1]] += " " + line.strip()
    if tuple(fields) != FIELDS:
        raise ValueError(
            f"the docstring of {kind.__name__} must have the paragraphs {', '.join(FIELDS)}, in this order"
        )
    return Described(kind, " ".join(meaning.split()), fields)


def _below(kind: type[GristmillError]) -> Iterator[type[GristmillError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def page() -> str:
    parts = [HEAD]
    found = errors()
    for prefix, title in FAMILIES.items():
        parts.append(f"## {title}\n")
        parts += [_section(each) for each in found if each.kind.code.startswith(prefix)]
    parts.append(_reasons())
    return "\n".join(parts)


def _section(error: Described) -> str:
    kind = error.kind
    lines = [f"### {kind.code} {kind.__name__}", error.meaning]
    if kind.reaction is Reaction.REFUSE:
        lines.append(f"* gRPC status: {kind.status}")
    lines += [f"* {label}: {text}" for label, text in error.fields.items()]
    return "\n".join(lines) + "\n"


def _reasons() -> str:
    """The store's refusals that programs tell apart."""
    lines = [
        "## Reasons for programs\n",
        f"Some refusals carry a `google.rpc.ErrorInfo` of the domain `{refusals.DOMAIN}`:\n",
        "| reason | code | gRPC status |",
        "|---|---|---|",
    ]
    kinds = {kind.reason: kind for kind in _below(refusals.Explained) if issubclass(kind, refusals.Explained)}
    lines += [f"| `{reason}` | {kind.code} | {kind.status} |" for reason, kind in sorted(kinds.items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "", allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="exit with 1 if docs/errors.md is not current")
    if not parser.parse_args().check:
        PAGE.write_text(page())
        return 0
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    print("docs/errors.md is not current; run `python tools/errors.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
