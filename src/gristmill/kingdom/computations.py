"""System API: what duchies are told of computations, and the result (system API, sections 6.1 to 6.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError

from gristmill.errors import InvalidRequest, PermissionDenied
from gristmill.kingdom import messages, names, pages, specification
from gristmill.kingdom.registry import Registry
from gristmill.store.kingdom import certificates, measurements
from gristmill.store.kingdom.database import KingdomStore, Transaction
from gristmill.store.kingdom.records import MeasurementRecord, ResultRecord
from gristmill.trust.signatures import signed_bytes
from wfa.measurement.api.v2alpha.crypto_pb2 import EncryptionPublicKey
from wfa.measurement.api.v2alpha.measurement_spec_pb2 import MeasurementSpec
from wfa.measurement.system.v1alpha import computations_service_pb2 as wire
from wfa.measurement.system.v1alpha import computations_service_pb2_grpc as wire_grpc
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

Context = grpc.aio.ServicerContext[Any, Any]

_BATCH = 50


class Computations(wire_grpc.ComputationsServicer):
    """The computations that the calling duchy takes part in."""

    def __init__(self, store: KingdomStore, registry: Registry, *, stream_seconds: float = 600) -> None:
        self._store = store
        self._registry = registry
        self._stream_seconds = stream_seconds

    async def GetComputation(  # noqa: N802
        self, request: wire.GetComputationRequest, context: Context
    ) -> Computation:
        duchy = self._registry.duchy(context)
        identifier = names.parse_computation(request.name)
        async with self._store.reading() as transaction:
            return messages.computation(await _of(transaction, identifier, duchy))

    async def StreamActiveComputations(  # noqa: N802
        self, request: wire.StreamActiveComputationsRequest, context: Context
    ) -> AsyncIterator[wire.StreamActiveComputationsResponse]:
        """Each computation at its latest version, then again whenever it changes, until the stream's time is over."""
        duchy = self._registry.duchy(context)
        position = pages.from_token(request.continuation_token)
        loop = asyncio.get_running_loop()
        end = loop.time() + self._stream_seconds
        while (remaining := end - loop.time()) > 0:
            writes = self._store.writes
            async with self._store.reading() as transaction:
                found = await measurements.active(transaction, duchy, after=position, size=_BATCH)
            for record in found:
                position = (record.updated, record.id)
                yield wire.StreamActiveComputationsResponse(
                    computation=messages.computation(record), continuation_token=pages.to_token(position)
                )
            if len(found) < _BATCH:
                await self._store.changed(writes, patience=min(remaining, 1.0))

    async def SetComputationResult(  # noqa: N802
        self, request: wire.SetComputationResultRequest, context: Context
    ) -> Computation:
        """Idempotent for the same result and checked against the state, where the existing kingdom is neither."""
        duchy = self._registry.duchy(context)
        identifier = names.parse_computation(request.name)
        owner, _ = names.parse_certificate(request.aggregator_certificate)
        if owner != f"duchies/{duchy}":
            raise PermissionDenied(f"aggregator_certificate belongs to {owner}, not to duchy {duchy}")
        if duchy != self._registry.aggregator:
            raise PermissionDenied(f"duchy {duchy} is not the aggregator")
        if request.public_api_version != messages.API_VERSION:
            raise InvalidRequest(f"public_api_version must be {messages.API_VERSION}")
        if not request.encrypted_result:
            raise InvalidRequest("encrypted_result is empty")
        result = ResultRecord(request.aggregator_certificate, request.result_public_key, request.encrypted_result)
        async with self._store.transaction() as transaction:
            record = await _of(transaction, identifier, duchy)
            _check_public_key(record, request.result_public_key)
            await certificates.usable(transaction, request.aggregator_certificate)
            return messages.computation(await measurements.succeed(transaction, identifier, result))


async def _of(transaction: Transaction, identifier: int, duchy: str) -> MeasurementRecord:
    record = await measurements.get(transaction, identifier)
    if record.participant(duchy) is None:
        raise PermissionDenied(f"duchy {duchy} does not take part in this computation")
    return record


def _check_public_key(record: MeasurementRecord, serialized: bytes) -> None:
    """A result that is encrypted to another key than the consumer's would be lost: refuse it while it can be mended."""
    try:
        given = EncryptionPublicKey.FromString(serialized)
    except DecodeError:
        raise InvalidRequest("result_public_key is not a serialized EncryptionPublicKey") from None
    signed = MeasurementSpec.FromString(signed_bytes(record.request.measurement_spec))
    if given != specification.measurement_public_key(signed):
        raise InvalidRequest("result_public_key is not the measurement's public key")
