"""Faults at random moments under load: every measurement is right, no stage is done twice, nothing hangs."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from conformance.store import postgres
from e2e.expected import providers, some_departures
from faults.campaign import CARELESS, Campaign, Kind
from faults.load import Load
from faults.proxied import PostgresDatabases, ProxiedConsortium
from faults.proxy import Proxy, proxying
from faults.report import Findings, findings, write
from gristmill.consortium.consortium import DUCHIES, Options
from gristmill.consortium.processes import COMMAND

pytestmark = pytest.mark.xdist_group("faults")

REPORT = Path(__file__).parents[2] / "benchmarks" / "faults.json"
SOME = providers(some_departures(60))
LEASE = timedelta(seconds=3)
MILLS = (COMMAND, COMMAND, (CARELESS,))
ALL_CARELESS = ((CARELESS,), (CARELESS,), (CARELESS,))
SIX = {Kind.MILL_KILLED: 2, Kind.SERVER_KILLED: 2, Kind.KINGDOM_KILLED: 2}
ALL = {
    Kind.MILL_KILLED: 60,
    Kind.SERVER_KILLED: 20,
    Kind.KINGDOM_KILLED: 20,
    Kind.MILL_STOPPED: 50,
    Kind.REPLY_LOST: 30,
    Kind.CONNECTION_RESET: 30,
    Kind.SLOW: 10,
    Kind.AWAY: 10,
    Kind.AWAY_A_MINUTE: 1,
    Kind.PARTED_A_MINUTE: 1,
    Kind.SLOW_A_MINUTE: 1,
    Kind.BEHIND_A_MINUTE: 1,
}
WOKEN = {Kind.MILL_WOKEN: 20}


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with proxying() as running:
        yield running


@pytest.fixture
def databases(proxy: Proxy) -> Iterator[PostgresDatabases]:
    """Three empty ones on a Postgres of their own, reached over TCP through the proxy."""
    with postgres.running() as url:
        link = proxy.link("postgres", postgres.socket_of(url))
        names = {duchy: make_url(asyncio.run(postgres.new_database(url))).database or "" for duchy in DUCHIES}
        yield PostgresDatabases(link.port, names)


def run(
    directory: Path,
    proxy: Proxy,
    plan: dict[Kind, int],
    *,
    databases: PostgresDatabases | None = None,
    at_once: int,
    mean_gap: float,
    mills: Sequence[tuple[str, ...]] = MILLS,
) -> Findings:
    seed = int(os.environ.get("GRISTMILL_FAULTS_SEED") or secrets.randbelow(10**6))
    print(f"GRISTMILL_FAULTS_SEED={seed}")
    options = Options(lease=LEASE, parallelism=1, mills=0)
    consortium = ProxiedConsortium(directory, SOME, options, proxy, databases)
    with consortium, Campaign(consortium, seed) as campaign:
        began, load = time.monotonic(), Load(consortium, SOME, at_once, seed)
        campaign.start_mills(mills)
        load.start()
        campaign.deal(plan, mean_gap=mean_gap)
        load.finish(campaign.tend)
        while not campaign.all_up():
            campaign.tend()
        seconds = time.monotonic() - began
        database = "SQLite" if databases is None else "Postgres"
        return findings(campaign, load, database=database, plan=plan, seconds=seconds)


@pytest.mark.timeout(180)
def test_measurements_survive_six_kills_of_mills_servers_and_the_kingdom(tmp_path: Path, proxy: Proxy) -> None:
    found = run(tmp_path, proxy, SIX, at_once=2, mean_gap=1.0)
    assert found.problems == []
    assert found.figures["measurements"]["outcomes"]["right"] >= 2


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_measurements_survive_a_campaign_of_faults_on_sqlite(tmp_path: Path, proxy: Proxy) -> None:
    found = run(tmp_path, proxy, ALL, at_once=5, mean_gap=1.2)
    write(REPORT, "sqlite", found.figures)
    assert found.problems == []


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_measurements_survive_a_campaign_of_faults_on_postgres(
    tmp_path: Path, proxy: Proxy, databases: PostgresDatabases
) -> None:
    found = run(tmp_path, proxy, ALL, databases=databases, at_once=5, mean_gap=1.2)
    write(REPORT, "postgres", found.figures)
    assert found.problems == []


@pytest.mark.long
def test_careless_mills_woken_while_another_has_their_stage_write_nothing_on_sqlite(
    tmp_path: Path, proxy: Proxy
) -> None:
    found = run(tmp_path, proxy, WOKEN, at_once=5, mean_gap=0.5, mills=ALL_CARELESS)
    write(REPORT, "sqlite, careless mills", found.figures)
    assert found.problems == []
    assert found.figures["stages"]["late_writes_refused_by_the_store"] > 0


@pytest.mark.long
def test_careless_mills_woken_while_another_has_their_stage_write_nothing_on_postgres(
    tmp_path: Path, proxy: Proxy, databases: PostgresDatabases
) -> None:
    found = run(tmp_path, proxy, WOKEN, databases=databases, at_once=5, mean_gap=0.5, mills=ALL_CARELESS)
    write(REPORT, "postgres, careless mills", found.figures)
    assert found.problems == []
    assert found.figures["stages"]["late_writes_refused_by_the_store"] > 0
