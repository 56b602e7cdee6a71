"""No seed, private key, share or VID of share shuffle gets into a log, an error, a metric, or a file outside its place.

Like test_markers.py: a measurement that succeeds and one that fails, with every kind of logging on; then all that the
processes left behind is searched.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
from sqlalchemy import text

from e2e import secrets_of
from e2e.expected import WITHOUT_NOISE
from faults.scene import wait_until
from gristmill.consortium.consortium import Consortium, Options
from gristmill.consortium.processes import Child
from gristmill.consumer.request import MeasurementRequest
from gristmill.edp.events import EventFile
from gristmill.edp.population import Population
from gristmill.errors import PermanentFailure
from gristmill.measure.method import Shares
from gristmill.secret import Secret
from gristmill.store import open_store
from gristmill.trust.hybrid import PrivateKeyset
from gristmill.trust.sealing import Sealer, WrappedKey
from wfa.frequency_count.frequency_vector_pb2 import FrequencyVector
from wfa.measurement.api.v2alpha.crypto_pb2 import SignedMessage
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement
from wfa.measurement.api.v2alpha.random_seed_pb2 import RandomSeed
from wfa.measurement.internal.duchy.computation_token_pb2 import ComputationToken

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

WORKERS = ("worker1", "worker2")
FIRST_VID = 0x2B3C4D5E
PEOPLE = Population([(FIRST_VID, FIRST_VID + 3999)])
SEEN = {name: range(FIRST_VID + at, FIRST_VID + 4000, 7) for at, name in enumerate(("one", "two", "three"))}


@dataclass
class Found:
    """Secrets by kind, and where each kind may lie: the start of a path below the consortium's directory."""

    secrets: dict[str, list[bytes]] = field(default_factory=dict)
    haystack: dict[str, bytes] = field(default_factory=dict)
    storing: set[str] = field(default_factory=set)
    """Workers that store a share of the measurement that succeeds: requisitions' random IDs say which."""
    opening: set[str] = field(default_factory=set)
    """Those that open a seed for it: of a share that the other one stores."""

    def add(self, kind: str, secret: bytes) -> None:
        self.secrets.setdefault(kind, []).append(secret)


KINDS = ("random seeds of workers", "seeds of shares", "private keys", "shares", "VIDs", "key files")
ALLOWED = {
    # The wire hands a worker's seed to the other in the clear, inside their mutual TLS; it keeps what it is sent.
    "random seeds of workers": ("worker1/blobs/computations", "worker2/blobs/computations"),
    "shares": ("worker1/blobs/requisitions", "worker2/blobs/requisitions"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    directory = tmp_path_factory.mktemp("markers")
    events = {}
    for name, vids in SEEN.items():
        file = directory / f"{name}.csv"
        file.write_text("id\n" + "".join(f"{vid}\n" for vid in vids))
        events[name] = EventFile(file, population=PEOPLE)
    loud = ["--log-level=debug", "--debug-verbose-grpc-server-logging", "--debug-verbose-grpc-client-logging"]
    flags = dict.fromkeys((*WORKERS, "aggregator", *(f"{worker} mill 1" for worker in WORKERS)), loud)
    gathered = Found()
    options = Options(flags={**flags, "kingdom": [*Shares().flags(), *loud]})
    with Consortium(directory / "consortium", events, options) as consortium:
        measure(consortium, gathered)
        error = measure(consortium, gathered, damage=True)
    for path in (directory / "consortium").rglob("*"):
        inside = str(path.relative_to(directory / "consortium"))
        gathered.haystack[f"name of {inside}"] = inside.encode()
        if path.is_file() and not inside.startswith("keys/"):
            gathered.haystack[inside] = path.read_bytes()
    gathered.haystack["error"] = error.encode()
    gathered.secrets["VIDs"] = [vid.to_bytes(8, order) for vid in [*SEEN["one"]][:20] for order in ("big", "little")]
    gathered.secrets["key files"] = [*secrets_of.key_files(directory / "consortium" / "keys")]
    yield gathered
    shutil.rmtree(directory)


def mill(consortium: Consortium, worker: str) -> Child:
    (child,) = [child for child in consortium.processes.children if child.name == f"{worker} mill 1"]
    return child


def measure(consortium: Consortium, gathered: Found, *, damage: bool = False) -> str:
    """Stop both workers' mills when they wait, look at all that they have, and let them go on; what went wrong."""
    with consortium.consumer() as consumer:
        providers = tuple(party.resource for party in consortium.keys.data_providers)
        name = consumer.create(MeasurementRequest(providers, WITHOUT_NOISE, WITHOUT_NOISE, maximum_frequency=2))
        computation = name.rpartition("/")[2]
        for worker in WORKERS:
            with consortium.inspection(worker) as inspection:
                wait_until(
                    lambda: any(
                        each.global_computation_id == computation and each.stage.startswith("WAIT_")
                        for each in inspection.computations()
                    ) or None,
                    seconds=60,
                    pause=0.01,
                )  # fmt: skip
            os.kill(mill(consortium, worker).pid, signal.SIGSTOP)
        gather(consortium, computation, gathered, damage=damage)
        for worker in WORKERS:
            os.kill(mill(consortium, worker).pid, signal.SIGCONT)
        if not damage:
            consumer.wait(name, timeout_seconds=60)
            return ""
        with pytest.raises(PermanentFailure) as failure:
            consumer.wait(name, timeout_seconds=60)
        assert consumer.get(name).state == Measurement.FAILED
        return str(failure.value)


def gather(consortium: Consortium, computation: str, gathered: Found, *, damage: bool) -> None:
    tokens, keysets = {}, {}
    for worker in WORKERS:
        tokens[worker] = wait_until(partial(fulfilled, consortium, worker, computation), seconds=60)
        keysets[worker] = asyncio.run(private_keyset(consortium, worker, computation))
        details = tokens[worker].computation_details.honest_majority_share_shuffle
        gathered.add("random seeds of workers", details.random_seed)
        for key in secrets_of.leaves(keysets[worker].serialize().expose()):
            if len(key) == 32 and key not in keysets[worker].public_key.data:
                gathered.add("private keys", key)
    for worker, other in (WORKERS, WORKERS[::-1]):
        for requisition in tokens[worker].requisitions:
            recorded = requisition.details.protocol.honest_majority_share_shuffle
            if not requisition.path:
                continue
            if not damage:
                gathered.storing.add(worker)
                gathered.opening.add(other)
            signed = SignedMessage.FromString(keysets[other].decrypt(recorded.secret_seed_ciphertext).expose())
            gathered.add("seeds of shares", RandomSeed.FromString(signed.message.value).data)
            blob = consortium.wiring.blobs(worker) / "requisitions" / requisition.path
            share = bytes(FrequencyVector.FromString(blob.read_bytes()).data)
            for at in (0, 1000, 3900):
                gathered.add("shares", share[at : at + 24])
            if damage:
                blob.write_bytes(blob.read_bytes()[:-1] + b"\x00")


def fulfilled(consortium: Consortium, worker: str, computation: str) -> ComputationToken | None:
    """The computation's token, once all shares that this worker stores are there."""
    token = secrets_of.token(consortium, worker, computation)
    mine = [each for each in token.requisitions if each.details.external_fulfilling_duchy_id == worker]
    return token if all(each.path for each in mine) else None


async def private_keyset(consortium: Consortium, worker: str, computation: str) -> PrivateKeyset:
    """Out of the database, by the worker's own key-encryption keyset."""
    database = consortium.wiring.state(worker) / "duchy.sqlite"
    sealer = Sealer.read(consortium.keys.duchy(worker).key_encryption_keyset_file)
    async with open_store(f"sqlite:///{database}", sealer, worker) as store, store._database.read() as (connection, _):
        columns = "id, wrapped_key, sealed_private_keyset"
        statement = text(f"SELECT {columns} FROM computations WHERE global_id = :id")  # noqa: S608
        row = (await connection.execute(statement, {"id": computation})).one()
    place = {"table": "computations", "row": str(row.id), "column": "sealed_private_keyset"}
    return PrivateKeyset(
        Secret(sealer.unseal(WrappedKey(row.wrapped_key), row.sealed_private_keyset, **place).expose())
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_found_anywhere_else(found: Found, kind: str) -> None:
    places = {
        place
        for secret in found.secrets[kind]
        for shape in secrets_of.shapes(secret)
        for place, content in found.haystack.items()
        if shape in content and not place.startswith(ALLOWED.get(kind, ("nowhere",)))
    }
    assert not places


def test_there_was_something_to_find_and_somewhere_to_look(found: Found) -> None:
    assert len(found.secrets["random seeds of workers"]) == len(found.secrets["private keys"]) == 4
    assert len(found.secrets["seeds of shares"]) == 6
    assert len({*found.secrets["shares"]}) == 18
    assert all(len(secret) >= 8 for kind in KINDS for secret in found.secrets[kind])
    assert found.opening
    assert found.storing
    for worker in found.opening:
        assert b"GetPrivateKeyset" in found.haystack[f"logs/{worker}.log"]
    for worker in found.storing:
        assert b"FulfillRequisition" in found.haystack[f"logs/{worker}.log"]
    assert "logs/worker1-mill-1.log" in found.haystack
    assert "worker" in found.haystack["error"].decode()
