"""Honest Majority Share Shuffle: two duchies exchange seeds and shuffle their shares, a third adds the shares up."""

from __future__ import annotations

from typing import Any, Final

from gristmill.protocols import table
from gristmill.protocols.table import Fact, Need, Participant, Protocol, Result, Ring, Role, Seat, Send, Wait, Work
from gristmill.protocols.wire import Wire


class Stage(table.Stage):
    INITIALIZED = 1
    WAIT_TO_START = 2
    WAIT_ON_SHUFFLE_INPUT_PHASE_ONE = 3
    SETUP_PHASE = 4
    WAIT_ON_SHUFFLE_INPUT_PHASE_TWO = 5
    WAIT_ON_AGGREGATION_INPUT = 6
    SHUFFLE_PHASE = 7
    AGGREGATION_PHASE = 8
    COMPLETE = 9


class Message(table.Message):
    SHUFFLE_PHASE_INPUT_ONE = 1
    SHUFFLE_PHASE_INPUT_TWO = 2
    AGGREGATION_PHASE_INPUT = 3


S, M = Stage, Message
FIRST, SECOND, AGGREGATOR = Role.FIRST_NON_AGGREGATOR, Role.SECOND_NON_AGGREGATOR, Role.AGGREGATOR
SEEDS: Final = Need.RECORDS | Need.SECRETS
SHARES: Final = Need.REQUISITIONS | Need.SECRETS

LARGEST_MODULUS: Final = 2**30
"""The generator of uniform values takes no more."""


def is_prime(number: int) -> bool:
    """Whether entries of a ring of this modulus can be multiplied by a common factor without becoming zero."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def fits(frequency: int, data_providers: int, modulus: int) -> bool:
    """Whether all frequencies of a person together, and the sentinel of the padding, are different in the ring."""
    return frequency * data_providers + 1 < modulus


def largest_frequency(data_providers: int, modulus: int) -> int:
    """The largest that `fits`; zero or less when none does."""
    return (modulus - 2) // data_providers


SHARE_SHUFFLE = Protocol(
    name="HONEST_MAJORITY_SHARE_SHUFFLE",
    number=3,
    stages=Stage,
    messages=Message,
    units=dict.fromkeys(Message, 1),
    limits={
        M.SHUFFLE_PHASE_INPUT_ONE: 64 * 2**20,
        M.SHUFFLE_PHASE_INPUT_TWO: 64 * 2**20,
        # A population has less than 2^31 people, and an entry below any ring modulus takes at most five bytes.
        M.AGGREGATION_PHASE_INPUT: 12 * 2**30,
    },
    output_blobs=False,
    paths={
        FIRST: (
            Work(S.INITIALIZED, "publish_encryption_key"),
            Wait(S.WAIT_TO_START, Fact.STARTED),
            Work(
                S.SETUP_PHASE,
                "hand_over_seeds",
                SEEDS,
                Send(M.SHUFFLE_PHASE_INPUT_ONE, to=SECOND),
                repeatable=True,
            ),
            Wait(S.WAIT_ON_SHUFFLE_INPUT_PHASE_TWO, M.SHUFFLE_PHASE_INPUT_TWO),
            Work(S.SHUFFLE_PHASE, "shuffle_shares", SHARES, Send(M.AGGREGATION_PHASE_INPUT, to=AGGREGATOR)),
        ),
        SECOND: (
            Work(S.INITIALIZED, "publish_encryption_key"),
            Wait(S.WAIT_ON_SHUFFLE_INPUT_PHASE_ONE, M.SHUFFLE_PHASE_INPUT_ONE),
            Work(
                S.SETUP_PHASE,
                "hand_over_seeds",
                SEEDS,
                Send(M.SHUFFLE_PHASE_INPUT_TWO, to=FIRST),
                repeatable=True,
            ),
            Work(S.SHUFFLE_PHASE, "shuffle_shares", SHARES, Send(M.AGGREGATION_PHASE_INPUT, to=AGGREGATOR)),
        ),
        AGGREGATOR: (
            Work(S.INITIALIZED, "publish_nothing"),
            Wait(S.WAIT_ON_AGGREGATION_INPUT, M.AGGREGATION_PHASE_INPUT),
            Work(S.AGGREGATION_PHASE, "add_shares", delivers=Result.RESULT),
        ),
    },
)


def _choose(part: Any) -> Protocol:
    return SHARE_SHUFFLE


def _ring(part: Any, me: Participant) -> Ring:
    """Two workers and the aggregator, whose name the details of a worker lack: it sends nothing to workers."""
    first, second = (*part.non_aggregators, "", "")[:2]
    aggregator = me.duchy if me.role is AGGREGATOR else ""
    return (Participant(first, FIRST), Participant(second, SECOND), Participant(aggregator, AGGREGATOR))


def name_aggregator(seat: Seat, duchy: str) -> Seat:
    """The seat in a ring whose aggregator has this name, which the details of a worker lack."""
    if seat.protocol is not SHARE_SHUFFLE or seat.me.role is AGGREGATOR:
        return seat
    return seat._replace(ring=(*seat.ring[:2], Participant(duchy, AGGREGATOR)))


WIRE = Wire(
    member="honest_majority_share_shuffle",
    tables=(SHARE_SHUFFLE,),
    choose=_choose,
    ring=_ring,
    secrets=(("random_seed",),),
)
