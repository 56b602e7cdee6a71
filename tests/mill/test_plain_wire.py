"""A measurement from setup to result by our mills alone, over internal APIs that know none of our extensions."""

from __future__ import annotations

from pathlib import Path

import pytest

from gristmill import _native as native
from gristmill.trust.signatures import SignedMessage
from mill import pki
from mill.computations import RING, SETUP, make_keys, public_key, put_registers, token
from mill.conftest import World
from mill.plain_ring import plain_ring
from mill.wires import LLV2, REACH_ONLY, Wire
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

SHARED = [(7, 8, 1), (9, 10, 2)]
AT_WORKER1 = [*SHARED, (11, 12, 1), (13, 14, 3)]
AT_WORKER2 = [*SHARED, (17, 18, 1)]
"""Registers (index, stored key, frequency). Frequencies of the union: 2, 4 (capped at 3), 1, 3, 1."""


def prepared(worlds: dict[str, World], maximum_frequency: int) -> tuple[dict[str, ComputationToken], object]:
    """The computation in every duchy, as it is when the kingdom has said start, with privacy too wide for noise."""
    keys = make_keys()
    tokens = {}
    elements = [keys.pairs[duchy][1] for duchy in RING]
    spec = None
    for place, (duchy, world) in enumerate(worlds.items()):
        claimed = token(world, keys, SETUP, attempt=0)
        llv2 = world.wire.details(claimed)
        if world.wire is LLV2:
            llv2.parameters.maximum_frequency = maximum_frequency
        partial = native.combine_public_keys(elements[place + 1 :] or elements)
        llv2.partially_combined_public_key.CopyFrom(public_key(partial))
        noise = llv2.parameters.noise
        noise.reach_noise_config.global_reach_dp_noise.epsilon = noise.frequency_noise_config.epsilon = 100.0
        if maximum_frequency == 1:
            noise.ClearField("frequency_noise_config")
        spec = spec or claimed.computation_details.kingdom_computation.measurement_spec
        claimed.computation_details.kingdom_computation.measurement_spec = spec
        if duchy == "aggregator":
            claimed.computation_stage.CopyFrom(world.wire.stage(5))
            del claimed.blobs[:]
            for blob_id in range(2):
                claimed.blobs.add(blob_id=blob_id, dependency_type=2)  # type: ignore[arg-type]
            world.internal.add(claimed)
        else:
            registers = AT_WORKER1 if duchy == "worker1" else AT_WORKER2
            put_registers(world, keys, claimed, registers, maximum_frequency)
            world.internal.add(claimed, queued=True)
        tokens[duchy] = claimed
    return tokens, keys.consumer


def run_all(worlds: dict[str, World], tokens: dict[str, ComputationToken]) -> None:
    for _ in range(12):
        for duchy, world in worlds.items():
            if world.internal.queue:
                with world.mill(tokens[duchy]) as (mill, _):
                    mill.drain()
        if all(each.computation_details.ending_state for each in tokens.values()):
            return


@pytest.mark.parametrize(("wire", "maximum_frequency"), [(LLV2, 3), (LLV2, 1), (REACH_ONLY, 1)])
def test_the_ring_counts_exactly(
    tmp_path: Path, identities: dict[str, pki.Identity], wire: Wire, maximum_frequency: int
) -> None:
    with plain_ring(tmp_path, identities, wire) as worlds:
        tokens, consumer = prepared(worlds, maximum_frequency)
        run_all(worlds, tokens)
        ends = {duchy: each.computation_details.ending_state for duchy, each in tokens.items()}
        assert ends == dict.fromkeys(RING, ComputationDetails.SUCCEEDED)
        assert {wire.stage_of(each) for each in tokens.values()} == {wire.complete}
        (handed_in,) = worlds["aggregator"].kingdom.journal.of("SetComputationResult")
        aggregator = worlds["aggregator"].journal.writes()
    signed = SignedMessage.FromString(consumer.decrypt(handed_in.encrypted_result).expose())  # type: ignore[attr-defined]
    result = Measurement.Result()
    assert signed.message.Unpack(result)
    assert result.reach.value == native.estimate_reach(decay_rate=12.0, size=1000, active=5, sampling_width=1.0)
    if maximum_frequency == 1:
        assert not result.HasField("frequency")
    else:
        assert dict(result.frequency.relative_frequency_distribution) == {1: 0.4, 2: 0.2, 3: 0.4}
    # The reach is kept before the path of the output beside it.
    details = aggregator.index("UpdateComputationDetails")
    assert aggregator[details + 1] == "RecordOutputBlobPath"
