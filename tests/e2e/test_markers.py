"""No key, share, VID, nonce or register gets into a log, an error, a metric, a file name, or a file outside its place.

A measurement that succeeds and one that fails are run with every kind of logging on. Then everything that the processes
left behind is searched, but for the key directory and the data providers' own event files.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from e2e import secrets_of
from e2e.expected import WITHOUT_NOISE
from faults.scene import wait_until
from gristmill.consortium.consortium import DUCHIES, Consortium, Options
from gristmill.consortium.processes import free_ports
from gristmill.consumer.request import MeasurementRequest
from gristmill.edp.events import vid
from gristmill.errors import PermanentFailure
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(400)]

PROVIDERS = ("ewr", "jfk", "lga")
PROCESSES = ("kingdom", *DUCHIES, *(f"{duchy} mill 1" for duchy in DUCHIES), *PROVIDERS)
KINDS = ("IDs of people", "VIDs", "nonces", "key files", "shares of the encryption key", "registers")

ALLOWED = {"nonces": "kingdom/kingdom.sqlite"}
"""Once a requisition is fulfilled the kingdom is told its nonce and passes it on to every duchy."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left to search, and what to search for."""

    haystack: dict[str, bytes]
    secrets: dict[str, list[bytes]]
    error: str


@pytest.fixture(scope="module")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remains]:
    directory = tmp_path_factory.mktemp("markers")
    people = [f"MARKER{secrets.token_hex(8)}" for _ in range(40)]
    rows = "".join(f"2013-01-01,{person}\n" for person in people)
    ports = dict(zip(PROCESSES, free_ports(len(PROCESSES)), strict=True))
    loud = ["--log-level=debug", "--debug-verbose-grpc-server-logging", "--debug-verbose-grpc-client-logging"]
    flags = {name: [*loud, f"--metrics-port={port}"] for name, port in ports.items()}
    nonces = [secrets.randbits(63) | 1 << 62 for _ in range(9)]
    left = iter(nonces)
    patch = pytest.MonkeyPatch()
    patch.setattr("gristmill.consumer.request.secrets.randbits", lambda _: next(left))
    events = dict.fromkeys(PROVIDERS, "date,tailnum\n" + rows)
    with Consortium(directory, events, Options(flags=flags)) as consortium:
        _succeed(consortium)
        error, shares = _fail(consortium)
        metrics = {f"metrics of {name}": _page(port) for name, port in ports.items()}
    patch.undo()
    vids = [vid(person) for person in people]
    haystack = metrics | {"error": error.encode()}
    for path in directory.rglob("*"):
        inside = path.relative_to(directory)
        haystack[f"name of {inside}"] = str(inside).encode()
        if path.is_file() and inside.parts[0] != "keys" and path.name != "events.csv":
            haystack[str(inside)] = path.read_bytes()
    wanted = {
        "IDs of people": [person.encode() for person in people],
        "VIDs": [number.to_bytes(8, order) for number in vids for order in ("big", "little")],
        "nonces": [number.to_bytes(8, order) for number in nonces for order in ("big", "little")],
        "key files": list(secrets_of.key_files(directory / "keys")),
        "shares of the encryption key": shares,
        "registers": list(secrets_of.registers(vids)),
    }
    yield Remains(haystack, wanted, error)
    shutil.rmtree(directory)


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_found_anywhere(remains: Remains, kind: str) -> None:
    found = {
        (place, kind)
        for secret in remains.secrets[kind]
        for shape in secrets_of.shapes(secret)
        for place, content in remains.haystack.items()
        if shape in content and not place.startswith(ALLOWED.get(kind, "nowhere"))
    }
    assert not found


def test_there_was_something_to_find_and_somewhere_to_look(remains: Remains) -> None:
    assert all(remains.secrets[kind] for kind in KINDS)
    assert all(len(secret) >= 8 for kind in KINDS for secret in remains.secrets[kind])
    assert len(remains.secrets["shares of the encryption key"]) == len(DUCHIES)
    names = remains.haystack.keys()
    assert {f"logs/{name.replace(' ', '-')}.log" for name in PROCESSES} <= names
    assert b"AdvanceComputation" in remains.haystack["logs/worker1.log"]
    assert b"halo_cmm_computation_stage_time" in remains.haystack["metrics of worker1 mill 1"]
    assert "worker1" in remains.error


def _succeed(consortium: Consortium) -> None:
    """Measure by both Liquid Legions protocols."""
    with consortium.consumer() as consumer:
        both = _request(consortium)
        names = [consumer.create(request) for request in (both, replace(both, frequency=None))]
        for name in names:
            consumer.wait(name, timeout_seconds=120)


def _fail(consortium: Consortium) -> tuple[str, list[bytes]]:
    """Measure with a requisition that was damaged on worker1's disk; what the consumer is told, and the key shares."""
    (mill,) = [child for child in consortium.processes.children if child.name == "worker1 mill 1"]
    requisitions = consortium.wiring.blobs("worker1") / "requisitions"
    before = _blobs(requisitions)
    with consortium.consumer() as consumer, consortium.inspection("worker1") as inspection:
        name = consumer.create(_request(consortium))
        stages = ("WAIT_REQUISITIONS_AND_KEY_SET", "CONFIRMATION_PHASE")
        wait_until(lambda: any(each.stage in stages for each in inspection.computations()) or None, seconds=60)
        os.kill(mill.pid, signal.SIGSTOP)
        for blob in wait_until(lambda: _blobs(requisitions) - before or None, seconds=60):
            damaged = bytearray(blob.read_bytes())
            damaged[100] ^= 1
            blob.write_bytes(damaged)
        shares = list(secrets_of.el_gamal_keys(consortium, name.rpartition("/")[2]))
        os.kill(mill.pid, signal.SIGCONT)
        with pytest.raises(PermanentFailure) as failure:
            consumer.wait(name, timeout_seconds=120)
        assert consumer.get(name).state == Measurement.FAILED
    return str(failure.value), shares


def _request(consortium: Consortium) -> MeasurementRequest:
    providers = tuple(party.resource for party in consortium.keys.data_providers)
    return MeasurementRequest(providers, WITHOUT_NOISE, WITHOUT_NOISE, maximum_frequency=2)


def _blobs(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")}


def _page(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        content: bytes = answer.read()
    return content
