"""All duchies of a computation walk their paths to the end, whatever the order of events."""

from __future__ import annotations

from collections import Counter

import pytest

from conformance.store.computations import OpenStore
from conformance.store.world import World
from gristmill.protocols.llv2 import LLV2, LLV2_REACH
from gristmill.protocols.reach_only import REACH_ONLY
from gristmill.protocols.share_shuffle import SHARE_SHUFFLE
from gristmill.protocols.table import Protocol, rings

# Protocol, maximum frequency, (seed, duchies)
RUNS = [
    pytest.param(LLV2_REACH, 1, [(0, 3)], id="reach"),
    pytest.param(LLV2, 10, [(0, 2), (1, 3), (2, 3)], id="reach and frequency"),
    pytest.param(REACH_ONLY, 1, [(0, 3)], id="reach-only"),
    pytest.param(SHARE_SHUFFLE, 10, [(0, 3), (1, 3)], id="share shuffle"),
]


@pytest.mark.parametrize(("protocol", "maximum_frequency", "runs"), RUNS)
async def test_every_order_of_events_completes(
    open_as: OpenStore, protocol: Protocol, maximum_frequency: int, runs: list[tuple[int, int]]
) -> None:
    happened: Counter[str] = Counter()
    by_size = {len(ring): ring for ring in rings(protocol)}
    for seed, duchies in runs:
        ring = by_size[duchies]
        stores = {me.duchy: await open_as(me.duchy) for me in ring}
        try:
            happened += await World(stores, protocol, ring, seed, maximum_frequency).run()
        except AssertionError as failure:
            raise AssertionError(f"seed {seed}: {failure}") from failure
    expected = ["mill lost", "zombie stopped", "early fact", "verdict 1", "thief: PERMISSION_DENIED"]
    assert len(runs) == 1 or all(happened[each] for each in expected), happened
