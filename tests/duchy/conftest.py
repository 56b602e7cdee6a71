from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from duchy.stand_in import Kingdom, serve_kingdom
from gristmill.blobs import LocalBlobs
from gristmill.duchy.embedded import DuchySettings, RunningDuchy, serve_duchy
from gristmill.secret import Secret
from gristmill.trust import development
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, aio_channel, channel, client_credentials
from gristmill.trust.development import DevelopmentKeys, Party
from gristmill.trust.sealing import Sealer


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentKeys:
    directory = tmp_path_factory.mktemp("keys")
    directory.chmod(0o700)
    return development.make(
        directory / "pki", duchies=["worker1", "worker2", "aggregator"], data_providers=["edp1", "edp2"]
    )


@pytest.fixture
async def kingdom(keys: DevelopmentKeys) -> AsyncIterator[Kingdom]:
    async with serve_kingdom(keys) as serving:
        yield serving


class Duchy:
    """A running duchy, and channels to it as whoever one likes to be."""

    def __init__(self, keys: DevelopmentKeys, name: str, running: RunningDuchy, blobs: LocalBlobs, root: Path) -> None:
        self.keys, self.name, self.running, self.blobs, self.blob_root = keys, name, running, blobs, root
        self._channels: list[grpc.aio.Channel] = []
        self._synchronous: list[grpc.Channel] = []

    def channel(self, server: str, party: Party | None = None) -> grpc.aio.Channel:
        """To one of its servers; by default with its own certificate."""
        opened = aio_channel(self.target(server), self._credentials(party))
        self._channels.append(opened)
        return opened

    def synchronous_channel(self, server: str, party: Party | None = None) -> grpc.Channel:
        """The same for calls that stream requests: see streams.py."""
        opened = channel(self.target(server), self._credentials(party))
        self._synchronous.append(opened)
        return opened

    def target(self, server: str) -> Target:
        return Target(f"127.0.0.1:{getattr(self.running.ports, server)}", self.keys.duchy(self.name).cert_host, 10)

    def _credentials(self, party: Party | None) -> grpc.ChannelCredentials:
        me = self.keys.duchy(self.name)
        return client_credentials([read_certificate(me.root_file)], (party or me).tls)

    def files(self, prefix: str) -> list[Path]:
        """Every file below a key space, temporary ones included."""
        return sorted(path for path in (self.blob_root / prefix).rglob("*") if path.is_file())

    async def close(self) -> None:
        for each in self._synchronous:
            each.close()
        for opened in self._channels:
            await opened.close()


StartDuchy = Callable[..., Awaitable[Duchy]]


@pytest.fixture
async def start(keys: DevelopmentKeys, kingdom: Kingdom, tmp_path: Path) -> AsyncIterator[StartDuchy]:
    """Starts a whole duchy; starting it again with the same name finds its database."""
    async with AsyncExitStack() as stack:

        async def start_one(
            name: str, stack: AsyncExitStack = stack, directory: Path = tmp_path, **changes: Any
        ) -> Duchy:
            party = keys.duchy(name)
            blobs = LocalBlobs(directory / name / "blobs")
            settings = DuchySettings(
                duchy=name,
                tls=party.tls,
                info_file=keys.duchy_cert_config_file,
                setup_file=party.protocols_setup_config_file,
                principals_file=keys.principal_map_file,
                kingdom=Target(f"127.0.0.1:{kingdom.port}", keys.kingdom.cert_host),
                database=Secret(f"sqlite:///{directory / name / 'duchy.sqlite'}".encode()),
                sealer=Sealer.read(party.key_encryption_keyset_file),
                blobs=blobs,
                **changes,
            )
            running = await stack.enter_async_context(serve_duchy(settings))
            duchy = Duchy(keys, name, running, blobs, directory / name / "blobs")
            stack.push_async_callback(duchy.close)
            return duchy

        yield start_one


async def eventually(holds: Callable[[], Awaitable[bool]], *, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it never came to pass"
        await asyncio.sleep(0.02)


async def refusal(call: Any) -> Any:
    """The error of a call by either kind of client; it has `code()` and `details()`."""
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return caught.value
