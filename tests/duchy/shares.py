"""What the tests' kingdom says of a share-shuffle computation, and what data providers hand in for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from duchy.conftest import Duchy, eventually
from duchy.facts import DUCHIES, ID, NONCES, REQUISITIONS, SPEC_HASHES, fingerprint, spec
from duchy.mills import MILL, lease_metadata
from duchy.test_computation_control import chunks, token_of
from gristmill.trust.consent import nonce_hash
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2 as public
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationStage, ComputationTypeEnum
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.system.v1alpha import computation_control_service_pb2 as control
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

Header = public.FulfillRequisitionRequest.Header
REGISTERS = 300
MODULUS = 127
SHARE = bytes(each % MODULUS for each in range(REGISTERS))
BODY = b"\x0a\xac\x02" + SHARE
"""A serialized FrequencyVector with these entries."""


def share_computation(state: int = Computation.PENDING_REQUISITION_PARAMS) -> Computation:
    """Reach and frequency up to 10 of two data providers: the first one's share is for worker1, the other's not."""
    built = Computation(
        name=f"computations/{ID}",
        public_api_version="v2alpha",
        measurement_spec=spec().SerializeToString(deterministic=True),
        state=state,
    )
    config = built.mpc_protocol_config.honest_majority_share_shuffle
    config.reach_ring_modulus = config.reach_and_frequency_ring_modulus = MODULUS
    config.noise_mechanism = Computation.MpcProtocolConfig.DISCRETE_GAUSSIAN
    for duchy in DUCHIES:
        built.computation_participants.add(name=f"computations/{ID}/participants/{duchy}")
    for at, (requisition, spec_hash, nonce) in enumerate(zip(REQUISITIONS, SPEC_HASHES, NONCES, strict=True)):
        built.requisitions.add(
            name=f"computations/{ID}/requisitions/{requisition}",
            requisition_spec_hash=spec_hash,
            nonce_hash=nonce_hash(nonce),
            fulfilling_computation_participant=f"computations/{ID}/participants/{DUCHIES[at]}",
        )
    return built


def share_header(duchy: Duchy, at: int = 0, **changes: Any) -> Header:
    """Of data provider edp1; `changes` are made to the part of the protocol."""
    provider = duchy.keys.data_provider("edp1")
    header = Header(
        name=f"{provider.resource}/requisitions/{REQUISITIONS[at]}",
        requisition_fingerprint=fingerprint(at),
        nonce=NONCES[at],
    )
    part = header.honest_majority_share_shuffle
    part.secret_seed.ciphertext = changes.get("ciphertext", b"an encrypted seed")
    part.register_count = changes.get("register_count", REGISTERS)
    part.data_provider_certificate = changes.get("certificate", provider.certificate)
    return header


def share_requests(header: Header, body: bytes = BODY, chunk: int = 100) -> list[public.FulfillRequisitionRequest]:
    parts: Sequence[bytes] = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    Request = public.FulfillRequisitionRequest  # noqa: N806
    return [Request(header=header), *(Request(body_chunk=Request.BodyChunk(data=part)) for part in parts)]


def share_stage(number: int) -> ComputationStage:
    return ComputationStage(honest_majority_share_shuffle=number)  # type: ignore[arg-type]


async def in_share_stage(duchy: Duchy, wanted: int) -> None:
    async def there() -> bool:
        try:
            return (await token_of(duchy)).computation_stage == share_stage(wanted)
        except grpc.aio.AioRpcError:
            return False

    await eventually(there)


async def claim_share(duchy: Duchy, owner: str = MILL) -> ComputationToken:
    request = wire.ClaimWorkRequest(computation_type=ComputationTypeEnum.HONEST_MAJORITY_SHARE_SHUFFLE, owner=owner)
    request.lock_duration.FromSeconds(60)
    response = await ComputationsStub(duchy.channel("internal_api")).ClaimWork(request)
    assert response.HasField("token")
    return response.token


async def advance_share(duchy: Duchy, to: int) -> ComputationToken:
    """Claim the present stage and leave it for this one, as a mill does."""
    token = await claim_share(duchy)
    metadata = await lease_metadata(duchy, token)
    request = wire.AdvanceComputationStageRequest(token=token, next_computation_stage=share_stage(to))
    stub = ComputationsStub(duchy.channel("internal_api"))
    return (await stub.AdvanceComputationStage(request, metadata=metadata)).token


def peer_message(description: int, body: bytes = b"a message") -> list[control.AdvanceComputationRequest]:
    opening = control.AdvanceComputationRequest()
    opening.header.name = f"computations/{ID}"
    opening.header.honest_majority_share_shuffle.description = description  # type: ignore[assignment]
    return [opening, *chunks(body)]
