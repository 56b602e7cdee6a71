"""`gristmill kingdom` and `gristmill edp` as processes of their own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gristmill.consumer.client import Consumer
from gristmill.consumer.keys import ConsumerKeys
from gristmill.consumer.request import MeasurementRequest, Privacy
from gristmill.trust.channels import Target
from gristmill.trust.development import DevelopmentKeys, Party

COMMAND = (sys.executable, "-m", "gristmill")


def tls(party: Party) -> list[str]:
    files = party.tls
    return [
        f"--tls-cert-file={files.certificate_file}",
        f"--tls-key-file={files.key_file}",
        f"--cert-collection-file={files.collection_file}",
        "--allow-development-certificates",
    ]


def edp(keys: DevelopmentKeys, events: Path, port: int) -> list[str]:
    own = keys.data_provider("edp1")
    return [
        "edp",
        *tls(own),
        f"--data-provider={own.resource}",
        f"--private-keyset-file={own.private_keyset_file}",
        f"--consent-signaling-certificate-resource-name={own.certificate}",
        f"--consent-signaling-certificate-der-file={own.signing_certificate_file}",
        f"--consent-signaling-private-key-der-file={own.signing_key_file}",
        f"--duchy-info-config={keys.duchy_cert_config_file}",
        f"--authority-key-identifier-to-principal-map-file={keys.principal_map_file}",
        f"--events-file={events}",
        f"--kingdom-public-api-target=127.0.0.1:{port}",
        f"--kingdom-public-api-cert-host={keys.kingdom.cert_host}",
        f"--requisition-fulfillment-target=worker1=127.0.0.1:{port}",
        "--polling-interval=100ms",
    ]


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def line(running: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """The first line of the process's log that matches."""
    assert running.stderr is not None
    async with asyncio.timeout(20):
        async for text in running.stderr:
            if found := re.search(pattern, text.decode()):
                return found
    raise AssertionError(f"no line matches {pattern}")


async def test_both_commands_start_and_end_on_sigterm(keys: DevelopmentKeys, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("id\n1\n2\n")
    kingdom_flags = [f"--consortium-directory={keys.directory}", f"--sqlite-database={tmp_path / 'k.sqlite'}"]
    async with process("kingdom", *tls(keys.kingdom), *kingdom_flags, "--port=0") as kingdom:
        port = int((await line(kingdom, r'"port": (\d+)'))[1])
        with Consumer(ConsumerKeys.of(keys), Target(f"127.0.0.1:{port}", keys.kingdom.cert_host)) as consumer:
            providers = tuple(provider.resource for provider in keys.data_providers)
            request = MeasurementRequest(providers, reach=Privacy(1, 1e-5))
            assert await asyncio.to_thread(consumer.create, request)
        async with process(*edp(keys, events, port)) as provider:
            await line(provider, "polling")
            provider.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(provider.wait(), 20) == 0
        kingdom.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(kingdom.wait(), 20) == 0


@pytest.mark.parametrize("flag", ["--no-such-flag=1", "--llv2-noise-mechanism=geometric", "--llv2-decay-rate=0"])
async def test_a_wrong_flag_ends_the_kingdom_with_2(keys: DevelopmentKeys, tmp_path: Path, flag: str) -> None:
    kingdom_flags = [f"--consortium-directory={keys.directory}", f"--sqlite-database={tmp_path / 'k.sqlite'}"]
    async with process("kingdom", *tls(keys.kingdom), *kingdom_flags, flag) as kingdom:
        assert await asyncio.wait_for(kingdom.wait(), 20) == 2


async def test_development_roots_are_refused_unless_allowed(keys: DevelopmentKeys, tmp_path: Path) -> None:
    kingdom_flags = [f"--consortium-directory={keys.directory}", f"--sqlite-database={tmp_path / 'k.sqlite'}"]
    async with process("kingdom", *tls(keys.kingdom)[:3], *kingdom_flags) as kingdom:
        assert await line(kingdom, "--allow-development-certificates")
        assert await asyncio.wait_for(kingdom.wait(), 20) == 2
