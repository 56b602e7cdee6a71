"""Write the stages into the protocols' pages in docs/ from their tables, or check that the committed pages are current.

    python tools/stages.py
    python tools/stages.py --check

What is between the two markers of a page is replaced.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from gristmill.protocols import derive, llv2, reach_only, share_shuffle  # noqa: E402
from gristmill.protocols.table import Protocol, Role, rings  # noqa: E402

PAGES: Final = {
    "llv2.md": llv2.LLV2,
    "reach-only.md": reach_only.REACH_ONLY,
    "share-shuffle.md": share_shuffle.SHARE_SHUFFLE,
}
BEGIN, END = "<!-- made by tools/stages.py -->", "<!-- end -->"
MARKED = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
WHO = {"herald": "the kingdom", "control": "a peer's message", "mill": "a mill", "finish": "a mill, and ends it"}


def section(protocol: Protocol) -> Iterator[str]:
    """For each role a diagram and a table."""
    *_, ring = rings(protocol, most=3)
    rows = list(derive.stage_rows(protocol, ring))
    for role in protocol.paths:
        yield f"### {title(role)}\n\n```mermaid\n{derive.diagram(protocol, role)}\n```\n"
        yield "| stage | number | worked by mills | blobs in | blobs out | left by |\n|---|---|---|---|---|---|"
        for row in rows:
            if row.role is role:
                queued = "yes" if row.queued else "a wait"
                yield (
                    f"| {row.stage.name} | {row.stage.value} | {queued} | {row.inputs} | {row.outputs} "
                    f"| {WHO[row.left_by]} |"
                )
        yield ""


def title(role: Role) -> str:
    return role.name.replace("_", " ").replace("NON ", "non-").capitalize()


def page(text: str, protocol: Protocol) -> str:
    made = "\n".join([BEGIN, *section(protocol)]) + END
    return MARKED.sub(lambda _: made, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is not current")
    check = parser.parse_args().check
    stale = []
    for name, protocol in PAGES.items():
        path = ROOT / "docs" / name
        now = path.read_text()
        made = page(now, protocol)
        if now != made or not MARKED.search(now):
            stale.append(name)
            if not check:
                path.write_text(made)
    if check and stale:
        print(f"{', '.join(stale)}: not current; run python tools/stages.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
