"""What the herald learns when the kingdom has all keys and all requisitions: pure."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from gristmill.duchy import names
from gristmill.duchy.creation import requisition_entry
from gristmill.errors import KingdomContradicts
from gristmill.protocols import registry
from gristmill.trust.ring import ring_order
from wfa.measurement.api.v2alpha.crypto_pb2 import ElGamalPublicKey
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2,
)
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionEntry
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

_Participant = LiquidLegionsSketchAggregationV2.ComputationDetails.ComputationParticipant


def with_participants(details: ComputationDetails, computation: Computation, aggregator: str) -> ComputationDetails:
    """The details with the participants in ring order and their signed keys, which the mill will verify.

    Raises PermanentFailure when a participant has no key, or the aggregator does not take part.
    """
    member = registry.member(details)
    found = {
        each.duchy_id: each for each in (_participant(one, member) for one in computation.computation_participants)
    }
    if aggregator not in found or len(found) != len(computation.computation_participants):
        raise KingdomContradicts(f"the participants {', '.join(found)} are no ring with the aggregator {aggregator}")
    order = ring_order(
        {duchy: participant.el_gamal_public_key for duchy, participant in found.items()},
        aggregator=aggregator,
        computation=names.parse_computation(computation.name),
    )
    filled = ComputationDetails()
    filled.CopyFrom(details)
    del registry.part(filled).participant[:]
    registry.part(filled).participant.extend(found[duchy] for duchy in order)
    return filled


def fulfilled_requisitions(token: ComputationToken, computation: Computation) -> list[RequisitionEntry]:
    """All requisitions with their nonces and fulfilling duchies; what was recorded here about them stays."""
    known = {each.external_key.SerializeToString(): each.details for each in token.requisitions}
    entries = []
    for requisition in computation.requisitions:
        heard = requisition_entry(computation, requisition)
        recorded = known.get(heard.key.SerializeToString())
        if recorded is None:
            raise KingdomContradicts(f"{requisition.name} is not a requisition that this computation was created with")
        if recorded.nonce_hash != heard.value.nonce_hash:
            raise KingdomContradicts(f"{requisition.name} has another nonce hash than at its creation")
        entry = RequisitionEntry(key=heard.key, value=recorded)
        entry.value.nonce = heard.value.nonce
        entry.value.external_fulfilling_duchy_id = heard.value.external_fulfilling_duchy_id
        entries.append(entry)
    return entries


def _participant(heard: ComputationParticipant, member: str) -> _Participant:
    _, duchy = names.parse_participant(heard.name)
    params = heard.requisition_params
    if params.WhichOneof("protocol") != member:
        raise KingdomContradicts(f"{duchy} has set no key for {member}")
    signed = getattr(params, member)
    try:
        key = ElGamalPublicKey.FromString(signed.el_gamal_public_key)
    except DecodeError:
        raise KingdomContradicts(f"the public key of {duchy} cannot be parsed") from None
    participant = _Participant(
        duchy_id=duchy,
        el_gamal_public_key=signed.el_gamal_public_key,
        el_gamal_public_key_signature=signed.el_gamal_public_key_signature,
        el_gamal_public_key_signature_algorithm_oid=signed.el_gamal_public_key_signature_algorithm_oid,
        duchy_certificate_der=params.duchy_certificate_der,
    )
    participant.public_key.generator, participant.public_key.element = key.generator, key.element
    return participant
