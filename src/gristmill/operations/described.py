"""A computation as JSON has it: plain values, times as RFC 3339 in UTC, ages in seconds. Names are kept stable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message

from gristmill.operations.peers import PeerStage, receipt
from gristmill.proto.duchy.inspection_pb2 import ComputationSummary, Delivery, Event
from gristmill.proto.duchy.interventions_pb2 import CancelComputationResponse

Described = dict[str, Any]
RUNNING = "RUNNING"


def listed(told: ComputationSummary, now: datetime) -> Described:
    """One of many."""
    return {
        "computation": told.global_computation_id,
        "type": told.computation_type,
        "duchy": told.duchy,
        "role": told.role,
        "state": told.ending_state or RUNNING,
        "stage": told.stage,
        "kind": told.kind,
        "attempt": told.attempt,
        "created": moment(told, "create_time"),
        "updated": moment(told, "update_time"),
        "stage_entered": moment(told, "stage_enter_time"),
        "lease": _lease(told, now),
        "claimable": moment(told, "claimable_time"),
        "progress": _progress(told),
        "counts": {
            "failures": told.counts.failures,
            "workers_lost": told.counts.workers_lost,
            "out_of_memory": told.counts.out_of_memory,
            "waiting_for_peer_since": moment(told.counts, "waiting_for_peer_since"),
        },
        "missing_inputs": _missing_inputs(told),
        "missing_requisitions": [*told.missing_requisitions],
    }


def shown(told: ComputationSummary, now: datetime, peers: Sequence[PeerStage] | None = None) -> Described:
    """One alone; `peers` is what those who were asked said, None if nobody was."""
    by_duchy = {peer.duchy: peer for peer in peers or ()}
    described = listed(told, now)
    described["ending"] = told.ending or None
    described["participants"] = [{"duchy": each.duchy, "role": each.role} for each in told.participants]
    described["deliveries"] = [_delivery(each, by_duchy.get(each.receiver)) for each in told.deliveries]
    if peers is not None:
        described["peers"] = [
            {"duchy": peer.duchy, "stage": peer.stage or None, "error": peer.error or None} for peer in peers
        ]
    return described


def event(told: Event) -> Described:
    return {
        "time": moment(told, "time"),
        "kind": told.kind,
        "stage": told.stage,
        "attempt": told.attempt,
        "fence": told.fence,
        "actor": told.actor,
        "detail": told.detail,
    }


def canceled(response: CancelComputationResponse, now: datetime) -> Described:
    outcome = CancelComputationResponse.Kingdom.Name(response.kingdom)
    return {**shown(response.computation, now), "kingdom": outcome, "kingdom_answer": response.kingdom_answer}


def moment(message: Message, field: str) -> str | None:
    """`2026-01-31T12:00:00.000000Z`, or none if unset."""
    time = time_of(message, field)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if time else None


def time_of(message: Message, field: str) -> datetime | None:
    return getattr(message, field).ToDatetime(UTC) if message.HasField(field) else None


def _lease(told: ComputationSummary, now: datetime) -> Described | None:
    if not told.lease_owner:
        return None
    claimed, expires = time_of(told, "claim_time"), time_of(told, "lease_expire_time")
    renewed = time_of(told, "lease_renew_time") or claimed
    return {
        "owner": told.lease_owner,
        "claimed": moment(told, "claim_time"),
        "age_seconds": _seconds(now, claimed),
        "renewed": moment(told, "lease_renew_time"),
        "since_renewal_seconds": _seconds(now, renewed),
        "expires": moment(told, "lease_expire_time"),
        "expired": expires is not None and expires <= now,
    }


def _seconds(now: datetime, since: datetime | None) -> float | None:
    return None if since is None else round((now - since).total_seconds(), 3)


def _progress(told: ComputationSummary) -> Described | None:
    if not told.HasField("progress"):
        return None
    progress = told.progress
    return {"activity": progress.activity, "done": progress.done, "total": progress.total, "unit": progress.unit}


def _missing_inputs(told: ComputationSummary) -> list[Described]:
    """`owed_by` is a duchy, or null for what the kingdom has yet to say."""
    owed_by: Sequence[str | None] = told.waiting_for_duchies or [None] * len(told.waiting_for)
    return [{"what": what, "owed_by": duchy} for what, duchy in zip(told.waiting_for, owed_by, strict=False)]


def _delivery(told: Delivery, peer: PeerStage | None) -> Described:
    found = receipt(told, peer)
    return {
        "message": told.message,
        "receiver": told.receiver,
        "sent_in": told.sent_in,
        "awaited_in": told.awaited_in,
        "received": found.received,
        "standing": found.words,
    }
