"""The opening of Liquid Legions: publish a key, then verify and combine everybody's (LLv2 specification, section 2)."""

from __future__ import annotations

from collections.abc import Mapping

from gristmill import _native as native
from gristmill.errors import BadInput, ParticipationInvalid
from gristmill.mill.job import Act, Job
from gristmill.protocols import registry
from gristmill.trust.consent import (
    P256_CURVE_ID,
    P256_GENERATOR,
    check_participation,
    sign_el_gamal_key,
    verify_el_gamal_key,
)
from gristmill.trust.signatures import Signature
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.crypto_pb2 import ElGamalKeyPair, ElGamalPublicKey
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2,
)
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant

Participant = LiquidLegionsSketchAggregationV2.ComputationDetails.ComputationParticipant
RequisitionParams = ComputationParticipant.RequisitionParams


def publish_key(job: Job) -> None:
    """Make this duchy's ElGamal key pair once, and publish the signed public key at the kingdom once."""
    curve = job.details.parameters.elliptic_curve_id
    if curve != P256_CURVE_ID:
        raise BadInput(f"the computation asks for the elliptic curve {curve}; only P-256 ({P256_CURVE_ID}) is known")
    if not job.details.HasField("local_elgamal_key"):
        job.activity.begin("making a key")
        secret, element = native.generate_key_pair()
        pair = ElGamalKeyPair(secret_key=secret, public_key=_public_key(element))
        job.claim.update_details(_with(job, local_elgamal_key=pair))
    job.activity.begin("publishing the key")
    serialized, signature = sign_el_gamal_key(job.details.local_elgamal_key.public_key.element, job.services.signer)
    params = RequisitionParams(duchy_certificate=job.services.certificate)
    getattr(params, job.protocol_member).CopyFrom(
        RequisitionParams.LiquidLegionsV2(
            el_gamal_public_key=serialized,
            el_gamal_public_key_signature=signature.value,
            el_gamal_public_key_signature_algorithm_oid=signature.algorithm_oid,
        )
    )
    job.claim.check()
    job.services.kingdom.set_requisition_params(job.claim.computation, params, job.activity)


def verify_participants_and_combine_keys(job: Job) -> None:
    """Hold everything that the data providers and duchies said against what they signed; then confirm, then combine.

    Every fault is collected into one ParticipationInvalid, because a computation that fails here fails for good.
    """
    job.activity.begin("verifying the participants")
    faults = [*_requisition_faults(job), *_ring_faults(job)]
    elements: dict[str, bytes] = {}
    for participant in job.details.participant:
        try:
            elements[participant.duchy_id] = _verified_element(job, participant)
        except ParticipationInvalid as error:
            faults.append(error.message)
    mine = job.details.local_elgamal_key.public_key.element
    if elements.get(job.services.duchy, mine) != mine:
        faults.append("the kingdom hands out another ElGamal key as this duchy's than the one it published")
    if faults:
        raise ParticipationInvalid("; ".join(faults))

    ring = [participant.duchy for participant in job.seat.ring]
    after = ring[ring.index(job.services.duchy) + 1 :] or ring
    try:
        combined = native.combine_public_keys([elements[duchy] for duchy in ring])
        partial = native.combine_public_keys([elements[duchy] for duchy in after])
    except native.InvalidArgument as error:
        raise ParticipationInvalid(f"the duchies' ElGamal keys cannot be combined: {error}") from error

    job.activity.begin("confirming")
    job.claim.check()
    job.services.kingdom.confirm(job.claim.computation, job.activity)
    job.claim.update_details(
        _with(
            job,
            combined_public_key=_public_key(combined),
            partially_combined_public_key=_public_key(partial),
        )
    )


def _requisition_faults(job: Job) -> list[str]:
    """What is wrong with the data providers' participation."""
    faults = []
    requisitions = job.token.requisitions
    try:
        nonces = [requisition.details.nonce for requisition in requisitions]
        check_participation(nonces, list(job.measurement_spec().nonce_hashes))
    except ParticipationInvalid as error:
        faults.append(error.message)
    faults += [
        f"the requisition {requisition.external_key.external_requisition_id} was fulfilled here, but has no data"
        for requisition in requisitions
        if requisition.details.external_fulfilling_duchy_id == job.services.duchy and not requisition.path
    ]
    return faults


def _ring_faults(job: Job) -> list[str]:
    """Whether the ring has as many duchies as the kingdom announced: of fewer, fewer could decrypt everything."""
    announced = job.token.computation_details.kingdom_computation.participant_count
    if announced in (0, len(job.details.participant)):  # 0: unknown to an old herald
        return []
    return [f"{len(job.details.participant)} duchies take part, and {announced} were announced"]


def _verified_element(job: Job, participant: Participant) -> bytes:
    """A participant's public element, 33 bytes. ParticipationInvalid says what is wrong with it."""
    duchy = job.services.duchies.get(participant.duchy_id)
    if duchy is None:
        raise ParticipationInvalid(f"duchy {participant.duchy_id} takes part, but is not in the duchy info file")
    element = verify_el_gamal_key(
        participant.el_gamal_public_key,
        Signature(participant.el_gamal_public_key_signature, participant.el_gamal_public_key_signature_algorithm_oid),
        participant.duchy_certificate_der,
        duchy.root,
        duchy=participant.duchy_id,
    )
    if participant.HasField("public_key") and participant.public_key.element != element:
        raise ParticipationInvalid(f"the ElGamal key of duchy {participant.duchy_id} is not the one that it signed")
    return element


def _public_key(element: bytes) -> ElGamalPublicKey:
    return ElGamalPublicKey(generator=P256_GENERATOR, element=element)


def _with(job: Job, **fields: ElGamalKeyPair | ElGamalPublicKey) -> ComputationDetails:
    """The computation's details with these fields of the protocol's part replaced."""
    details = ComputationDetails()
    details.CopyFrom(job.token.computation_details)
    for name, value in fields.items():
        getattr(registry.part(details), name).CopyFrom(value)
    return details


ACTS: Mapping[str, Act] = {
    "publish_key": publish_key,
    "verify_participants_and_combine_keys": verify_participants_and_combine_keys,
}
"""Of both Liquid Legions protocols."""
