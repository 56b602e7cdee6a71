"""`gristmill duchy` as a process: starts, answers probes and callers, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from duchy.conftest import refusal
from duchy.facts import ID
from duchy.stand_in import Kingdom
from gristmill.cli.main import main
from gristmill.trust.certificates import read_certificate
from gristmill.trust.channels import Target, aio_channel, client_credentials
from gristmill.trust.development import DevelopmentKeys
from wfa.measurement.internal.duchy import computations_service_pb2 as wire
from wfa.measurement.internal.duchy.computations_service_pb2_grpc import ComputationsStub


def arguments(keys: DevelopmentKeys, kingdom: Kingdom, directory: Path) -> list[str]:
    party = keys.duchy("worker1")
    return [
        "duchy",
        f"--tls-cert-file={party.tls.certificate_file}",
        f"--tls-key-file={party.tls.key_file}",
        f"--cert-collection-file={party.tls.collection_file}",
        "--allow-development-certificates",
        "--duchy-name=worker1",
        f"--duchy-info-config={keys.duchy_cert_config_file}",
        f"--kingdom-system-api-target=127.0.0.1:{kingdom.port}",
        f"--kingdom-system-api-cert-host={keys.kingdom.cert_host}",
        f"--sqlite-database={directory / 'duchy.sqlite'}",
        f"--file-system-storage-directory={directory / 'blobs'}",
        f"--key-encryption-key-file={party.key_encryption_keyset_file}",
        f"--protocols-setup-config={party.protocols_setup_config_file}",
        f"--authority-key-identifier-to-principal-map-file={keys.principal_map_file}",
        "--shutdown-grace-period-seconds=2",
    ]


async def test_a_duchy_starts_answers_and_drains(keys: DevelopmentKeys, kingdom: Kingdom, tmp_path: Path) -> None:
    health_port = _free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; from gristmill.cli.main import main; sys.exit(main())",
        *arguments(keys, kingdom, tmp_path),
        f"--health-port={health_port}",
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        ports = await asyncio.wait_for(_ports(process), 60)
        me = keys.duchy("worker1")
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
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        await asyncio.wait_for(process.stderr.read(), 30)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ports(process: asyncio.subprocess.Process) -> dict[str, int]:
    assert process.stderr is not None
    lines = []
    async for line in process.stderr:
        lines.append(line)
        if b"the duchy is up" in line:
            found: dict[str, int] = json.loads(line)
            return found
    raise AssertionError(b"".join(lines).decode())


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
