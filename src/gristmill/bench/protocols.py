"""Which protocols the benchmark knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gristmill.bench import llv2, reach_only, share_shuffle
from gristmill.bench.stages import Call, Size

CALLS: Mapping[str, Callable[[Size], Iterator[Call]]] = {
    "llv2": llv2.calls,
    "reach-only": reach_only.calls,
    "hmss": share_shuffle.calls,
}


def calls(size: Size) -> Iterator[Call]:
    """All calls of a measurement, in the order in which they run."""
    return CALLS[size.protocol](size)
