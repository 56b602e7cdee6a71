"""The chart of docs/performance.md, made of benchmarks/results.json."""

from __future__ import annotations

from html import escape
from typing import Any

from gristmill.bench.targets import TARGETS, Target

_WIDTH, _LEFT, _RIGHT, _TOP, _STEP, _BAR = 820, 320, 90, 70, 26, 14


def chart(results: dict[str, Any]) -> str:
    """An SVG: how many times less processor time than the existing system, with what is required and the aim."""
    rows = {row["id"]: row for row in results["rows"]}
    targets = [target for target in TARGETS if target.existing is not None]
    most = max([_times(target, target.aim) for target in targets] + [_factor(rows[each.id], each) for each in targets])
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    height = _TOP + _STEP * len(targets) + 20
    kind = ", quick sizes" if results["quick"] else ""
    where = f"{results['machine']['processor']}, {results['libcrypto']}, {results['date']}{kind}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        _text(
            10,
            22,
            "Times less processor time than the existing system, in libcrypto multiplications; hmss: in nanoseconds",
            size=14,
        ),
        _text(10, 42, where, fill="#555"),
        _text(10, 58, "bar: measured; black line: required; grey line: aim", fill="#555"),
    ]
    for number, target in enumerate(targets):
        y = _TOP + _STEP * number
        row, factor = rows[target.id], _factor(rows[target.id], target)
        colour = "#2a7" if row["met"] else "#c63"
        parts.append(_text(10, y + 12, f"{target.id}: {target.work}"))
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{factor * scale:.1f}" height="{_BAR}" fill="{colour}"/>')
        for bound, stroke in ((target.aim, "#999"), (target.required, "black")):
            x = _LEFT + _times(target, bound) * scale
            line = f'x1="{x:.1f}" y1="{y - 3}" x2="{x:.1f}" y2="{y + _BAR + 3}" stroke="{stroke}" stroke-width="2"'
            parts.append(f"<line {line}/>")
        end = max(factor, _times(target, target.aim)) * scale + _LEFT + 6
        parts.append(_text(end, y + 12, f"{factor:.1f} x" if factor else "not measured"))
    return "\n".join([*parts, "</svg>", ""])


def _factor(row: dict[str, Any], target: Target) -> float:
    return _times(target, row["ratio_u"]) if row["ratio_u"] else 0.0


def _times(target: Target, bound: float | None) -> float:
    """How many times less than the existing system; nothing where either is unknown."""
    return target.existing / bound if target.existing and bound else 0.0


def _text(x: float, y: float, text: str, *, size: int = 12, fill: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}" fill="{fill}">{escape(text)}</text>'
