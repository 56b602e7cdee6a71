"""A real kingdom whose duchies have published their keys, a stand-in for one duchy's server, a data provider."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
import pytest
from google.protobuf.message import Message

from gristmill import _native
from gristmill.edp.daemon import DataProvider, Settings
from gristmill.edp.events import Events
from gristmill.edp.keys import DataProviderKeys
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, server_credentials
from gristmill.trust.consent import serialize_el_gamal_key
from gristmill.trust.development import DevelopmentKeys, make
from kingdom.actors import DUCHIES, World, computation_of, world
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2 as wire
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2_grpc as wire_grpc
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant

_M = TypeVar("_M", bound=Message)


def _break(signed: SignedMessage) -> None:
    signed.signature_algorithm_oid = "1.2.840.10045.4.3.4"


@dataclass
class Door(wire_grpc.RequisitionFulfillmentServicer):
    """Takes what data providers deliver to worker1 and tells the kingdom; `refuse` has statuses to answer first."""

    kingdom: World
    computation: str
    headers: list[wire.FulfillRequisitionRequest.Header] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    refuse: list[grpc.StatusCode] = field(default_factory=list)

    async def FulfillRequisition(  # noqa: N802
        self, request_iterator: AsyncIterator[wire.FulfillRequisitionRequest], context: Any
    ) -> wire.FulfillRequisitionResponse:
        if self.refuse:
            await context.abort(self.refuse.pop(0), "not now")
        requests = [request async for request in request_iterator]
        header = requests[0].header
        name = f"{self.computation}/requisitions/{header.name.rpartition('/')[2]}"
        await self.kingdom.duchies["worker1"].fulfil(name, header.nonce, etag=header.etag)
        self.headers.append(header)
        self.bodies.append(b"".join(request.body_chunk.data for request in requests[1:]))
        self.metadata.append(dict(context.invocation_metadata()))
        return wire.FulfillRequisitionResponse(state=Requisition.FULFILLED)


@dataclass(frozen=True)
class Scene:
    """A measurement that waits for its data providers."""

    kingdom: World
    measurement: Measurement
    door: Door
    provider: Callable[[list[int]], DataProvider]

    def forge_specification(self) -> None:
        """Behind the kingdom's back, as a dishonest kingdom would: break the signature of the MeasurementSpec."""
        self._rewrite("kingdom_measurements", "request", "1", Measurement, lambda one: _break(one.measurement_spec))

    def forge_duchy_key(self) -> None:
        """The same with worker2's ElGamal key."""
        kind = ComputationParticipant.RequisitionParams

        def forge(params: ComputationParticipant.RequisitionParams) -> None:
            key = params.liquid_legions_v2
            key.el_gamal_public_key = serialize_el_gamal_key(_native.generate_key_pair()[1])

        self._rewrite("kingdom_participants", "requisition_params", "duchy = 'worker2'", kind, forge)

    def _rewrite(self, table: str, column: str, where: str, kind: type[_M], change: Callable[[_M], None]) -> None:
        with sqlite3.connect(self.kingdom.database) as database:
            (stored,) = database.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()  # noqa: S608
            message = kind.FromString(stored)
            change(message)
            query = f"UPDATE {table} SET {column} = ? WHERE {where}"  # noqa: S608
            database.execute(query, [message.SerializeToString()])
        database.close()

    async def ended(self) -> Measurement:
        return await self.kingdom.get(self.measurement.name)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentKeys:
    return make(tmp_path_factory.mktemp("edp") / "keys", duchies=DUCHIES, data_providers=["edp1", "edp2"])


@pytest.fixture
async def kingdom(keys: DevelopmentKeys, tmp_path: Path) -> AsyncIterator[World]:
    async with world(keys, tmp_path / "kingdom.sqlite") as answering:
        yield answering


@pytest.fixture
async def scene(kingdom: World, tmp_path: Path) -> AsyncIterator[Scene]:
    async with prepared(kingdom, kingdom.build(), tmp_path) as ready:
        yield ready


@asynccontextmanager
async def prepared(kingdom: World, measurement: Measurement, spool: Path) -> AsyncIterator[Scene]:
    """Submit the measurement, publish the duchies' keys, open worker1's door, and make data providers named edp1."""
    submitted = await kingdom.submit(measurement)
    computation = computation_of(submitted)
    await kingdom.publish_all(computation)
    door, worker = Door(kingdom, computation), kingdom.duchies["worker1"].party
    server = grpc.aio.server()
    wire_grpc.add_RequisitionFulfillmentServicer_to_server(door, server)
    roots = [read_certificate(party.root_file) for party in kingdom.keys.data_providers]
    port = server.add_secure_port("127.0.0.1:0", server_credentials(worker.tls, roots))
    await server.start()
    made: list[DataProvider] = []

    def provider(vids: list[int]) -> DataProvider:
        settings = Settings(
            kingdom=kingdom.target,
            fulfillment={"worker1": Target(f"127.0.0.1:{port}", worker.cert_host)},
            spool=spool,
            polling_seconds=0.01,
        )
        made.append(DataProvider(DataProviderKeys.of(kingdom.keys, "edp1"), settings, Events.of(vids)))
        return made[-1]

    try:
        yield Scene(kingdom, submitted, door, provider)
    finally:
        for one in made:
            one.close()
        await server.stop(0)
