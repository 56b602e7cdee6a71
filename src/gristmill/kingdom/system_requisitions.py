"""System API: a duchy reports that it holds a data provider's data (system API, section 6.6)."""

from __future__ import annotations

from typing import Any

import grpc.aio

from gristmill.errors import InvalidRequest, PreconditionFailed
from gristmill.kingdom import messages, names
from gristmill.kingdom.registry import Registry
from gristmill.store.kingdom import requisitions, transitions
from gristmill.store.kingdom.database import KingdomStore
from gristmill.trust.consent import nonce_hash
from wfa.measurement.system.v1alpha import requisitions_service_pb2 as wire
from wfa.measurement.system.v1alpha import requisitions_service_pb2_grpc as wire_grpc
from wfa.measurement.system.v1alpha.requisition_pb2 import Requisition

Context = grpc.aio.ServicerContext[Any, Any]


class SystemRequisitions(wire_grpc.RequisitionsServicer):
    """Fulfilments, as duchies report them."""

    def __init__(self, store: KingdomStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    async def FulfillRequisition(  # noqa: N802
        self, request: wire.FulfillRequisitionRequest, context: Context
    ) -> Requisition:
        """Stricter than the existing kingdom: a nonce without the requisition's hash is refused here and now."""
        duchy = self._registry.duchy(context)
        computation, identifier = names.parse_system_requisition(request.name)
        if request.nonce == 0:
            raise InvalidRequest("nonce is missing")
        async with self._store.transaction() as transaction:
            await transitions.participant(transaction, computation, duchy)
            record = await requisitions.get(transaction, identifier)
            if nonce_hash(request.nonce) != record.entry.nonce_hash:
                raise PreconditionFailed("nonce is not that of the requisition")
            fulfillment = transitions.Fulfillment(
                duchy,
                request.nonce,
                request.fulfillment_context if request.HasField("fulfillment_context") else None,
            )
            return messages.system_requisition(
                await transitions.fulfil(
                    transaction, computation, identifier, fulfillment, etag_time=names.etag_time(request.etag)
                )
            )
