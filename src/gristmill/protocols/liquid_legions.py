"""The skeleton of both Liquid Legions protocols: keys, setup, then laps round the ring."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gristmill.protocols.table import (
    Fact,
    Message,
    Need,
    Neighbour,
    Participant,
    Path,
    Result,
    Ring,
    Role,
    Row,
    Send,
    Stage,
    Wait,
    Work,
)

CIPHERTEXT: Final = 66
"""Bytes of one ElGamal ciphertext on P-256: two compressed points."""
SECRETS: Final = (("local_elgamal_key", "secret_key"),)


class Lap(NamedTuple):
    """The aggregator sends to the first, each works and sends to the next, the last to the aggregator."""

    wait: Stage
    message: Message
    work: Stage
    action: str
    action_at_aggregator: str


def paths(stage: Any, message: Any, laps: tuple[Lap, ...]) -> dict[Role, Path]:
    """Of a protocol's own enums, which give the stages of the opening the same names."""
    keys = (
        Work(stage.INITIALIZATION_PHASE, "publish_key"),
        Wait(stage.WAIT_REQUISITIONS_AND_KEY_SET, Fact.KEYS_SET),
        Work(stage.CONFIRMATION_PHASE, "verify_participants_and_combine_keys", Need.REQUISITIONS),
    )
    lap_starts = [Send(lap.message, to=Neighbour.NEXT) for lap in laps]
    others: list[Row] = [
        *keys,
        Wait(stage.WAIT_TO_START, Fact.STARTED),
        Work(stage.SETUP_PHASE, "add_noise", Need.REQUISITIONS, Send(message.SETUP_PHASE_INPUT, to=Role.AGGREGATOR)),
    ]
    aggregator: list[Row] = [
        *keys,
        Wait(stage.WAIT_SETUP_PHASE_INPUTS, message.SETUP_PHASE_INPUT),
        Work(stage.SETUP_PHASE, "merge_and_add_noise", Need.REQUISITIONS, lap_starts[0]),
    ]
    ends: list[Send | Result] = [*lap_starts[1:], Result.RESULT]
    for lap, onward, end in zip(laps, lap_starts, ends, strict=True):
        wait = Wait(lap.wait, lap.message)
        others += [wait, Work(lap.work, lap.action, Need.SECRETS, onward)]
        aggregator += [wait, Work(lap.work, lap.action_at_aggregator, Need.SECRETS, end)]
    return {Role.NON_AGGREGATOR: tuple(others), Role.AGGREGATOR: tuple(aggregator)}


def ring(part: Any, me: Participant) -> Ring:
    """As the herald wrote it once the keys were set: the last of the participants is the aggregator."""
    duchies = [participant.duchy_id for participant in part.participant]
    roles = [*[Role.NON_AGGREGATOR] * (len(duchies) - 1), Role.AGGREGATOR]
    return tuple(map(Participant, duchies, roles))
