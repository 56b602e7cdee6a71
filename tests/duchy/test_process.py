"""The services as processes, together and alone: they start, answer probes and callers, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from duchy.conftest import refusal
from duchy.facts import ID, computation
from duchy.stand_in import Kingdom
from gristmill.cli.main import main
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, aio_channel, client_credentials
from gristmill.trust.development import DevelopmentKeys
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub
from wfa.measurement.system.v1alpha.computation_control_service_pb2 import GetComputationStageRequest
from wfa.measurement.system.v1alpha.computation_control_service_pb2_grpc import ComputationControlStub


class Arguments:
    """Flags of worker1's processes, by group."""

    def __init__(self, keys: DevelopmentKeys, kingdom: Kingdom, directory: Path) -> None:
        party = keys.duchy("worker1")
        self.cert_host = party.cert_host
        self.identity = [
            f"--tls-cert-file={party.tls.certificate_file}",
            f"--tls-key-file={party.tls.key_file}",
            f"--cert-collection-file={party.tls.collection_file}",
            "--allow-development-certificates",
            "--duchy-name=worker1",
            f"--duchy-info-config={keys.duchy_cert_config_file}",
        ]
        self.kingdom = [
            f"--kingdom-system-api-target=127.0.0.1:{kingdom.port}",
            f"--kingdom-system-api-cert-host={keys.kingdom.cert_host}",
        ]
        self.storage = [f"--file-system-storage-directory={directory / 'blobs'}"]
        self.database = [
            f"--sqlite-database={directory / 'duchy.sqlite'}",
            f"--key-encryption-key-file={party.key_encryption_keyset_file}",
        ]
        self.setup = [f"--protocols-setup-config={party.protocols_setup_config_file}"]
        self.principals = [f"--authority-key-identifier-to-principal-map-file={keys.principal_map_file}"]
        self.server = ["--port=0", "--host=127.0.0.1", "--health-port=0", "--shutdown-grace-period-seconds=2"]

    def client(self, prefix: str, port: int) -> list[str]:
        return [f"--{prefix}-target=127.0.0.1:{port}", f"--{prefix}-cert-host={self.cert_host}"]


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that has to end with 0 after SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from gristmill.cli.main import main; sys.exit(main())",
        *arguments,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stderr is not None
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        said = await asyncio.wait_for(process.stderr.read(), 60)
        assert await process.wait() == 0, said.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_duchy_starts_answers_and_drains(keys: DevelopmentKeys, kingdom: Kingdom, tmp_path: Path) -> None:
    flags, health_port, me = Arguments(keys, kingdom, tmp_path), _free_port(), keys.duchy("worker1")
    groups = (flags.identity, flags.kingdom, flags.storage, flags.database, flags.setup, flags.principals)
    async with running("duchy", *chain(*groups), f"--health-port={health_port}") as process:
        ports = await said(process, "the duchy is up")
        credentials = client_credentials([read_certificate(me.root_file)], me.tls)
        target = Target(f"127.0.0.1:{ports['internal_api']}", me.cert_host)
        async with aio_channel(target, credentials) as channel:
            wanted = wire.GetComputationTokenRequest(global_computation_id=ID)
            refused = await refusal(ComputationsStub(channel).GetComputationToken(wanted))
            assert refused.code() is grpc.StatusCode.NOT_FOUND
        async with grpc.aio.insecure_channel(f"127.0.0.1:{health_port}") as channel:
            for service in ("", "wfa.measurement.internal.duchy.Computations"):
                request = health_pb2.HealthCheckRequest(service=service)
                health = await health_pb2_grpc.HealthStub(channel).Check(request)
                assert health.status == health_pb2.HealthCheckResponse.SERVING


async def test_each_service_runs_alone(keys: DevelopmentKeys, kingdom: Kingdom, tmp_path: Path) -> None:
    flags, peer = Arguments(keys, kingdom, tmp_path), keys.duchy("worker2")
    common = [*flags.identity, *flags.server]
    async with AsyncExitStack() as stack:

        async def start(command: str, *groups: list[str]) -> int:
            process = await stack.enter_async_context(running(command, *common, *chain(*groups)))
            return int((await said(process, "listening"))["port"])

        internal_port = await start("internal-api", flags.kingdom, flags.storage, flags.database)
        internal = flags.client("computations-service", internal_port)
        control_of_slots = await start("async-computation-control", internal)
        slots = flags.client("async-computation-control-service", control_of_slots)
        control_port, _, herald = await asyncio.gather(
            start("computation-control", internal, slots, flags.storage),
            start("requisition-fulfillment", internal, flags.kingdom, flags.storage, flags.principals),
            stack.enter_async_context(running("herald", *flags.identity, *internal, *flags.kingdom, *flags.setup)),
        )
        kingdom.say(computation())
        await said(herald, "handled")
        credentials = client_credentials([read_certificate(keys.duchy("worker1").root_file)], peer.tls)
        async with aio_channel(Target(f"127.0.0.1:{control_port}", flags.cert_host), credentials) as channel:
            stub = ComputationControlStub(channel)
            name = f"computations/{ID}/participants/worker1/stage"
            stage = await stub.GetComputationStage(GetComputationStageRequest(name=name))
            assert stage.liquid_legions_v2_stage.stage == 1


async def said(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """The first line of a process's log with this event."""
    assert process.stderr is not None
    lines = []
    while line := await asyncio.wait_for(process.stderr.readline(), 60):
        lines.append(line.decode())
        if f'"event": "{event}"' in lines[-1]:
            found: dict[str, Any] = json.loads(line)
            return found
    raise AssertionError("".join(lines))


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "command",
    ["duchy", "internal-api", "computation-control", "async-computation-control", "requisition-fulfillment", "herald"],
)
def test_a_missing_flag_ends_with_2(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 2
    assert "--tls-cert-file" in capsys.readouterr().err
