from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from gristmill.observe import calls, logs, metrics
from gristmill.secret import Secret


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_carries_what_the_worker_bound(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True)
    structlog.contextvars.bind_contextvars(computation="c1", stage="SETUP_PHASE", attempt=2, mill="m")
    logs.logger("mill").info("kept", length=264)
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "kept"
    assert line["component"] == "mill"
    assert (line["computation"], line["stage"], line["attempt"], line["mill"]) == ("c1", "SETUP_PHASE", 2, "m")


def test_bytes_secrets_and_messages_never_reach_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True)
    message = health_pb2.HealthCheckRequest(service="MARKER")
    logs.logger("mill").error("odd", a=b"MARKER", b=[Secret(b"MARKER")], c=message, d={"e": bytearray(b"MARKER")})
    text = capsys.readouterr().err
    assert "MARKER" not in text
    assert "<6 bytes>" in text


def test_a_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (True, False):
        logs.configure(json=as_json)
        marker = "LOCAL" + "MARKER"
        try:
            raise ValueError(len(marker))
        except ValueError:
            logs.logger("mill").exception("failed")
        text = capsys.readouterr().err
        assert "ValueError" in text
        assert "LOCALMARKER" not in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_line_that_the_disk_cannot_take_is_lost_and_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        logs.configure(json=True)
        for _ in range(3):
            logs.logger("mill").info("x" * 10_000)
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # what is still in its buffer has to go somewhere


def test_a_lower_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="warning", json=True)
    logs.logger("mill").info("quiet")
    assert capsys.readouterr().err == ""


def test_the_endpoint_shows_the_existing_names_and_ours() -> None:
    metrics.lease_lost("LLV2", "SETUP_PHASE")  # before `serve`: measured by nobody
    with metrics.serve(0) as port:
        metrics.stage_finished("LLV2", "SETUP_PHASE", outcome="failed", reason="GM-4001", seconds=1.5)
        metrics.cryptography_ran("LLV2", "SETUP_PHASE", seconds=1.0, cpu_seconds=0.9)
        metrics.output_sent("LLV2", "SETUP_PHASE", duchy="worker1", seconds=0.1, length=198)
        metrics.stage_retried("LLV2", "SETUP_PHASE", reason="GM-3001")
        metrics.peer_answered("worker1", method="AdvanceComputation", code="OK", seconds=0.1)
        metrics.lease_renewed("LLV2", "SETUP_PHASE")
        metrics.lease_lost("LLV2", "SETUP_PHASE")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            page = answer.read().decode()
    for name in (
        "halo_cmm_computation_stage_crypto_time_seconds_sum",
        "halo_cmm_computation_stage_crypto_cpu_time_seconds_sum",
        "halo_cmm_computation_stage_time_seconds_sum",
        "halo_cmm_computation_stage_transmission_time_seconds_sum",
        'gristmill_stage_outcomes_total{halo_cmm_computation_stage="SETUP_PHASE"',
        "gristmill_stage_retries_total",
        'gristmill_peer_latency_seconds_count{code="OK",duchy="worker1"',
        "gristmill_lease_renewals_total",
        "gristmill_lease_losses_total",
    ):
        assert name in page


async def test_verbose_logging_names_calls_but_never_shows_a_body(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True)
    server = grpc.aio.server(interceptors=[calls.LoggedServer()])
    servicer = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    interceptors = calls.aio_client_interceptors()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=interceptors) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest(service=""))
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Check(health_pb2.HealthCheckRequest(service="MARKER"))
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=""))
        await watch.read()
        watch.cancel()
    await server.stop(10)  # seconds for the cancelled call to end, and to be logged
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    answered = [(line["method"].rsplit("/", 1)[1], line["code"]) for line in lines if line["event"] == "answered"]
    called = [(line["method"].rsplit("/", 1)[1], line["code"]) for line in lines if line["event"] == "called"]
    assert answered[0] == ("Check", "OK")
    assert ("Check", "NOT_FOUND") in answered
    assert ("Check", "NOT_FOUND") in called
    assert "Watch" in {method for method, _ in answered}
    assert "MARKER" not in str(lines)


def test_importing_the_metrics_imports_no_library_for_them() -> None:
    program = (
        "import sys, gristmill.observe.metrics, gristmill.observe.logs; print([m for m in sys.modules if 'telem' in m])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout.strip() == b"[]"
