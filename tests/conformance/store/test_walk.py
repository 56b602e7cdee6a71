"""All duchies of a computation walk their paths to the end, whatever the order of events."""

from __future__ import annotations

from collections import Counter

import pytest

from conformance.store.computations import OpenStore
from conformance.store.world import World
from gristmill.protocols import llv2
from gristmill.protocols.table import rings

# (seed, duchies)
RUNS = {1: [(0, 3)], 10: [(0, 2), (1, 3), (2, 3)]}


@pytest.mark.parametrize("maximum_frequency", RUNS)
async def test_every_order_of_events_completes(open_as: OpenStore, maximum_frequency: int) -> None:
    happened: Counter[str] = Counter()
    by_size = {len(ring): ring for ring in rings(llv2.protocol(maximum_frequency))}
    for seed, duchies in RUNS[maximum_frequency]:
        ring = by_size[duchies]
        stores = {me.duchy: await open_as(me.duchy) for me in ring}
        try:
            happened += await World(stores, ring, seed, maximum_frequency).run()
        except AssertionError as failure:
            raise AssertionError(f"seed {seed}: {failure}") from failure
    expected = ["mill lost", "zombie stopped", "early fact", "verdict 1", "thief: PERMISSION_DENIED"]
    assert maximum_frequency == 1 or all(happened[each] for each in expected), happened
