"""A real kingdom whose duchies have published their keys, a stand-in for one duchy's server, a data provider."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
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
from gristmill.trust.hybrid import PrivateKeyset
from kingdom.actors import DUCHIES, World, computation_of, world
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2 as wire
from wfa.measurement.api.v2alpha import requisition_fulfillment_service_pb2_grpc as wire_grpc
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.protocol_config_pb2 import ProtocolConfig
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.system.v1alpha.computation_participant_pb2 import ComputationParticipant

_M = TypeVar("_M", bound=Message)


def _break(signed: SignedMessage) -> None:
    signed.signature_algorithm_oid = "1.2.840.10045.4.3.4"


@dataclass
class Door(wire_grpc.RequisitionFulfillmentServicer):
    """Takes what data providers deliver to a duchy and tells the kingdom; `refuse` has statuses to answer first."""

    kingdom: World
    computation: str
    duchy: str = "worker1"
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
        await self.kingdom.duchies[self.duchy].fulfil(name, header.nonce, etag=header.etag)
        self.headers.append(header)
        self.bodies.append(b"".join(request.body_chunk.data for request in requests[1:]))
        self.metadata.append(dict(context.invocation_metadata()))
        return wire.FulfillRequisitionResponse(state=Requisition.FULFILLED)


@dataclass(frozen=True)
class Scene:
    """A measurement that waits for its data providers."""

    kingdom: World
    measurement: Measurement
    doors: dict[str, Door]
    provider: Callable[..., DataProvider]
    """Of these VIDs, and with other settings where they are given."""

    @property
    def door(self) -> Door:
        return self.doors["worker1"]

    def forge_specification(self) -> None:
        """Behind the kingdom's back, as a dishonest kingdom would: break the signature of the MeasurementSpec."""
        self._rewrite("kingdom_measurements", "request", "1", Measurement, lambda one: _break(one.measurement_spec))

    def forge_duchy_key(self) -> None:
        """The same with worker2's ElGamal key."""
        kind = ComputationParticipant.RequisitionParams

        def forge(params: ComputationParticipant.RequisitionParams) -> None:
            key = getattr(params, str(params.WhichOneof("protocol")))
            key.el_gamal_public_key = serialize_el_gamal_key(_native.generate_key_pair()[1])

        self._rewrite("kingdom_participants", "requisition_params", "duchy = 'worker2'", kind, forge)

    def forge_encryption_key(self, duchy: str) -> None:
        """The same with a worker's encryption key: the kingdom could then read the seeds for it."""
        kind = ComputationParticipant.RequisitionParams

        def forge(params: ComputationParticipant.RequisitionParams) -> None:
            key = PrivateKeyset.generate().public_key
            params.honest_majority_share_shuffle.tink_public_key = key.SerializeToString()

        self._rewrite("kingdom_participants", "requisition_params", f"duchy = '{duchy}'", kind, forge)

    def forge_config(self, change: Callable[[ProtocolConfig.HonestMajorityShareShuffle], None]) -> None:
        """The same with the configuration of share shuffle that data providers are told."""
        self.forge_protocol(lambda protocol: change(protocol.honest_majority_share_shuffle))

    def forge_protocol(self, change: Callable[[ProtocolConfig.Protocol], None]) -> None:
        """The same with that of whichever protocol it is."""

        def forge(config: ProtocolConfig) -> None:
            change(config.protocols[0])

        self._rewrite("kingdom_measurements", "public_config", "1", ProtocolConfig, forge)

    def forge_assignment(self, duchy: str | None) -> None:
        """The same with the worker that stores edp1's data: None shows both workers' keys."""
        with sqlite3.connect(self.kingdom.database) as database:
            database.execute("UPDATE kingdom_requisitions SET fulfilling_duchy = ?", [duchy])
        database.close()

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
async def prepared(
    kingdom: World, measurement: Measurement, spool: Path, *, by_shares: bool = False
) -> AsyncIterator[Scene]:
    """Submit the measurement, publish the duchies' keys, open doors, and make data providers named edp1.

    The door is worker1's; for share shuffle there is one at each worker.
    """
    submitted = await kingdom.submit(measurement)
    computation = computation_of(submitted)
    await (kingdom.publish_all_encryption_keys if by_shares else kingdom.publish_all)(computation)
    doors = {duchy: Door(kingdom, computation, duchy) for duchy in DUCHIES[: 2 if by_shares else 1]}
    made: list[DataProvider] = []
    async with AsyncExitStack() as stack:
        targets = {duchy: await stack.enter_async_context(opened(door)) for duchy, door in doors.items()}

        def provider(vids: list[int], **changes: Any) -> DataProvider:
            settings = replace(Settings(kingdom.target, targets, spool, polling_seconds=0.01), **changes)
            made.append(DataProvider(DataProviderKeys.of(kingdom.keys, "edp1"), settings, Events.of(vids)))
            return made[-1]

        try:
            yield Scene(kingdom, submitted, doors, provider)
        finally:
            for one in made:
                one.close()


@asynccontextmanager
async def opened(door: Door) -> AsyncIterator[Target]:
    """Where the door answers."""
    party = door.kingdom.duchies[door.duchy].party
    server = grpc.aio.server()
    wire_grpc.add_RequisitionFulfillmentServicer_to_server(door, server)
    roots = [read_certificate(party.root_file) for party in door.kingdom.keys.data_providers]
    port = server.add_secure_port("127.0.0.1:0", server_credentials(party.tls, roots))
    await server.start()
    try:
        yield Target(f"127.0.0.1:{port}", party.cert_host)
    finally:
        await server.stop(0)
