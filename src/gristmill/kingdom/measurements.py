"""gristmill.kingdom.Measurements: how a measurement consumer submits, follows and cancels measurements."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from gristmill.errors import InvalidRequest, ParticipationInvalid
from gristmill.kingdom import messages, names, pages, protocol, specification
from gristmill.kingdom.protocol import LiquidLegionsParameters
from gristmill.kingdom.registry import Registry
from gristmill.kingdom.share_shuffle import ShareShuffleParameters
from gristmill.proto.kingdom import measurements_pb2 as wire
from gristmill.proto.kingdom import measurements_pb2_grpc as wire_grpc
from gristmill.store.kingdom import certificates, measurements
from gristmill.store.kingdom.database import KingdomStore, Transaction
from gristmill.store.kingdom.records import MeasurementRecord, NewMeasurement, NewRequisition
from gristmill.trust.certificates import parse_der, verify_leaf
from gristmill.trust.signatures import verify_message
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec

Context = grpc.aio.ServicerContext[Any, Any]

_LONGEST_ID = 100


class Measurements(wire_grpc.MeasurementsServicer):
    """Every consumer sees its own measurements only."""

    def __init__(
        self,
        store: KingdomStore,
        registry: Registry,
        parameters: LiquidLegionsParameters,
        shares: ShareShuffleParameters | None = None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._parameters = parameters
        self._shares = shares

    async def CreateMeasurement(  # noqa: N802
        self, request: wire.CreateMeasurementRequest, context: Context
    ) -> Measurement:
        """Check all that can be checked, then record it: from then on duchies are told of it."""
        consumer = names.require_consumer(request.parent)
        self._registry.require(context, consumer)
        if len(request.request_id) > _LONGEST_ID:
            raise InvalidRequest(f"request_id is longer than {_LONGEST_ID} characters")
        submitted = _submitted(request.measurement)
        owner, _ = names.parse_certificate(submitted.measurement_consumer_certificate)
        if owner != consumer:
            raise InvalidRequest(f"measurement_consumer_certificate belongs to {owner}, not to {consumer}")
        async with self._store.transaction() as transaction:
            signed = await self._verify_specification(transaction, submitted, consumer)
            specification.check(submitted, signed, by_shares=self._shares is not None)
            public_config, system_config = protocol.choose(
                signed,
                self._parameters,
                self._shares,
                data_providers=len(submitted.data_providers),
                duchies=len(self._registry.duchies),
            )
            for entry in submitted.data_providers:
                await self._check_data_provider(transaction, entry)
            new = NewMeasurement(
                consumer=consumer,
                request_id=request.request_id or None,
                request=submitted,
                public_config=public_config,
                system_config=system_config,
                duchies=self._registry.duchies,
                requisitions=tuple(NewRequisition(entry.key, entry.value) for entry in submitted.data_providers),
                storing_duchies=self._registry.workers if self._shares is not None else (),
            )
            return messages.measurement(await measurements.create(transaction, new))

    async def GetMeasurement(  # noqa: N802
        self, request: wire.GetMeasurementRequest, context: Context
    ) -> Measurement:
        consumer, identifier = self._own(request.name, context)
        return messages.measurement(await self._get(consumer, identifier))

    async def ListMeasurements(  # noqa: N802
        self, request: wire.ListMeasurementsRequest, context: Context
    ) -> wire.ListMeasurementsResponse:
        consumer = self._registry.require(context, names.require_consumer(request.parent))
        size, after = pages.size(request.page_size), pages.from_token(request.page_token)
        async with self._store.reading() as transaction:
            found = await measurements.page(transaction, consumer, after=after, size=size)
        token = pages.to_token((found[-1].created, found[-1].id)) if len(found) == size else ""
        return wire.ListMeasurementsResponse(
            measurements=[messages.measurement(record) for record in found], next_page_token=token
        )

    async def CancelMeasurement(  # noqa: N802
        self, request: wire.CancelMeasurementRequest, context: Context
    ) -> Measurement:
        consumer, identifier = self._own(request.name, context)
        await self._get(consumer, identifier)
        async with self._store.transaction() as transaction:
            return messages.measurement(await measurements.cancel(transaction, identifier))

    async def WatchMeasurement(  # noqa: N802
        self, request: wire.WatchMeasurementRequest, context: Context
    ) -> AsyncIterator[Measurement]:
        consumer, identifier = self._own(request.name, context)
        seen = -1
        while True:
            writes = self._store.writes
            record = await self._get(consumer, identifier)
            if record.updated > seen:
                seen = record.updated
                yield messages.measurement(record)
            if messages.measurement_state(record) in messages.ENDED_STATES:
                return
            await self._store.changed(writes, patience=10.0)

    def _own(self, name: str, context: Context) -> tuple[str, int]:
        consumer, identifier = names.parse_measurement(name)
        self._registry.require(context, consumer)
        return consumer, identifier

    async def _get(self, consumer: str, identifier: int) -> MeasurementRecord:
        async with self._store.reading() as transaction:
            return await measurements.get(transaction, identifier, consumer=consumer)

    async def _verify_specification(
        self, transaction: Transaction, submitted: Measurement, consumer: str
    ) -> MeasurementSpec:
        """The specification, once the consumer's registered certificate and root have vouched for it."""
        certificate = await certificates.usable(transaction, submitted.measurement_consumer_certificate)
        try:
            return verify_message(
                submitted.measurement_spec,
                MeasurementSpec,
                parse_der(certificate.x509_der, what="measurement_consumer_certificate"),
                self._registry.roots[consumer],
                what="measurement_spec",
            )
        except ParticipationInvalid as error:
            raise InvalidRequest(error.message, cure=error.cure) from None

    async def _check_data_provider(self, transaction: Transaction, entry: Measurement.DataProviderEntry) -> None:
        root = self._registry.roots.get(entry.key)
        if root is None:
            raise InvalidRequest(f"{entry.key} is no data provider of this kingdom")
        certificate = await certificates.usable(transaction, entry.value.data_provider_certificate)
        what = f"data_provider_certificate of {entry.key}"
        verify_leaf(parse_der(certificate.x509_der, what=what), root, what=what)


def _submitted(measurement: Measurement) -> Measurement:
    """The fields that a consumer may set; everything else is the kingdom's to say."""
    return Measurement(
        measurement_consumer_certificate=measurement.measurement_consumer_certificate,
        measurement_spec=measurement.measurement_spec,
        data_providers=measurement.data_providers,
        measurement_reference_id=measurement.measurement_reference_id,
    )
