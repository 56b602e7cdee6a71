"""Runs unlike the recorded ones replay too: many providers, large groups, other rings, parameters and member orders."""

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from protocol import by_native
from protocol.measurement import Plan
from protocol.recording import record
from protocol.replay import replay
from reference.el_gamal import blocks, decode_row, encode_row
from reference.introsort import sorted_positions
from reference.llv2 import TUPLE_BYTES
from reference.sketch import Register
from wfa.measurement.internal.duchy.protocol.liquid_legions_v2_encryption_methods_pb2 import (
    CompleteExecutionPhaseOneAtAggregatorResponse,
)

TINY = (20.0, 0.5)
WEAK = (4.0, 0.3)


def random_sketches(providers: int, registers: int, indices: int, seed: int) -> list[list[Register]]:
    """`registers` registers each among few indices; at even indices all agree on the key, elsewhere they may not."""
    random = Random(seed)

    def key(index: int) -> int:
        return index + 1 if index % 2 == 0 else random.choice([index + 1, index + 1, 7, 0])

    chosen = [random.sample(range(indices), registers) for _ in range(providers)]
    return [[(index, key(index), random.randint(1, 4)) for index in sketch] for sketch in chosen]


def scrambled(keys: list[bytes]) -> list[int]:
    """Sorted by key, but members of a group in an order that no sort leaves."""
    random = Random(1)
    return sorted(range(len(keys)), key=lambda i: (keys[i], random.random()))


@pytest.mark.parametrize(
    ("plan", "providers"),
    [
        pytest.param(Plan(3, duchies=3), 30, id="groups of dozens"),
        pytest.param(
            Plan(4, duchies=4, blind_and_publisher=TINY, reach=TINY, frequency=TINY),
            4,
            id="three workers",
        ),
        pytest.param(
            Plan(2, duchies=2, mechanism="GEOMETRIC", blind_and_publisher=TINY, reach=TINY, frequency=TINY),
            2,
            id="one worker",
        ),
        pytest.param(
            Plan(2, duchies=2, mechanism="GEOMETRIC", blind_and_publisher=WEAK, reach=WEAK), 2, id="reach noise only"
        ),
        pytest.param(
            Plan(3, duchies=2, frequency=TINY, decay_rate=5.0, sampling_width=0.25), 2, id="frequency noise only"
        ),
        pytest.param(Plan(1, duchies=4, blind_and_publisher=TINY, reach=TINY), 3, id="maximum frequency 1"),
        pytest.param(Plan(1, duchies=3, reach=TINY, partial_key_given=False), 2, id="no partial key"),
        pytest.param(Plan(protocol="reach_only", duchies=2, sampling_width=0.25), 12, id="reach only, no noise"),
        pytest.param(
            Plan(protocol="reach_only", duchies=5, mechanism="GEOMETRIC", blind_and_publisher=WEAK, reach=WEAK),
            4,
            id="reach only, four workers",
        ),
        pytest.param(
            Plan(protocol="reach_only", duchies=2, blind_and_publisher=TINY, reach=TINY, decay_rate=5.0),
            1,
            id="reach only, one provider",
        ),
    ],
)
def test_a_run_of_other_parameters_replays(plan: Plan, providers: int) -> None:
    run = record(plan, random_sketches(providers, registers=4, indices=6, seed=providers), seed=str(plan))
    lines = list(replay(run, partial(by_native.run, threads=2, block=5)))
    assert [f"{line} {line.reason}" for line in lines if line.verdict != "ok"] == []
    assert len(lines) == providers + plan.duchies * phases(plan) + 1


def phases(plan: Plan) -> int:
    if plan.protocol == "reach_only":
        return 2
    return 4 if plan.maximum_frequency > 1 else 3


@pytest.mark.parametrize("order", [sorted_positions, scrambled])
def test_member_orders_that_no_sort_leaves_are_found_group_by_group(order: Callable[[list[bytes]], list[int]]) -> None:
    run = record(Plan(2, duchies=2), random_sketches(5, registers=3, indices=4, seed=3), seed="orders", order=order)
    assert [line.verdict for line in replay(run) if line.stage == "execution_phase_one"] == ["ok", "ok"]


def test_large_groups_may_stand_in_the_order_of_the_input() -> None:
    def stable(keys: list[bytes]) -> list[int]:
        return sorted(range(len(keys)), key=keys.__getitem__)

    run = record(Plan(2, duchies=2), random_sketches(12, registers=2, indices=2, seed=5), seed="stable", order=stable)
    assert {line.verdict for line in replay(run)} == {"ok"}


def test_a_changed_tuple_of_a_large_group_fails() -> None:
    run = record(Plan(2, duchies=2), random_sketches(12, registers=1, indices=1, seed=4), seed="large", order=scrambled)
    (join,) = [stage for stage in run["stages"] if "PhaseOneAtAggregator" in stage["request_type"]]
    response = CompleteExecutionPhaseOneAtAggregatorResponse.FromString(bytes.fromhex(join["response"]))
    (tuple_,) = (decode_row(block) for block in blocks(response.flag_count_tuples, TUPLE_BYTES))
    response.flag_count_tuples = encode_row([tuple_[1], *tuple_[1:]])
    join["response"] = response.SerializeToString().hex()
    assert [line.verdict for line in replay(run) if line.role == "aggregator"][1] == "FAILED"


def test_an_order_that_cannot_be_found_is_skipped_not_failed() -> None:
    run = record(Plan(2, duchies=2), random_sketches(12, registers=1, indices=1, seed=4), seed="large", order=scrambled)
    found = {(line.stage, line.role): line.verdict for line in replay(run)}
    assert found["execution_phase_one", "aggregator"] == "skipped"
    assert "FAILED" not in found.values()
