"""Computations to test with, and a hand that moves them along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from itertools import count

from gristmill.proto.duchy.leases_pb2 import BlobDigest, Lease
from gristmill.proto.duchy.orchestration_pb2 import SlotMessage
from gristmill.protocols import registry
from gristmill.protocols.derive import row_of
from gristmill.protocols.llv2 import Message, Stage
from gristmill.protocols.table import Fact, Role, Wait, senders
from gristmill.store import Fence, Store, Version
from gristmill.trust.key_encryption import KeyEncryption, new_key_encryption_keyset
from gristmill.trust.sealing import Sealer
from wfa.measurement.internal.duchy.computation_blob_dependency_pb2 import OUTPUT
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2 import (
    AdvanceComputationStageRequest,
    CreateComputationRequest,
)
from wfa.measurement.internal.duchy.requisition_details_pb2 import ExternalRequisitionKey, RequisitionEntry

LLV2 = 1
RING = ("worker2", "worker1", "aggregator")
SEALER = Sealer(KeyEncryption(new_key_encryption_keyset()))
SECRET_KEY = b"an ElGamal secret that must not be found"
NONCE = 0x5EC4E7_5EC4E7_5E
MINUTE = timedelta(minutes=1)
NO_TIME = timedelta(microseconds=1)
COMPLETE = ComputationStage(liquid_legions_sketch_aggregation_v2=Stage.COMPLETE.value)  # type: ignore[arg-type]
SUCCEEDED, FAILED = ComputationDetails.SUCCEEDED, ComputationDetails.FAILED
OpenStore = Callable[[str], Awaitable[Store]]
"""Opens an empty store of its own for a duchy."""
_bodies = count(1)


def stage(number: Stage) -> ComputationStage:
    return ComputationStage(liquid_legions_sketch_aggregation_v2=number.value)  # type: ignore[arg-type]


def details(store: Store, *, ring: tuple[str, ...] = (), maximum_frequency: int = 10) -> ComputationDetails:
    made = ComputationDetails()
    role = Role.AGGREGATOR if store.duchy == "aggregator" else Role.NON_AGGREGATOR
    made.liquid_legions_v2.role = role.value  # type: ignore[assignment]
    made.liquid_legions_v2.parameters.maximum_frequency = maximum_frequency
    for duchy in ring:
        made.liquid_legions_v2.participant.add(duchy_id=duchy)
    return made


def requisition_key(global_id: str = "c1") -> ExternalRequisitionKey:
    return ExternalRequisitionKey(external_requisition_id=f"{global_id}-r1", requisition_fingerprint=b"\x00\xff")


def requisition(global_id: str = "c1", nonce: int = 0) -> RequisitionEntry:
    entry = RequisitionEntry(key=requisition_key(global_id))
    entry.value.nonce_hash = b"hash"
    entry.value.nonce = nonce
    return entry


def creation(store: Store, global_id: str = "c1", *, maximum_frequency: int = 10) -> CreateComputationRequest:
    return CreateComputationRequest(
        computation_type=LLV2,  # type: ignore[arg-type]
        global_computation_id=global_id,
        computation_details=details(store, maximum_frequency=maximum_frequency),
        requisitions=[requisition(global_id)],
    )


async def create(store: Store, global_id: str = "c1", *, maximum_frequency: int = 10) -> ComputationToken:
    return await store.create(creation(store, global_id, maximum_frequency=maximum_frequency))


async def claim(store: Store, owner: str = "mill", duration: timedelta = MINUTE) -> ComputationToken:
    token = await store.claim(LLV2, owner, duration)
    assert token is not None
    return token


async def lease(store: Store, owner: str = "mill", global_id: str = "c1") -> Lease:
    return await store.lease(global_id, owner)


def fence_of(held: Lease) -> Fence:
    return Fence(held.fence, held.owner)


def where(token: ComputationToken) -> Stage:
    return Stage(registry.stage_of(token.computation_stage)[1])


def body(path: str = "") -> BlobDigest:
    number = next(_bodies)
    content = str(number).encode()
    return BlobDigest(path=path or f"blob/{number}", length=len(content), sha256=sha256(content).digest())


def message(kind: Message, sender: str, global_id: str = "c1") -> SlotMessage:
    return SlotMessage(global_computation_id=global_id, computation_type=LLV2, message=kind.value, sender=sender)


def following(store: Store, token: ComputationToken) -> Stage:
    walk = registry.of(token.computation_details).walk(registry.role(token.computation_details))
    return Stage(walk[walk.index(where(token)) + 1].value)


def advance_request(store: Store, token: ComputationToken, to: Stage | None = None) -> AdvanceComputationStageRequest:
    return AdvanceComputationStageRequest(token=token, next_computation_stage=stage(to or following(store, token)))


async def work(store: Store, owner: str = "mill", global_id: str = "c1") -> ComputationToken:
    """Claim the stage, keep its outputs, advance."""
    token = await claim(store, owner)
    held = await store.lease(global_id, owner)
    for blob in token.blobs:
        if blob.dependency_type == OUTPUT and not blob.path:
            await store.record_output(global_id, fence_of(held), blob.blob_id, body())
    return await store.advance(advance_request(store, token), fence_of(held))


async def keys_set(store: Store, global_id: str = "c1", ring: tuple[str, ...] = RING) -> ComputationToken:
    entries = [requisition(global_id, NONCE)]
    return await store.record_fact(global_id, Fact.KEYS_SET, details(store, ring=ring), entries)


async def bring_to(
    store: Store, target: Stage, global_id: str = "c1", *, maximum_frequency: int = 10
) -> ComputationToken:
    """A new computation, moved along its path until it is in the stage."""
    token = await create(store, global_id, maximum_frequency=maximum_frequency)
    while where(token) is not target:
        seat = registry.seat_so_far(token.computation_details, store.duchy)
        row = row_of(seat, registry.of(token.computation_details).stages(where(token).value))
        if not isinstance(row, Wait):
            token = await work(store, global_id=global_id)
        elif row.until is Fact.KEYS_SET:
            token = await keys_set(store, global_id)
        elif isinstance(row.until, Fact):
            token = await store.record_fact(global_id, row.until)
        else:
            for sender in senders(seat, row.until):
                await store.fill_slot(message(Message(row.until.value), sender.duchy, global_id), body())
            token = await store.token(global_id)
    return token


def version_of(token: ComputationToken) -> Version:
    return Version(token.version)
