"""System API: a duchy's own part in a computation, and its log entries (system API, sections 6.4 and 6.5)."""

from __future__ import annotations

from typing import Any

import grpc.aio

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.kingdom import messages, names
from gristmill.kingdom.registry import Registry
from gristmill.store.kingdom import certificates, measurements, transitions
from gristmill.store.kingdom.database import KingdomStore, Transaction
from gristmill.trust.consent import verify_el_gamal_key, verify_encryption_key
from gristmill.trust.signatures import Signature
from wfa.measurement.system.v1alpha import computation_log_entries_service_pb2 as log_wire
from wfa.measurement.system.v1alpha import computation_log_entries_service_pb2_grpc as log_grpc
from wfa.measurement.system.v1alpha import computation_participants_service_pb2 as wire
from wfa.measurement.system.v1alpha import computation_participants_service_pb2_grpc as wire_grpc
from wfa.measurement.system.v1alpha.computation_log_entry_pb2 import ComputationLogEntry
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant

Context = grpc.aio.ServicerContext[Any, Any]

_LONGEST_MESSAGE = 16 * 1024


class ComputationParticipants(wire_grpc.ComputationParticipantsServicer):
    """Each duchy reads and changes its own participant only."""

    def __init__(self, store: KingdomStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    async def GetComputationParticipant(  # noqa: N802
        self, request: wire.GetComputationParticipantRequest, context: Context
    ) -> ComputationParticipant:
        computation, duchy = self._own(request.name, context)
        async with self._store.reading() as transaction:
            return messages.participant(await transitions.participant(transaction, computation, duchy))

    async def SetParticipantRequisitionParams(  # noqa: N802
        self, request: wire.SetParticipantRequisitionParamsRequest, context: Context
    ) -> ComputationParticipant:
        """The key's signature is verified here too, so that a key nobody would accept never reaches a data provider."""
        computation, duchy = self._own(request.name, context)
        params = request.requisition_params
        if params.WhichOneof("protocol") is None:
            raise InvalidRequest("requisition_params.protocol is not set")
        owner, _ = names.parse_certificate(params.duchy_certificate)
        if owner != f"duchies/{duchy}":
            raise InvalidRequest(f"duchy_certificate belongs to {owner}, not to duchy {duchy}")
        async with self._store.transaction() as transaction:
            record = await measurements.get(transaction, computation)
            protocol = record.system_config.WhichOneof("protocol")
            if params.WhichOneof("protocol") != protocol:
                raise PreconditionFailed(f"the protocol of this computation is {protocol}")
            await self._verify_key(transaction, duchy, params)
            kept = ComputationParticipant.RequisitionParams()
            kept.CopyFrom(params)
            kept.ClearField("duchy_certificate_der")
            await transitions.set_requisition_params(
                transaction, computation, duchy, kept, etag_time=names.etag_time(request.etag)
            )
            return messages.participant(await transitions.participant(transaction, computation, duchy))

    async def ConfirmComputationParticipant(  # noqa: N802
        self, request: wire.ConfirmComputationParticipantRequest, context: Context
    ) -> ComputationParticipant:
        computation, duchy = self._own(request.name, context)
        async with self._store.transaction() as transaction:
            await transitions.confirm(transaction, computation, duchy, etag_time=names.etag_time(request.etag))
            return messages.participant(await transitions.participant(transaction, computation, duchy))

    async def FailComputationParticipant(  # noqa: N802
        self, request: wire.FailComputationParticipantRequest, context: Context
    ) -> ComputationParticipant:
        computation, duchy = self._own(request.name, context)
        if not request.HasField("failure"):
            raise InvalidRequest("failure is missing")
        failure = ComputationParticipant.Failure()
        failure.CopyFrom(request.failure)
        failure.error_message = failure.error_message[:_LONGEST_MESSAGE]
        async with self._store.transaction() as transaction:
            await transitions.fail_participant(
                transaction, computation, duchy, failure, etag_time=names.etag_time(request.etag)
            )
            return messages.participant(await transitions.participant(transaction, computation, duchy))

    def _own(self, name: str, context: Context) -> tuple[int, str]:
        computation, duchy = names.parse_participant(name)
        return computation, self._registry.require_duchy(context, duchy)

    async def _verify_key(
        self, transaction: Transaction, duchy: str, params: ComputationParticipant.RequisitionParams
    ) -> None:
        certificate = await certificates.usable(transaction, params.duchy_certificate)
        root = self._registry.roots[f"duchies/{duchy}"]
        if params.HasField("honest_majority_share_shuffle"):
            if messages.is_without_key(params) != (duchy == self._registry.aggregator):
                raise InvalidRequest("both workers of a share shuffle must publish a key, and the aggregator none")
            shuffle = params.honest_majority_share_shuffle
            if shuffle.tink_public_key:
                signature = Signature(
                    shuffle.tink_public_key_signature, shuffle.tink_public_key_signature_algorithm_oid
                )
                verify_encryption_key(shuffle.tink_public_key, signature, certificate.x509_der, root, duchy=duchy)
            return
        key = getattr(params, str(params.WhichOneof("protocol")))
        signature = Signature(key.el_gamal_public_key_signature, key.el_gamal_public_key_signature_algorithm_oid)
        verify_el_gamal_key(key.el_gamal_public_key, signature, certificate.x509_der, root, duchy=duchy)


class ComputationLogEntries(log_grpc.ComputationLogEntriesServicer):
    """What happened at a duchy, kept for those who look into a computation afterwards."""

    def __init__(self, store: KingdomStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    async def CreateComputationLogEntry(  # noqa: N802
        self, request: log_wire.CreateComputationLogEntryRequest, context: Context
    ) -> ComputationLogEntry:
        computation, duchy = names.parse_participant(request.parent)
        self._registry.require_duchy(context, duchy)
        if not request.HasField("computation_log_entry"):
            raise InvalidRequest("computation_log_entry is missing")
        entry = ComputationLogEntry()
        entry.CopyFrom(request.computation_log_entry)
        entry.log_message = entry.log_message[:_LONGEST_MESSAGE]
        if entry.HasField("error_details") and entry.error_details.type != ComputationLogEntry.ErrorDetails.TRANSIENT:
            raise InvalidRequest(
                "error_details.type must be TRANSIENT", cure="Report permanent errors with FailComputationParticipant."
            )
        async with self._store.transaction() as transaction:
            identifier = await transitions.log(transaction, computation, duchy, entry)
        entry.name = f"{request.parent}/logEntries/{names.to_text(identifier)}"
        return entry
