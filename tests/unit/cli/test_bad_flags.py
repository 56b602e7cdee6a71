"""Every command with every file of its flags spoiled, and with values that cannot be: exit code 2, and nothing made."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from gristmill.cli.main import COMMANDS as MODULES
from gristmill.cli.main import main
from gristmill.trust.development import DevelopmentKeys, Party, make

NOBODY = "127.0.0.1:1"
COMMANDS = (
    *("edp", "mill llv2", "duchy", "internal-api", "computation-control", "async-computation-control"),
    *("requisition-fulfillment", "herald", "kingdom", "computations list"),
)
KNOWING = ("mill llv2", "duchy", "internal-api", "computation-control", "requisition-fulfillment")
"""They compare --duchy-name with the duchy info file."""
FILES = {
    "tls-cert-file": COMMANDS,
    "tls-key-file": COMMANDS,
    "cert-collection-file": COMMANDS,
    "duchy-info-config": (
        "edp",
        "mill llv2",
        "duchy",
        "internal-api",
        "computation-control",
        "requisition-fulfillment",
    ),
    "authority-key-identifier-to-principal-map-file": ("edp", "duchy", "requisition-fulfillment"),
    "protocols-setup-config": ("duchy", "herald"),
    "key-encryption-key-file": ("duchy", "internal-api"),
    "private-keyset-file": ("edp",),
    "events-file": ("edp",),
    "consent-signaling-certificate-der-file": ("edp", "mill llv2"),
    "consent-signaling-private-key-der-file": ("edp", "mill llv2"),
}
KEYS = ("tls-key-file", "key-encryption-key-file", "private-keyset-file", "consent-signaling-private-key-der-file")


pytestmark = pytest.mark.timeout(20)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentKeys:
    directory = tmp_path_factory.mktemp("cli") / "keys"
    return make(directory, duchies=["worker1", "worker2", "aggregator"], data_providers=["edp1"])


def missing(path: Path) -> None:
    pass


def a_directory(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def junk(path: Path) -> None:
    path.touch(0o600)
    path.write_bytes(b"\x00\xffjunk")


def empty(path: Path) -> None:
    path.touch(0o600)


class Scene:
    """A directory for what a command might make, and every command's flags, which are right."""

    def __init__(self, directory: Path, keys: DevelopmentKeys, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory, self._keys, self._capsys = directory, keys, capsys
        (directory / "events.csv").write_text("id\n1\n")

    def flags(self, command: str) -> dict[str, str]:
        keys, worker = self._keys, self._keys.duchy("worker1")
        provider = keys.data_provider("edp1")
        party: Party = {"edp": provider, "kingdom": keys.kingdom}.get(command, worker)
        flags: dict[str, object] = {
            "tls-cert-file": party.tls.certificate_file,
            "tls-key-file": party.tls.key_file,
            "cert-collection-file": party.tls.collection_file,
            "allow-development-certificates": "true",
            "duchy-name": "worker1",
            "duchy-info-config": keys.duchy_cert_config_file,
            "computations-service-target": NOBODY,
            "computations-service-cert-host": "localhost",
            "async-computation-control-service-target": NOBODY,
            "async-computation-control-service-cert-host": "localhost",
            "kingdom-system-api-target": NOBODY,
            "file-system-storage-directory": self.directory / "blobs",
            "sqlite-database": self.directory / "database.sqlite",
            "key-encryption-key-file": worker.key_encryption_keyset_file,
            "authority-key-identifier-to-principal-map-file": keys.principal_map_file,
            "protocols-setup-config": worker.protocols_setup_config_file,
            "mill-id": "mill",
            "daemon": "true",
            "consent-signaling-certificate-resource-name": worker.certificate,
            "consent-signaling-certificate-der-file": worker.signing_certificate_file,
            "consent-signaling-private-key-der-file": worker.signing_key_file,
            "data-provider": provider.resource,
            "private-keyset-file": provider.private_keyset_file,
            "events-file": self.directory / "events.csv",
            "kingdom-public-api-target": NOBODY,
            "requisition-fulfillment-target": f"worker1={NOBODY}",
            "consortium-directory": keys.directory,
        }
        return {name: str(value) for name, value in flags.items() if name in ACCEPTED[command]}

    def refused(self, command: str, **changes: str | Path) -> str:
        flags = self.flags(command) | {name.replace("_", "-"): str(value) for name, value in changes.items()}
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        if command == "mill llv2":
            arguments += [f"--duchy-computation-control-target={peer}={NOBODY}" for peer in ("worker2", "aggregator")]
        before = self._files()
        try:
            code = main([*command.split(), *arguments])
        except SystemExit as wrong_usage:
            code = wrong_usage.code  # type: ignore[assignment]
        said = self._capsys.readouterr().err
        assert code == 2, said
        assert self._files() == before
        return said

    def _files(self) -> list[Path]:
        return sorted(self.directory.rglob("*"))


def _accepted(command: str) -> frozenset[str]:
    name, *rest = command.split()
    parser = argparse.ArgumentParser()
    import_module(MODULES[name][0]).add_arguments(parser)
    for action in parser._actions:
        if rest and isinstance(action, argparse._SubParsersAction):
            parser = action.choices[rest[0]]
    return frozenset(option.removeprefix("--") for action in parser._actions for option in action.option_strings)


ACCEPTED = {command: _accepted(command) for command in COMMANDS}


@pytest.fixture
def scene(
    tmp_path: Path, keys: DevelopmentKeys, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Scene:
    for what in ("gristmill.observe.logs.configure", "gristmill.trust.process.disable_core_dumps"):
        monkeypatch.setattr(what, lambda **_: None)  # they are for the whole process
    return Scene(tmp_path, keys, capsys)


@pytest.mark.parametrize("spoil", [missing, a_directory, a_pipe, junk, empty])
@pytest.mark.parametrize(("flag", "command"), [(flag, command) for flag in FILES for command in FILES[flag]])
def test_an_unusable_file_is_named_before_anything_is_made(
    scene: Scene, command: str, flag: str, spoil: Callable[[Path], None]
) -> None:
    path = scene.directory / "spoiled"
    spoil(path)
    said = scene.refused(command, **{flag: path})
    assert str(path) in said or f"--{flag}" in said or "keyset" in said, said
    assert "Cure: " in said or f"argument --{flag}: " in said


@pytest.mark.parametrize(("flag", "command"), [(flag, command) for flag in KEYS for command in FILES[flag]])
def test_a_key_that_others_may_read_is_refused_with_the_command_that_closes_it(
    scene: Scene, command: str, flag: str
) -> None:
    path = scene.directory / "open"
    shutil.copyfile(scene.flags(command)[flag], path)
    path.chmod(0o640)
    said = scene.refused(command, **{flag: path})
    assert "GM-1002" in said
    assert f"chmod 600 {path}" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_path_is_not_the_working_directory(scene: Scene, command: str) -> None:
    assert "argument --tls-cert-file: the path is empty" in scene.refused(command, tls_cert_file="")


@pytest.mark.parametrize("command", KNOWING)
def test_a_duchy_that_the_info_file_does_not_know_is_refused(scene: Scene, command: str) -> None:
    assert "Worker1" in scene.refused(command, duchy_name="Worker1")


@pytest.mark.parametrize("place", ["events.csv", "events.csv/blobs"])
@pytest.mark.parametrize("command", KNOWING)
def test_a_blob_directory_that_cannot_be_made_is_refused(scene: Scene, command: str, place: str) -> None:
    said = scene.refused(command, file_system_storage_directory=scene.directory / place)
    assert "GM-1001" in said
    assert place in said


@pytest.mark.parametrize("command", ["internal-api", "duchy", "kingdom"])
@pytest.mark.parametrize("spoil", [a_directory, junk])
def test_a_database_that_is_none_is_refused_and_left_as_it_is(
    scene: Scene, command: str, spoil: Callable[[Path], None]
) -> None:
    path = scene.directory / "spoiled"
    spoil(path)
    (scene.directory / "blobs").mkdir()  # of the run before
    assert "GM-1008" in scene.refused(command, sqlite_database=path)
    assert path.is_dir() or path.read_bytes() == b"\x00\xffjunk"


BAD_VALUES = [
    ("kingdom", "llv2_decay_rate", "1", "--llv2-decay-rate: 1 is not more than 1"),
    ("kingdom", "llv2_decay_rate", "nan", "--llv2-decay-rate: nan is not a positive number"),
    ("kingdom", "llv2_decay_rate", "700", "less than 700"),
    ("kingdom", "llv2_max_size", "1", "--llv2-max-size: 1 is below the smallest"),
    ("kingdom", "llv2_publisher_noise_epsilon", "0", "is not a positive number"),
    ("edp", "data_provider", "edp1", "not of the form dataProviders/ID"),
    ("kingdom", "hmss_reach_ring_modulus", "121", "the ring modulus for reach must be a prime number, and 121 is not"),
    ("kingdom", "hmss_reach_and_frequency_ring_modulus", "1", "below the smallest"),
    ("edp", "requisition_fulfillment_target", f"nobody={NOBODY}", "has no duchy nobody"),
    ("edp", "requisition_fulfillment_target", "worker1=nowhere", "not of the form host:port"),
    ("edp", "population", "10", "'10' is no range of VIDs"),
    ("edp", "population", "0-10", "not within 1-"),
    ("edp", "spool_directory", "nowhere", "nowhere of --spool-directory is no directory"),
    ("edp", "start", "2024-01-01", "--start and --end need --time-column"),
    ("edp", "polling_interval", "0s", "is zero"),
    ("mill llv2", "claimed_computation_type", "TRUS_TEE", "cannot work on TRUS_TEE"),
    ("mill llv2", "daemon", "false", "must be given"),
    ("mill llv2", "mill_id", "", "the mill has no ID"),
    ("mill llv2", "bytes_per_chunk", "0", "below the smallest"),
    ("mill llv2", "maximum_attempts", "0", "below the smallest"),
    ("mill llv2", "duchy_name", "", "--duchy-name is empty"),
    ("mill llv2", "computations_service_target", "nowhere", "not of the form host:port"),
    ("mill llv2", "forwarded_storage_service_target", NOBODY, "two kinds of blob storage are given"),
    ("internal-api", "postgres_host", "localhost", "two databases are given"),
    ("duchy", "deletable_computation_state", "RUNNING", "invalid choice: 'RUNNING'"),
    *((command, "no_such_flag", "1", "unrecognized arguments: --no-such-flag=1") for command in COMMANDS),
]


@pytest.mark.parametrize(("command", "flag", "value", "said"), BAD_VALUES)
def test_a_value_that_cannot_be_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, command: str, flag: str, value: str, said: str
) -> None:
    monkeypatch.delenv("HOSTNAME", raising=False)
    assert said in scene.refused(command, **{flag: value})


def test_a_period_of_a_data_provider_must_not_end_before_it_starts(scene: Scene) -> None:
    said = scene.refused("edp", time_column="id", start="2024-02-01", end="2024-01-01T00:00+01:00")
    assert "--start must be before --end" in said
