"""The derived tables against the wire's, transcribed by hand; then the defects that tables rule out.

Share shuffle is here as the other shape that a protocol may have: named roles, no output blobs on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gristmill.protocols import llv2, reach_only, share_shuffle
from gristmill.protocols.derive import (
    Blob,
    Dependency,
    Hearing,
    Peer,
    Slot,
    Verdict,
    blobs,
    claimable,
    describe,
    diagram,
    hear,
    judge,
    kept_beside,
    last_use,
    missing,
    peer,
    stage_details,
    stage_from_wire,
    stage_rows,
    takes_requisitions,
    transitions,
)
from gristmill.protocols.llv2 import LLV2, LLV2_REACH
from gristmill.protocols.reach_only import REACH_ONLY
from gristmill.protocols.share_shuffle import AGGREGATOR, FIRST, SECOND, SHARE_SHUFFLE
from gristmill.protocols.table import (
    Fact,
    Message,
    Path,
    Protocol,
    Result,
    Role,
    Seat,
    Send,
    TableError,
    Wait,
    Work,
    rings,
    run,
    senders,
    sends,
)
from unit.protocols.simulate import Defect, Failed, simulate

TABLES = [LLV2, LLV2_REACH, REACH_ONLY, SHARE_SHUFFLE]
ROLES = {"worker": Role.NON_AGGREGATOR, "first": FIRST, "second": SECOND, "aggregator": AGGREGATOR}
KEPT, INPUT, OUTPUT = Dependency

# Of three duchies: number, stage, role, entered by, inputs, outputs, outputs filled by, in the work queue, left by.
LIQUID_LEGIONS = """
 1 INITIALIZATION_PHASE              both       herald  0 0 -                           yes mill
 2 WAIT_REQUISITIONS_AND_KEY_SET     both       mill    0 0 -                           no  herald
 3 CONFIRMATION_PHASE                both       herald  0 0 -                           yes mill
 4 WAIT_TO_START                     worker     mill    0 0 -                           no  herald
 5 WAIT_SETUP_PHASE_INPUTS           aggregator mill    0 2 SETUP_PHASE_INPUT           no  control
 6 SETUP_PHASE                       worker     herald  0 1 mill                        yes mill
 6 SETUP_PHASE                       aggregator control 2 1 mill                        yes mill"""
PHASES_ONE_AND_TWO = (
    LIQUID_LEGIONS
    + """
 7 WAIT_EXECUTION_PHASE_ONE_INPUTS   both       mill    1 1 EXECUTION_PHASE_ONE_INPUT   no  control
 8 EXECUTION_PHASE_ONE               both       control 1 1 mill                        yes mill
 9 WAIT_EXECUTION_PHASE_TWO_INPUTS   both       mill    1 1 EXECUTION_PHASE_TWO_INPUT   no  control
10 EXECUTION_PHASE_TWO               both       control 1 1 mill                        yes """
)
ROWS = {
    LLV2: PHASES_ONE_AND_TWO
    + """mill
11 WAIT_EXECUTION_PHASE_THREE_INPUTS both       mill    1 1 EXECUTION_PHASE_THREE_INPUT no  control
12 EXECUTION_PHASE_THREE             both       control 1 1 mill                        yes finish""",
    LLV2_REACH: PHASES_ONE_AND_TWO + "finish",
    REACH_ONLY: LIQUID_LEGIONS
    + """
 7 WAIT_EXECUTION_PHASE_INPUTS       both       mill    1 1 EXECUTION_PHASE_INPUT       no  control
 8 EXECUTION_PHASE                   both       control 1 1 mill                        yes finish""",
    SHARE_SHUFFLE: """
 1 INITIALIZED                       both       herald  0 0 -                           yes mill
 2 WAIT_TO_START                     first      mill    0 0 -                           no  herald
 4 SETUP_PHASE                       first      herald  0 0 -                           yes mill
 5 WAIT_ON_SHUFFLE_INPUT_PHASE_TWO   first      mill    0 1 SHUFFLE_PHASE_INPUT_TWO     no  control
 7 SHUFFLE_PHASE                     first      control 1 0 -                           yes finish
 3 WAIT_ON_SHUFFLE_INPUT_PHASE_ONE   second     mill    0 1 SHUFFLE_PHASE_INPUT_ONE     no  control
 4 SETUP_PHASE                       second     control 1 0 -                           yes mill
 7 SHUFFLE_PHASE                     second     mill    1 0 -                           yes finish
 6 WAIT_ON_AGGREGATION_INPUT         aggregator mill    0 2 AGGREGATION_PHASE_INPUT     no  control
 8 AGGREGATION_PHASE                 aggregator control 2 0 -                           yes finish""",
}
TRANSITIONS = {
    LLV2: "1-2 2-3 3-4 3-5 4-6 5-6 6-7 7-8 8-9 9-10 10-11 11-12 12-13",
    LLV2_REACH: "1-2 2-3 3-4 3-5 4-6 5-6 6-7 7-8 8-9 9-10 10-13",
    REACH_ONLY: "1-2 2-3 3-4 3-5 4-6 5-6 6-7 7-8 8-9",
    SHARE_SHUFFLE: "1-2 1-3 1-6 2-4 3-4 4-5 4-7 5-7 6-8 7-9 8-9",
}
MESSAGES = {
    LLV2: {
        "SETUP_PHASE_INPUT": 1,
        "EXECUTION_PHASE_ONE_INPUT": 2,
        "EXECUTION_PHASE_TWO_INPUT": 3,
        "EXECUTION_PHASE_THREE_INPUT": 4,
    },
    REACH_ONLY: {"SETUP_PHASE_INPUT": 1, "EXECUTION_PHASE_INPUT": 2},
    SHARE_SHUFFLE: {"SHUFFLE_PHASE_INPUT_ONE": 1, "SHUFFLE_PHASE_INPUT_TWO": 2, "AGGREGATION_PHASE_INPUT": 3},
}


def seats(table: Protocol) -> list[Seat]:
    """Three duchies, where the protocol is not for one alone."""
    ring = max((ring for ring in rings(table) if len(ring) <= 3), key=len)
    return [Seat(table, ring, me) for me in ring]


def messages_for(seat: Seat) -> list[tuple[Message, int]]:
    """And how far along the path their waits are."""
    return [(until, at) for until, at in seat.protocol.waits(seat.me.role).items() if isinstance(until, Message)]


@pytest.mark.parametrize("table", TABLES)
def test_stages_and_blobs(table: Protocol) -> None:
    expected: set[tuple[object, ...]] = set()
    for line in ROWS[table].strip().splitlines():
        number, stage, role, entered, inputs, outputs, filled, queued, left = line.split()
        for each in table.paths if role == "both" else [ROLES[role]]:
            expected.add((each, table.stages[stage], entered, int(inputs), int(outputs), filled, queued == "yes", left))
            assert table.stages[stage].value == int(number)
    assert {*stage_rows(table, seats(table)[0].ring)} == expected


@pytest.mark.parametrize("table", TABLES)
def test_transitions(table: Protocol) -> None:
    derived = {f"{stage.value}-{after.value}" for (stage, _), after in transitions(table).items()}
    assert derived == {*TRANSITIONS[table].split()}


@pytest.mark.parametrize("table", MESSAGES)
def test_messages(table: Protocol) -> None:
    assert {message.name: message.value for message in table.messages} == MESSAGES[table]


def test_blob_ids_follow_the_ring() -> None:
    one, two, aggregator = seats(LLV2)
    stages, messages = llv2.Stage, llv2.Message
    setups = [Slot(messages.SETUP_PHASE_INPUT, one.me), Slot(messages.SETUP_PHASE_INPUT, two.me)]
    assert blobs(aggregator, stages.SETUP_PHASE) == (
        Blob(INPUT, setups[0]),
        Blob(INPUT, setups[1]),
        Blob(OUTPUT, stages.SETUP_PHASE),
    )
    assert blobs(aggregator, stages.WAIT_EXECUTION_PHASE_ONE_INPUTS) == (
        Blob(INPUT, stages.SETUP_PHASE),
        Blob(OUTPUT, Slot(messages.EXECUTION_PHASE_ONE_INPUT, two.me)),
    )
    assert blobs(one, stages.EXECUTION_PHASE_ONE) == (
        Blob(INPUT, Slot(messages.EXECUTION_PHASE_ONE_INPUT, aggregator.me)),
        Blob(OUTPUT, stages.EXECUTION_PHASE_ONE),
    )
    assert stage_details(aggregator, stages.WAIT_SETUP_PHASE_INPUTS) == {"worker1": 0, "worker2": 1}
    assert stage_details(aggregator, stages.WAIT_EXECUTION_PHASE_ONE_INPUTS) == {}
    of_two = next(rings(LLV2))
    assert stage_details(Seat(LLV2, of_two, of_two[1]), stages.WAIT_SETUP_PHASE_INPUTS) == {"worker1": 0}


def test_second_worker_passes_its_input_on() -> None:
    first, second, aggregator = seats(SHARE_SHUFFLE)
    stages, seeds = share_shuffle.Stage, Slot(share_shuffle.Message.SHUFFLE_PHASE_INPUT_ONE, first.me)
    assert blobs(second, stages.SETUP_PHASE) == blobs(second, stages.SHUFFLE_PHASE) == (Blob(INPUT, seeds),)
    assert last_use(second, seeds) is stages.SHUFFLE_PHASE
    assert stage_details(aggregator, stages.WAIT_ON_AGGREGATION_INPUT) == {"worker1": 0, "worker2": 1}


def test_what_the_wire_does_not_list_is_kept_beside_it_unless_it_is_the_same_every_time() -> None:
    first, _, aggregator = seats(SHARE_SHUFFLE)
    stages = share_shuffle.Stage
    assert kept_beside(first, stages.SHUFFLE_PHASE) == (Blob(KEPT, stages.SHUFFLE_PHASE),)
    assert kept_beside(aggregator, stages.AGGREGATION_PHASE) == (Blob(KEPT, stages.AGGREGATION_PHASE),)
    assert [stage for stage in SHARE_SHUFFLE.walk(FIRST) if kept_beside(first, stage)] == [stages.SHUFFLE_PHASE]
    assert not any(kept_beside(seat, stage) for seat in seats(LLV2) for stage in LLV2.walk(seat.me.role))


def test_what_the_herald_does() -> None:
    keys_set, started = Fact
    for table in (LLV2, REACH_ONLY):
        assert [hear(table, role, started) for role in table.paths] == [Hearing.RECORD, Hearing.IGNORE]
        assert [hear(table, role, keys_set) for role in table.paths] == [Hearing.RECORD, Hearing.RECORD]
    assert [hear(SHARE_SHUFFLE, role, started) for role in (FIRST, SECOND)] == [Hearing.RECORD, Hearing.IGNORE]
    assert hear(SHARE_SHUFFLE, AGGREGATOR, keys_set) is Hearing.REFUSE


def test_claims_and_fulfilment() -> None:
    assert [claimable(table)[0].name for table in TABLES] == ["INITIALIZATION_PHASE"] * 3 + ["INITIALIZED"]
    assert [stage.value for stage in claimable(SHARE_SHUFFLE)] == [1, 4, 7, 8]
    assert [stage.value for stage in takes_requisitions(LLV2, Role.NON_AGGREGATOR)] == [1, 2]
    assert [stage.value for stage in takes_requisitions(SHARE_SHUFFLE, SECOND)] == [1, 3]
    assert takes_requisitions(SHARE_SHUFFLE, AGGREGATOR) == ()


def test_what_computation_control_answers() -> None:
    one, two, aggregator = seats(LLV2)
    stages, messages = llv2.Stage, llv2.Message
    setup, lap = Slot(messages.SETUP_PHASE_INPUT, one.me), Slot(messages.EXECUTION_PHASE_ONE_INPUT, one.me)
    answers = [judge(aggregator, stage, (), setup) for stage in LLV2.walk(AGGREGATOR)[:4]]
    assert answers == [Verdict.EARLY, Verdict.EARLY, Verdict.FILL, Verdict.FILL]
    assert judge(aggregator, stages.EXECUTION_PHASE_ONE, {setup}, setup) is Verdict.REPEAT
    assert judge(aggregator, stages.COMPLETE, (), setup) is Verdict.OVER
    assert judge(two, stages.SETUP_PHASE, (), setup) is Verdict.NOT_AWAITED
    assert judge(two, stages.WAIT_EXECUTION_PHASE_ONE_INPUTS, (), lap) is Verdict.FILL
    assert (
        judge(two, stages.WAIT_EXECUTION_PHASE_ONE_INPUTS, (), lap._replace(sender=aggregator.me)) is Verdict.NOT_YOURS
    )


@pytest.mark.parametrize("table", TABLES)
def test_where_a_peer_stands(table: Protocol) -> None:
    for seat in seats(table):
        for message, wait in messages_for(seat):
            for stage in table.walk(seat.me.role):
                ahead = stage.value - seat.path[wait].stage.value
                expected = Peer.BEHIND if ahead < 0 else Peer.PAST if ahead > 0 else Peer.WAITING
                assert peer(seat, stage, message) is expected


def test_a_stage_belongs_to_one_protocol() -> None:
    assert stage_from_wire(SHARE_SHUFFLE, 3, 9) is share_shuffle.Stage.COMPLETE
    assert share_shuffle.Stage.COMPLETE not in [*llv2.Stage]
    with pytest.raises(ValueError, match="computation type 1 in a computation of HONEST_MAJORITY"):
        stage_from_wire(SHARE_SHUFFLE, 1, 9)
    assert stage_from_wire(REACH_ONLY, 2, 9) is reach_only.Stage.COMPLETE
    with pytest.raises(ValueError, match="computation type 1 in a computation of REACH_ONLY"):
        stage_from_wire(REACH_ONLY, 1, 13)
    with pytest.raises(ValueError, match=r"aggregator .AGGREGATOR. is never in"):
        peer(seats(LLV2)[2], llv2.Stage.WAIT_TO_START, llv2.Message.SETUP_PHASE_INPUT)


def test_maximum_frequency_one_ends_after_phase_two() -> None:
    assert [llv2.protocol(maximum_frequency) for maximum_frequency in (0, 1, 2)] == [LLV2_REACH, LLV2_REACH, LLV2]
    assert [path[-1].stage.name for path in LLV2_REACH.paths.values()] == ["EXECUTION_PHASE_TWO"] * 2
    last = LLV2_REACH.paths[AGGREGATOR][-1]
    assert isinstance(last, Work)
    assert last.delivers is Result.RESULT


def test_one_line_for_the_operator() -> None:
    one, two, aggregator = seats(LLV2)
    stages, filled = llv2.Stage, [Slot(llv2.Message.SETUP_PHASE_INPUT, two.me)]
    waiting = describe(aggregator, stages.WAIT_SETUP_PHASE_INPUTS, (), filled)
    assert waiting == "waiting for: setup phase input from worker1"
    assert describe(one, stages.WAIT_TO_START, (), ()) == "waiting for: the kingdom to say PENDING_COMPUTATION"
    assert describe(one, stages.EXECUTION_PHASE_ONE, (), ()).endswith("then execution phase one input to worker2")
    assert missing(one, stages.WAIT_TO_START, {Fact.STARTED}, ()) == ()
    assert "WAIT_TO_START --> SETUP_PHASE: PENDING_COMPUTATION" in diagram(SHARE_SHUFFLE, FIRST)


@pytest.mark.parametrize("table", TABLES)
def test_a_slot_opens_exactly_when_its_message_may_come(table: Protocol) -> None:
    """Hold a duchy before the row that opens a slot: however far the others get, none sends to it. Hold it in
    that row: all of them may."""
    for ring in rings(table, most=6):
        for me in ring:
            for message, wait in messages_for(Seat(table, ring, me)):
                for sender in senders(Seat(table, ring, me), message):
                    sending = [(send := sends(row)) and send.message for row in table.paths[sender.role]].index(message)
                    assert run(table, ring, held=me, before=wait - 1)[sender] <= sending
                    assert run(table, ring, held=me, before=wait)[sender] > sending


BROKEN: dict[str, dict[Role, Callable[[Any], Path]]] = {
    "which has no slot": {SECOND: lambda path: (*path[:3], replace(path[3], delivers=Send(path[1].until, AGGREGATOR)))},
    "never leaves": {
        FIRST: lambda path: (
            path[0],
            Wait(path[1].stage, path[3].until),
            path[2],
            Wait(path[3].stage, Fact.STARTED),
            path[4],
        )
    },
    "is sent twice": {FIRST: lambda path: (replace(path[0], delivers=path[4].delivers), *path[1:])},
    "another protocol's stage": {FIRST: lambda path: (Work(llv2.Stage.INITIALIZATION_PHASE, ""), *path[1:])},
    "must grow": {FIRST: lambda path: (*path[:2], path[4], path[3], path[2])},
    "between two works": {FIRST: lambda path: path[:4]},
    "waits twice": {FIRST: lambda path: (*path[:3], Wait(path[3].stage, Fact.STARTED), path[4])},
    "never used: WAIT_TO_START": {FIRST: lambda path: (path[0], *path[2:])},
    "end with the result": {AGGREGATOR: lambda path: (*path[:2], replace(path[2], delivers=None))},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_table_is_refused(fault: str) -> None:
    paths = {role: BROKEN[fault].get(role, tuple)(path) for role, path in SHARE_SHUFFLE.paths.items()}
    with pytest.raises(TableError, match=fault):
        replace(SHARE_SHUFFLE, paths=paths)


@pytest.mark.parametrize("table", TABLES)
def test_random_interleavings_complete(table: Protocol) -> None:
    happened = simulate(table, range(1_000))
    assert min(happened["mill lost"], happened["early fact"]) > 100
    assert min(happened[verdict] for verdict in ("FILL", "REPEAT", "EARLY", "NOT_YOURS")) > 100


@pytest.mark.parametrize("defect", Defect)
@pytest.mark.parametrize("table", TABLES)
def test_a_defect_put_back_is_found(table: Protocol, defect: Defect) -> None:
    with pytest.raises(Failed):
        simulate(table, range(200), defect)
