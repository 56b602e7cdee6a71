"""One gRPC server: where it listens, who may connect, its health service, and how it ends."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc

from gristmill.duchy.status import Answers
from gristmill.errors import AddressTaken
from gristmill.observe.logs import logger
from gristmill.trust.channels import SERVER_OPTIONS, server_credentials

if TYPE_CHECKING:
    from cryptography import x509

    from gristmill.trust.files import TlsFiles

log = logger("duchy")

Register = Callable[[Any], None]
"""Adds a servicer to a server."""


@dataclass(slots=True)
class Drain:
    """Time to finish what is being answered, shared by a process's servers: it runs from the first that stops."""

    seconds: float = 1.0
    _ends: float | None = None

    def left(self) -> float:
        if self._ends is None:
            self._ends = time.monotonic() + self.seconds
        return max(0.0, self._ends - time.monotonic())


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens. Port 0: any free one. `health_port` None: no health service."""

    port: int = 0
    host: str = "127.0.0.1"
    health_port: int | None = None
    drain: Drain = field(default_factory=Drain)
    require_client_certificate: bool = True
    verbose: bool = False


@asynccontextmanager
async def listening(
    where: Listen,
    tls: TlsFiles,
    roots: Collection[x509.Certificate],
    register: Sequence[Register],
    *,
    passed: frozenset[grpc.StatusCode] = frozenset(),
) -> AsyncIterator[int]:
    """Serve until the block ends, then drain; gives the bound port.

    Args:
        roots: only clients whose certificate one of these issued can connect.
        register: functions that add a servicer to the server.
        passed: statuses of failed calls to other services that callers get as they are.
    """
    interceptors: list[grpc.aio.ServerInterceptor] = [Answers(passed)]
    if where.verbose:
        from gristmill.observe.calls import LoggedServer

        interceptors.insert(0, LoggedServer())
    server = grpc.aio.server(interceptors=interceptors, options=SERVER_OPTIONS)
    names = _Names()
    for add in register:
        add(server)
        add(names)
    credentials = server_credentials(tls, roots, require_client_certificate=where.require_client_certificate)
    port = _bind(lambda address: server.add_secure_port(address, credentials), where.host, where.port)
    await server.start()
    try:
        async with _health(where, names.found):
            yield port
    finally:
        await server.stop(where.drain.left())


@asynccontextmanager
async def _health(where: Listen, services: Sequence[str]) -> AsyncIterator[None]:
    """grpc.health.v1 in plaintext on a port of its own, as probes expect it; SERVING for each service and the whole."""
    if where.health_port is None:
        yield
        return
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

    servicer = health.aio.HealthServicer()
    server = grpc.aio.server(options=SERVER_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = _bind(server.add_insecure_port, where.host, where.health_port)
    for name in ("", *services):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    await server.start()
    log.info("health service", port=port)
    try:
        yield
    finally:
        await servicer.enter_graceful_shutdown()
        await server.stop(0)


class _Names:
    """Stands where a server would, to learn which services are added to it."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.ServiceRpcHandler]) -> None:
        self.found += [handler.service_name() for handler in handlers]

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """The same services once more."""


def _bind(add: Callable[[str], int], host: str, port: int) -> int:
    try:
        return add(f"{host}:{port}")
    except RuntimeError:
        raise AddressTaken(f"port {port} of {host} cannot be bound", cure="Choose another port.") from None
