"""A duchy `worker1` whose mill is under test, among stand-ins, with real mutual TLS on loopback."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format

from gristmill.cli import mill as cli
from gristmill.mill.process import ClaimedItem, Mill
from gristmill.proto.duchy import leases_pb2_grpc as leases_grpc
from mill import pki
from mill.stand_ins import InternalApi, Journal, Kingdom, Leases, Peer
from mill.wires import LLV2, Wire
from wfa.measurement.config.duchy_cert_config_pb2 import DuchyCertConfig
from wfa.measurement.internal.duchy import computations_service_pb2_grpc as internal_grpc
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken
from wfa.measurement.system.v1alpha import computation_control_service_pb2_grpc as control_grpc
from wfa.measurement.system.v1alpha import computation_log_entries_service_pb2_grpc as logs_grpc
from wfa.measurement.system.v1alpha import computation_participants_service_pb2_grpc as participants_grpc
from wfa.measurement.system.v1alpha import computations_service_pb2_grpc as computations_grpc

MILL = "worker1-llv2-mill-job-x2b7k"
DUCHIES = ("worker1", "worker2", "aggregator")
CERTIFICATE = "duchies/worker1/certificates/LHdjUf0z6dc"


@dataclass
class World:
    """The stand-ins, and how to run a mill among them."""

    directory: Path
    identities: dict[str, pki.Identity]
    journal: Journal
    internal: InternalApi
    kingdom: Kingdom
    peers: dict[str, Peer]
    ports: dict[str, int]
    duchy: str
    leases: Leases
    wire: Wire = LLV2
    """The protocol of its computations."""
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def blobs(self) -> Path:
        return self.directory / "blobs"

    def put(self, key: str, content: bytes) -> None:
        path = self.blobs / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def flags(self, token: ComputationToken | None = None, **changes: str | None) -> list[str]:
        """The command line that a scheduler would give; `changes` replace flags (None: leave one out)."""
        identity, files = self.identities[self.duchy], self.directory
        values: dict[str, str | None] = {
            "mill-id": MILL,
            "duchy-name": self.duchy,
            "duchy-info-config": str(files / "duchy_cert_config.textproto"),
            "tls-cert-file": str(identity.tls_cert),
            "tls-key-file": str(identity.tls_key),
            "cert-collection-file": str(files / "all_root_certs.pem"),
            "computations-service-target": f"127.0.0.1:{self.ports['internal']}",
            "computations-service-cert-host": "localhost",
            "kingdom-system-api-target": f"127.0.0.1:{self.ports['kingdom']}",
            "kingdom-system-api-cert-host": "localhost",
            "consent-signaling-certificate-resource-name": CERTIFICATE,
            "consent-signaling-certificate-der-file": str(identity.signing_cert),
            "consent-signaling-private-key-der-file": str(identity.signing_key),
            "file-system-storage-directory": str(self.blobs),
            "claimed-computation-type": self.wire.computation_type,
            "parallelism": "2",
        }
        if token is not None:
            values["claimed-computation-id"] = token.global_computation_id
            values["claimed-computation-version"] = str(token.version)
        values |= {name.replace("_", "-"): value for name, value in changes.items()}
        targets = [
            f"--duchy-computation-control-target={duchy}=127.0.0.1:{self.ports.get(duchy, 1)}" for duchy in DUCHIES
        ]
        return [*targets, *(f"--{name}={value}" for name, value in values.items() if value is not None)]

    def run(self, token: ComputationToken, **changes: str | None) -> None:
        """Work the claimed item and drain, in this process."""
        with self.mill(token, **changes) as (mill, item):
            mill.work_claimed(item)
            mill.drain()

    @contextmanager
    def mill(self, token: ComputationToken, **changes: str | None) -> Iterator[tuple[Mill, ClaimedItem]]:
        parser = argparse.ArgumentParser(allow_abbrev=False)
        cli.add_arguments(parser)
        arguments = parser.parse_args([self.wire.mill, *self.flags(token, **changes)])
        item, computation_type = cli._work_to_do(arguments)
        assert item is not None
        with ExitStack() as stack:
            yield cli._mill(arguments, computation_type, stack), item

    def start(self, arguments: list[str]) -> subprocess.Popen[str]:
        """A mill as a process of its own."""
        environment = {key: value for key, value in os.environ.items() if key != "HOSTNAME"}
        process = subprocess.Popen(
            [sys.executable, "-m", "gristmill", "mill", "llv2", *arguments],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pki.Identity]:
    directory = tmp_path_factory.mktemp("pki")
    return {name: pki.make(directory, name) for name in (*DUCHIES, "kingdom")}


@pytest.fixture
def wire() -> Wire:
    """Which protocol the computations of `world` follow; tests may ask for another, or for both."""
    return LLV2


@pytest.fixture
def world(
    request: pytest.FixtureRequest, tmp_path: Path, identities: dict[str, pki.Identity], wire: Wire
) -> Iterator[World]:
    duchy: str = getattr(request, "param", "worker1")
    (tmp_path / "all_root_certs.pem").write_bytes(b"".join(each.root_pem for each in identities.values()))
    info = DuchyCertConfig(
        duchies=[
            DuchyCertConfig.Duchy(
                duchy_id=name,
                computation_control_service_cert_host="localhost",
                root_certificate_skid=identities[name].skid,
            )
            for name in DUCHIES
        ]
    )
    (tmp_path / "duchy_cert_config.textproto").write_text(text_format.MessageToString(info))
    journal = Journal()
    internal, kingdom = InternalApi(journal), Kingdom(journal)
    peers = {"worker2": Peer(journal, 7, wire), "aggregator": Peer(journal, 5, wire)}
    servers: list[grpc.Server] = []
    ports: dict[str, int] = {}

    def serve(name: str, owner: str) -> grpc.Server:
        server = grpc.server(ThreadPoolExecutor(8))
        identity = identities[owner]
        credentials = grpc.ssl_server_credentials(
            [(identity.tls_key.read_bytes(), identity.tls_cert.read_bytes())],
            (tmp_path / "all_root_certs.pem").read_bytes(),
            require_client_auth=True,
        )
        ports[name] = server.add_secure_port("127.0.0.1:0", credentials)
        servers.append(server)
        return server

    own = serve("internal", duchy)
    internal_grpc.add_ComputationsServicer_to_server(internal, own)
    leases = Leases(journal, internal)
    if "leases" in request.fixturenames:
        leases_grpc.add_LeasesServicer_to_server(leases, own)
    system = serve("kingdom", "kingdom")
    computations_grpc.add_ComputationsServicer_to_server(kingdom, system)
    participants_grpc.add_ComputationParticipantsServicer_to_server(kingdom, system)
    logs_grpc.add_ComputationLogEntriesServicer_to_server(kingdom, system)
    for name, peer in peers.items():
        control_grpc.add_ComputationControlServicer_to_server(peer, serve(name, name))
    for server in servers:
        server.start()
    world = World(tmp_path, identities, journal, internal, kingdom, peers, ports, duchy, leases, wire)
    try:
        yield world
    finally:
        world.close()
        stopped: list[threading.Event] = [server.stop(0) for server in servers]
        for event in stopped:
            event.wait()


@pytest.fixture
def leases(world: World) -> Leases:
    """The same world, with an internal API that has our Leases service."""
    return world.leases
