"""The metrics of a process, on a Prometheus endpoint.

Names and attributes that the existing system has are kept (`halo_cmm.*`, seconds); ours begin with `gristmill.`.
Nothing is measured until `serve` is called, and importing this module imports no metrics library. Attributes are stage
names, duchy IDs and reasons from a fixed list: never an ID of a computation or a value out of one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, MeterProvider, Observation

_SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


@dataclass(frozen=True, slots=True)
class _Instruments:
    crypto_time: Histogram
    crypto_cpu_time: Histogram
    stage_time: Histogram
    transmission_time: Histogram
    outcomes: Counter
    retries: Counter
    peer_latency: Histogram
    bytes_sent: Counter
    lease_renewals: Counter
    lease_losses: Counter


_instruments: _Instruments | None = None
_last_heard: float | None = None


@contextmanager
def serve(port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Measure, and answer `GET /metrics` on `host:port` until the block ends; gives the bound port (0: any)."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from prometheus_client import start_http_server

    global _instruments
    provider = MeterProvider([PrometheusMetricReader()], Resource.create({"service.name": "gristmill"}))
    server, thread = start_http_server(port, host)
    _instruments = _make_instruments(provider)
    try:
        yield server.server_port
    finally:
        _instruments = None
        server.shutdown()
        server.server_close()
        thread.join()
        provider.shutdown()


def stage_finished(computation_type: str, stage: str, *, outcome: str, reason: str = "", seconds: float) -> None:
    """One attempt at a stage has ended: `outcome` is succeeded, failed, put_back or lost; `reason` an error code."""
    if _instruments:
        attributes = _stage(computation_type, stage)
        _instruments.stage_time.record(seconds, attributes)
        _instruments.outcomes.add(1, {**attributes, "outcome": outcome, "reason": reason})


def cryptography_ran(computation_type: str, stage: str, *, seconds: float, cpu_seconds: float) -> None:
    """A stage's native function has returned."""
    if _instruments:
        attributes = _stage(computation_type, stage)
        _instruments.crypto_time.record(seconds, attributes)
        _instruments.crypto_cpu_time.record(cpu_seconds, attributes)


def output_sent(computation_type: str, stage: str, *, duchy: str, seconds: float, length: int) -> None:
    """A stage's output of `length` bytes has reached `duchy`."""
    if _instruments:
        attributes = _stage(computation_type, stage)
        _instruments.transmission_time.record(seconds, attributes)
        _instruments.bytes_sent.add(length, {**attributes, "duchy": duchy})


def stage_retried(computation_type: str, stage: str, *, reason: str) -> None:
    """A stage, or a call inside it, is tried again because of the error with code `reason`."""
    if _instruments:
        _instruments.retries.add(1, {**_stage(computation_type, stage), "reason": reason})


def peer_answered(duchy: str, *, method: str, code: str, seconds: float) -> None:
    """`duchy` has answered `method` with the status `code`."""
    if _instruments:
        _instruments.peer_latency.record(seconds, {"duchy": duchy, "method": method, "code": code})


def lease_renewed(computation_type: str, stage: str) -> None:
    """The lease of the running stage was extended."""
    if _instruments:
        _instruments.lease_renewals.add(1, _stage(computation_type, stage))


def lease_lost(computation_type: str, stage: str) -> None:
    """The running stage belongs to another mill now."""
    if _instruments:
        _instruments.lease_losses.add(1, _stage(computation_type, stage))


def kingdom_heard() -> None:
    """The kingdom's stream has brought a token; how long ago that is becomes `gristmill.herald.token.age`."""
    global _last_heard
    _last_heard = time.monotonic()


def _token_age(_options: CallbackOptions) -> Iterator[Observation]:
    from opentelemetry.metrics import Observation

    if _last_heard is not None:
        yield Observation(time.monotonic() - _last_heard)


def _stage(computation_type: str, stage: str) -> dict[str, str]:
    return {"halo_cmm.computation.type": computation_type, "halo_cmm.computation.stage": stage}


def _make_instruments(provider: MeterProvider) -> _Instruments:
    meter = provider.get_meter("gristmill")

    def seconds(name: str, description: str) -> Histogram:
        return meter.create_histogram(
            name, unit="s", description=description, explicit_bucket_boundaries_advisory=_SECONDS
        )

    meter.create_observable_gauge(
        "gristmill.herald.token.age", [_token_age], unit="s", description="Time since the kingdom last said something"
    )
    return _Instruments(
        crypto_time=seconds("halo_cmm.computation.stage.crypto.time", "Wall-clock time of a stage's cryptography"),
        crypto_cpu_time=seconds("halo_cmm.computation.stage.crypto.cpu.time", "CPU time of a stage's cryptography"),
        stage_time=seconds("halo_cmm.computation.stage.time", "Wall-clock time of one attempt at a stage"),
        transmission_time=seconds("halo_cmm.computation.stage.transmission.time", "Time to send a stage's output"),
        outcomes=meter.create_counter("gristmill.stage.outcomes", description="Attempts at stages by how they ended"),
        retries=meter.create_counter("gristmill.stage.retries", description="Stages and calls tried again by reason"),
        peer_latency=seconds("gristmill.peer.latency", "Time until a peer duchy answered"),
        bytes_sent=meter.create_counter("gristmill.peer.sent", unit="By", description="Bytes delivered to peers"),
        lease_renewals=meter.create_counter("gristmill.lease.renewals", description="Leases extended"),
        lease_losses=meter.create_counter("gristmill.lease.losses", description="Leases lost to another mill"),
    )
