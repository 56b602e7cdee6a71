"""From what the kingdom says of a computation to the computation that this duchy creates: pure, and strict.

What the mills could not compute is refused here, before anything is encrypted for it (services' behaviour, "Create").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError

from gristmill.duchy import liquid_legions, names, share_shuffle
from gristmill.duchy.admission import require
from gristmill.errors import ComputationUnsupported, KingdomContradicts
from gristmill.protocols import registry
from gristmill.trust.consent import requisition_fingerprint
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.internal.duchy.computation_details_pb2 import ComputationDetails
from wfa.measurement.internal.duchy.computation_protocols_pb2 import ComputationTypeEnum
from wfa.measurement.internal.duchy.computations_service_pb2 import CreateComputationRequest
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import ProtocolsSetupConfig
from wfa.measurement.internal.duchy.crypto_pb2 import EncryptionPublicKey as InternalEncryptionPublicKey
from wfa.measurement.internal.duchy.requisition_details_pb2 import RequisitionEntry
from wfa.measurement.system.v1alpha.computation_pb2 import Computation
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition

API_VERSION: Final = "v2alpha"
_FILL: Final[Mapping[str, Callable[[Any, Any, Any, MeasurementSpec], None]]] = {
    "liquid_legions_v2": liquid_legions.fill_llv2,
    "reach_only_liquid_legions_v2": liquid_legions.fill_reach_only,
    "honest_majority_share_shuffle": share_shuffle.fill_share_shuffle,
}
"""By the protocol's name on the wire: from its parts of the setup and of the kingdom's configuration, and from the
measurement's specification, to its part of the details. ComputationUnsupported says why it cannot be computed."""


def create_request(duchy: str, setup: ProtocolsSetupConfig, computation: Computation) -> CreateComputationRequest:
    """The request that creates `computation` at `duchy`.

    Raises PermanentFailure, which names the field, when the computation cannot be computed here.
    """
    computation_id = names.parse_computation(computation.name)
    require(computation.public_api_version == API_VERSION, f"public_api_version is {computation.public_api_version!r}")
    spec = _measurement_spec(computation.measurement_spec)
    details = ComputationDetails(
        blobs_storage_prefix=f"computation-blob-storage/{duchy}/{computation_id}",
        kingdom_computation=ComputationDetails.KingdomComputationDetails(
            public_api_version=API_VERSION,
            measurement_spec=computation.measurement_spec,
            measurement_public_key=_consumer_key(spec),
            participant_count=len(computation.computation_participants),
        ),
    )
    computation_type = _fill(details, setup, computation.mpc_protocol_config, spec)
    return CreateComputationRequest(
        computation_type=computation_type,
        global_computation_id=computation_id,
        computation_details=details,
        requisitions=[requisition_entry(computation, each) for each in computation.requisitions],
    )


def _fill(
    details: ComputationDetails,
    setup: ProtocolsSetupConfig,
    config: Computation.MpcProtocolConfig,
    spec: MeasurementSpec,
) -> ComputationTypeEnum.ComputationType.ValueType:
    """Fill in the protocol's own part; which computation type that is."""
    member = config.WhichOneof("protocol") or "unset"
    fill, wire = _FILL.get(member), registry.by_member(member)
    if fill is None or wire is None:
        raise ComputationUnsupported(f"mpc_protocol_config is {member}, which this version of the duchy cannot compute")
    require(setup.HasField(member), f"this duchy has no role in {member}")  # type: ignore[arg-type]
    fill(getattr(details, member), getattr(setup, member), getattr(config, member), spec)
    return ComputationTypeEnum.ComputationType.ValueType(wire.number)


def requisition_entry(computation: Computation, requisition: Requisition) -> RequisitionEntry:
    """A requisition as the kingdom knows it: its fingerprint, its nonce once fulfilled, and the duchy that has it."""
    _, requisition_id = names.parse_system_requisition(requisition.name)
    entry = RequisitionEntry()
    entry.key.external_requisition_id = requisition_id
    entry.key.requisition_fingerprint = requisition_fingerprint(
        computation.measurement_spec, requisition.requisition_spec_hash
    )
    entry.value.nonce_hash = requisition.nonce_hash
    entry.value.nonce = requisition.nonce
    if requisition.fulfilling_computation_participant:
        _, entry.value.external_fulfilling_duchy_id = names.parse_participant(
            requisition.fulfilling_computation_participant
        )
    return entry


def _measurement_spec(serialized: bytes) -> MeasurementSpec:
    try:
        return MeasurementSpec.FromString(serialized)
    except DecodeError:
        raise KingdomContradicts("measurement_spec cannot be parsed") from None


def _consumer_key(spec: MeasurementSpec) -> InternalEncryptionPublicKey:
    """The measurement consumer's key, to which the result will be encrypted; the deprecated field where it is alone."""
    key = EncryptionPublicKey()
    try:
        if spec.HasField("measurement_public_key"):
            require(spec.measurement_public_key.Unpack(key), "measurement_public_key is no EncryptionPublicKey")
        else:
            key.ParseFromString(spec.serialized_measurement_public_key)
    except DecodeError:
        raise KingdomContradicts("measurement_public_key cannot be parsed") from None
    require(bool(key.data), "measurement_public_key is empty")
    return InternalEncryptionPublicKey(format=InternalEncryptionPublicKey.Format.ValueType(key.format), data=key.data)
