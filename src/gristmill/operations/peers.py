"""Where the other duchies are in a computation, and whether they have what this duchy sent them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gristmill.errors import BadInput, GristmillError
from gristmill.operations.client import answered
from gristmill.proto.duchy.inspection_pb2 import ComputationSummary, Delivery
from gristmill.protocols import registry
from wfa.measurement.system.v1alpha.computation_control_service_pb2 import GetComputationStageRequest
from wfa.measurement.system.v1alpha.computation_control_service_pb2_grpc import ComputationControlStub

if TYPE_CHECKING:
    import grpc

    from wfa.measurement.system.v1alpha.computation_stage_pb2 import ComputationStage


@dataclass(frozen=True, slots=True)
class PeerStage:
    """What a duchy says of itself: its stage by number and name, or why it said nothing."""

    duchy: str
    number: int = 0
    stage: str = ""
    ended: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whether the receiver has a message (None: it cannot be told), in words."""

    received: bool | None
    words: str


def name_the_unnamed(told: ComputationSummary, duchies: Collection[str]) -> None:
    """Of share shuffle's aggregator the workers' records have the role only: it is the one duchy that is left over."""
    unnamed = [each for each in told.participants if not each.duchy]
    left = {*duchies} - {each.duchy for each in told.participants}
    if len(unnamed) != 1 or len(left) != 1:
        return
    (unnamed[0].duchy,) = left
    for delivery in told.deliveries:
        delivery.receiver = delivery.receiver or unnamed[0].duchy


def ask(channels: Mapping[str, grpc.Channel], shown: ComputationSummary, timeout: float) -> list[PeerStage]:
    """Ask all at once, each within `timeout` seconds, the duchies that are given; one that fails keeps none waiting."""
    calls = {}
    for duchy, channel in channels.items():
        name = f"computations/{shown.global_computation_id}/participants/{duchy}/stage"
        stub, request = ComputationControlStub(channel), GetComputationStageRequest(name=name)
        metadata = (("duchy-identity", shown.duchy),)
        calls[duchy] = stub.GetComputationStage.future(request, timeout=timeout, metadata=metadata)
    found = []
    for duchy, call in calls.items():
        try:
            with answered(f"duchy {duchy}"):
                wire = call.result()
            found.append(read_stage(duchy, wire, shown.computation_type))
        except GristmillError as error:
            found.append(PeerStage(duchy, error=error.message))
    return found


def read_stage(duchy: str, wire: ComputationStage, expected_type: str) -> PeerStage:
    """Raises BadInput for a stage of another protocol, or none that exists."""
    computation_type, number = registry.system_stage_of(wire)
    if not computation_type or registry.type_name(computation_type) != expected_type:
        told = wire.WhichOneof("stage") or "none"
        raise BadInput(f"duchy {duchy} answered with a stage of another protocol: {told}")
    try:
        name = registry.stage_name(computation_type, number)
    except KeyError:
        raise BadInput(f"duchy {duchy} answered with stage {number}, which does not exist") from None
    return PeerStage(duchy, number, name, ended=number == registry.complete(computation_type))


def receipt(delivery: Delivery, peer: PeerStage | None) -> Receipt:
    """What our record and the receiver's own stage say together. Stage numbers grow along every path."""
    match delivery.state:
        case Delivery.ACKNOWLEDGED:
            return _acknowledged(delivery, peer)
        case Delivery.UNDER_WAY:
            return _under_way(delivery, peer)
        case Delivery.NEVER:
            return Receipt(False, "never sent: the computation ended before")
    return Receipt(False, "not made yet")


def _acknowledged(delivery: Delivery, peer: PeerStage | None) -> Receipt:
    if peer is None or peer.error or peer.ended or peer.number > delivery.awaited_in_number:
        return Receipt(True, "acknowledged")
    waits = peer.number == delivery.awaited_in_number
    if peer.number < delivery.taken_from_number or (waits and delivery.senders == 1):
        return Receipt(False, f"acknowledged, yet the peer is in {peer.stage}: has it lost its database?")
    return Receipt(True, "acknowledged; the peer waits for others too" if waits else "acknowledged, ahead of its turn")


def _under_way(delivery: Delivery, peer: PeerStage | None) -> Receipt:
    if peer is None or peer.error:
        return Receipt(None, "being made or sent")
    if peer.ended:
        return Receipt(None, "being made or sent; the peer has ended")
    if peer.number > delivery.awaited_in_number:
        return Receipt(True, "received; not yet on record here")
    if peer.number == delivery.awaited_in_number:
        return Receipt(False if delivery.senders == 1 else None, "being made or sent; the peer waits for it")
    ready = peer.number >= delivery.taken_from_number
    return Receipt(
        None if ready else False, f"being made or sent; the peer is {'' if ready else 'only '}in {peer.stage}"
    )
