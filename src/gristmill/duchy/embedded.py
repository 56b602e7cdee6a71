"""All services of one duchy in one process: four servers on one loop, and the herald in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.duchy.herald_channels import open_herald
from gristmill.duchy.internal_api import serve_internal_api
from gristmill.duchy.listening import Drain, Listen
from gristmill.duchy.servers import serve_async_control, serve_control, serve_fulfillment
from gristmill.observe.logs import logger
from gristmill.protocols.setup import read_setup
from gristmill.trust.certificates import Roots
from gristmill.trust.channels import Target
from gristmill.trust.identity import read_duchies, require_duchy

if TYPE_CHECKING:
    from gristmill.blobs import BlobStore
    from gristmill.duchy.herald import Herald
    from gristmill.secret import Secret
    from gristmill.store.sealing import SealsColumns
    from gristmill.trust.files import TlsFiles

log = logger("duchy")


@dataclass(frozen=True, slots=True)
class Ports:
    """Of the four servers. 0: any free one."""

    internal_api: int = 0
    async_computation_control: int = 0
    computation_control: int = 0
    requisition_fulfillment: int = 0


@dataclass(frozen=True, slots=True)
class DuchySettings:
    """What a whole duchy needs, but for its mills."""

    duchy: str
    tls: TlsFiles
    info_file: Path
    setup_file: Path
    principals_file: Path
    kingdom: Target
    database: Secret
    sealer: SealsColumns
    blobs: BlobStore
    ports: Ports = field(default_factory=Ports)
    host: str = "127.0.0.1"
    health_port: int | None = None
    grace: timedelta = timedelta(seconds=1)
    require_client_certificate: bool = True
    verbose: bool = False
    verbose_client: bool = False
    reference: str = "herald"
    deletable: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class RunningDuchy:
    """The bound ports, and what becomes done with an error if the herald ends by itself."""

    ports: Ports
    herald: asyncio.Future[None]


@asynccontextmanager
async def serve_duchy(settings: DuchySettings) -> AsyncIterator[RunningDuchy]:
    """Serve until the block ends. Raises ConfigurationError."""
    tls, duchy = settings.tls, settings.duchy
    roots = Roots.read(tls.collection_file, allow_development=tls.allow_development)
    require_duchy(settings.info_file, duchy)
    me = read_duchies(settings.info_file, roots)[duchy]
    near = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "[::]") else settings.host  # noqa: S104
    where = Listen(
        host=settings.host,
        drain=Drain(settings.grace.total_seconds()),
        require_client_certificate=settings.require_client_certificate,
        verbose=settings.verbose,
    )
    ports = settings.ports
    async with AsyncExitStack() as running:
        internal_port = await running.enter_async_context(
            serve_internal_api(
                replace(where, port=ports.internal_api, health_port=settings.health_port),
                tls,
                duchy=duchy,
                database=settings.database,
                sealer=settings.sealer,
                kingdom=settings.kingdom,
                info_file=settings.info_file,
                blobs=settings.blobs,
            )
        )
        internal_api = Target(f"{near}:{internal_port}", me.cert_host)
        async_port = await running.enter_async_context(
            serve_async_control(
                replace(where, port=ports.async_computation_control), tls, duchy=duchy, internal_api=internal_api
            )
        )
        control_port = await running.enter_async_context(
            serve_control(
                replace(where, port=ports.computation_control),
                tls,
                duchy=duchy,
                info_file=settings.info_file,
                internal_api=internal_api,
                async_control=Target(f"{near}:{async_port}", me.cert_host),
                blobs=settings.blobs,
            )
        )
        fulfillment_port = await running.enter_async_context(
            serve_fulfillment(
                replace(where, port=ports.requisition_fulfillment),
                tls,
                duchy=duchy,
                principals_file=settings.principals_file,
                internal_api=internal_api,
                kingdom=settings.kingdom,
                blobs=settings.blobs,
                info_file=settings.info_file,
            )
        )
        herald = running.enter_context(
            open_herald(
                tls,
                duchy=duchy,
                setup=read_setup(settings.setup_file, duchy),
                internal_api=internal_api,
                kingdom=settings.kingdom,
                info_file=settings.info_file,
                reference=settings.reference,
                deletable=settings.deletable,
                verbose=settings.verbose_client,
            )
        )
        ended = await running.enter_async_context(in_thread(herald))
        bound = Ports(internal_port, async_port, control_port, fulfillment_port)
        log.info("the duchy is up", duchy=duchy, internal_api=internal_port, computation_control=control_port,
                 async_computation_control=async_port, requisition_fulfillment=fulfillment_port)  # fmt: skip
        yield RunningDuchy(bound, ended)


@asynccontextmanager
async def in_thread(herald: Herald) -> AsyncIterator[asyncio.Future[None]]:
    """Run a herald beside the loop until the block ends; the future is done when the herald is."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not ended.done():
            ended.set_exception(error) if error else ended.set_result(None)

    def run() -> None:
        try:
            herald.run()
        except BaseException as error:
            loop.call_soon_threadsafe(settle, error)
        else:
            loop.call_soon_threadsafe(settle, None)

    thread = threading.Thread(target=run, name="herald", daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        herald.stop()
        await asyncio.to_thread(thread.join)
        await asyncio.sleep(0)
        if ended.done() and not ended.cancelled():
            ended.exception()  # seen, also where nobody asked
