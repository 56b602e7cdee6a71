"""The places where the wire is not what one would write down from memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wfa.measurement.api.v2alpha.crypto_pb2 import ElGamalPublicKey, SignedMessage
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2 import FulfillRequisitionRequest
from wfa.measurement.internal.duchy.computations_service_pb2 import AdvanceComputationStageRequest
from wfa.measurement.internal.duchy.continuation_tokens_service_pb2 import SetContinuationTokenRequest
from wfa.measurement.internal.duchy.continuation_tokens_service_pb2_grpc import ContinuationTokensStub
from wfa.measurement.internal.duchy.noise_mechanism_pb2 import NoiseMechanism
from wfa.measurement.system.v1alpha.computation_participants_service_pb2 import ConfirmComputationParticipantRequest
from wfa.measurement.system.v1alpha.computation_pb2 import Computation


class RecordingChannel:
    """Notes the paths that a stub asks for."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def unary_unary(self, path: str, *_: object, **__: object) -> Callable[[], None]:
        self.paths.append(path)
        return lambda: None


def test_continuation_tokens_methods_start_with_a_lower_case_letter() -> None:
    channel = RecordingChannel()
    ContinuationTokensStub(channel)  # type: ignore[call-overload]
    service = "/wfa.measurement.internal.duchy.ContinuationTokens/"
    assert channel.paths == [service + "getContinuationToken", service + "setContinuationToken"]


def test_the_token_to_set_is_field_two() -> None:
    assert SetContinuationTokenRequest(token="t").SerializeToString() == b"\x12\x01t"


def test_the_etag_of_a_confirmation_is_field_three() -> None:
    assert ConfirmComputationParticipantRequest(etag="e").SerializeToString() == b"\x1a\x01e"


def test_output_blobs_are_spelled_in_camel_case() -> None:
    assert AdvanceComputationStageRequest(outputBlobs=2).SerializeToString() == b"\x20\x02"


def test_a_nonce_takes_eight_little_endian_bytes() -> None:
    header = FulfillRequisitionRequest.Header(nonce=1)
    assert header.SerializeToString() == b"\x19\x01\0\0\0\0\0\0\0"


def test_the_fields_of_a_signed_message_are_out_of_order() -> None:
    assert {field.name: field.number for field in SignedMessage.DESCRIPTOR.fields} == {
        "message": 4,
        "data": 1,
        "signature": 2,
        "signature_algorithm_oid": 3,
    }


def test_a_published_el_gamal_key_has_seventy_bytes() -> None:
    key = ElGamalPublicKey(generator=b"\x03" * 33, element=b"\x02" * 33).SerializeToString()
    assert key == b"\x12\x21" + b"\x03" * 33 + b"\x1a\x21" + b"\x02" * 33


@pytest.mark.parametrize("mechanism", ["CONTINUOUS_GAUSSIAN", "NONE", "DETERMINISTIC_TRUNCATED_LAPLACE"])
def test_the_public_noise_mechanisms_have_other_numbers_than_the_systems(mechanism: str) -> None:
    system = int(Computation.MpcProtocolConfig.NoiseMechanism.Value(mechanism))
    assert int(NoiseMechanism.Value(mechanism)) == system
    assert int(ProtocolConfig.NoiseMechanism.Value(mechanism)) != system
