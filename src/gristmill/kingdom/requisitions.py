"""Public API: what a data provider is asked (public API, section 3)."""

from __future__ import annotations

from typing import Any, Never

import grpc.aio

from gristmill.errors import InvalidRequest, NotFound
from gristmill.kingdom import messages, names, pages
from gristmill.kingdom.registry import Registry
from gristmill.store.kingdom import measurements, requisitions, transitions
from gristmill.store.kingdom.database import KingdomStore, Transaction
from gristmill.store.kingdom.records import MeasurementRecord, RequisitionRecord
from wfa.measurement.api.v2alpha import requisitions_service_pb2 as wire
from wfa.measurement.api.v2alpha import requisitions_service_pb2_grpc as wire_grpc
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

Context = grpc.aio.ServicerContext[Any, Any]

_LONGEST_MESSAGE = 4096


class Requisitions(wire_grpc.RequisitionsServicer):
    """A data provider sees its own requisitions; a consumer may read those of its measurements by their long name."""

    def __init__(self, store: KingdomStore, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    async def ListRequisitions(  # noqa: N802
        self, request: wire.ListRequisitionsRequest, context: Context
    ) -> wire.ListRequisitionsResponse:
        provider = self._registry.require(context, names.require_data_provider(request.parent))
        size, after = pages.size(request.page_size), pages.from_token(request.page_token)
        async with self._store.reading() as transaction:
            found = await requisitions.page(transaction, provider, states=request.filter.states, after=after, size=size)
            shown = [
                messages.requisition(record, await measurements.get(transaction, record.measurement))
                for record in found
            ]
        token = pages.to_token((found[-1].updated, found[-1].id)) if len(found) == size else ""
        return wire.ListRequisitionsResponse(requisitions=shown, next_page_token=token)

    async def GetRequisition(  # noqa: N802
        self, request: wire.GetRequisitionRequest, context: Context
    ) -> Requisition:
        owner, identifier = names.parse_requisition(request.name)
        self._registry.require(context, owner)
        async with self._store.reading() as transaction:
            record, measurement = await _of(transaction, identifier, owner)
            if request.name.startswith("measurementConsumers/") and not request.name.startswith(
                names.measurement(measurement.consumer, measurement.id) + "/"
            ):
                raise NotFound("no such requisition of this measurement")
        return messages.requisition(record, measurement)

    async def RefuseRequisition(  # noqa: N802
        self, request: wire.RefuseRequisitionRequest, context: Context
    ) -> Requisition:
        """Final: the measurement fails."""
        owner, identifier = names.parse_requisition(request.name)
        self._registry.require(context, names.require_data_provider(owner))
        if request.refusal.justification == Requisition.Refusal.JUSTIFICATION_UNSPECIFIED:
            raise InvalidRequest("refusal.justification is not set")
        if request.refusal.justification not in Requisition.Refusal.Justification.values():
            raise InvalidRequest("refusal.justification is not one that is known")
        refusal = Requisition.Refusal()
        refusal.CopyFrom(request.refusal)
        refusal.message = refusal.message[:_LONGEST_MESSAGE]
        async with self._store.transaction() as transaction:
            record, _ = await _of(transaction, identifier, owner)
            refused = await transitions.refuse(transaction, record, refusal, etag_time=names.etag_time(request.etag))
            return messages.requisition(refused, await measurements.get(transaction, refused.measurement))

    async def FulfillDirectRequisition(  # noqa: N802
        self, request: wire.FulfillDirectRequisitionRequest, context: Context
    ) -> Never:
        self._registry.caller(context)
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "this kingdom has no direct measurements: fulfil the requisition at a duchy with RequisitionFulfillment",
        )
        raise AssertionError("abort returned")


async def _of(transaction: Transaction, identifier: int, owner: str) -> tuple[RequisitionRecord, MeasurementRecord]:
    """The requisition and its measurement, if `owner` may see it; NotFound otherwise, as for one that never was."""
    record = await requisitions.get(transaction, identifier)
    measurement = await measurements.get(transaction, record.measurement)
    hidden = measurement.state == Computation.PENDING_REQUISITION_PARAMS  # nobody could fulfil it yet
    if owner not in (record.data_provider, measurement.consumer) or hidden:
        raise NotFound("no such requisition", cure="Check its name.")
    return record, measurement
