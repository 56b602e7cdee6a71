"""The development PKI: what is made, how private it is, and `gristmill keys`."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from google.protobuf import text_format

from gristmill.cli.main import main
from gristmill.errors import ConfigurationError
from gristmill.trust.certificates import is_development, read_certificate, verify_leaf
from gristmill.trust.development import DevelopmentKeys, api_id, make
from gristmill.trust.sealing import Sealer
from gristmill.trust.signatures import Signer
from wfa.measurement.internal.duchy.config.protocols_setup_config_pb2 import (
    AGGREGATOR,
    FIRST_NON_AGGREGATOR,
    NON_AGGREGATOR,
    SECOND_NON_AGGREGATOR,
    ProtocolsSetupConfig,
)

ARGUMENTS = ["--duchy=worker1", "--duchy", "worker2", "--duchy=aggregator", "--data-provider=edp1"]


def setup_config(keys: DevelopmentKeys, duchy: str) -> ProtocolsSetupConfig:
    text = keys.duchy(duchy).protocols_setup_config_file.read_text()
    return text_format.Parse(text, ProtocolsSetupConfig())


def test_a_directory_is_read_as_it_was_made(keys: DevelopmentKeys) -> None:
    assert DevelopmentKeys.load(keys.directory) == keys


def test_nobody_else_can_read_any_file(keys: DevelopmentKeys) -> None:
    assert keys.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in keys.directory.iterdir()} == {0o600}


def test_every_certificate_is_issued_by_its_partys_development_root(keys: DevelopmentKeys) -> None:
    for party in keys.parties:
        root = read_certificate(party.root_file)
        assert is_development(root)
        assert (root.not_valid_after_utc - root.not_valid_before_utc).days == 30
        verify_leaf(read_certificate(party.tls.certificate_file), root)
        if party.certificate:
            verify_leaf(read_certificate(party.signing_certificate_file), root)
            Signer.read(certificate=party.signing_certificate_file, key=party.signing_key_file)


def test_all_roots_are_in_the_bundle(keys: DevelopmentKeys) -> None:
    assert set(keys.roots()) == {read_certificate(party.root_file) for party in keys.parties}


def test_every_duchy_has_a_key_encryption_keyset_of_its_own(keys: DevelopmentKeys) -> None:
    contents = {duchy.key_encryption_keyset_file.read_bytes() for duchy in keys.duchies}
    assert len(contents) == 3
    for duchy in keys.duchies:
        Sealer.read(duchy.key_encryption_keyset_file)


def test_resource_names_have_eleven_character_ids(keys: DevelopmentKeys) -> None:
    assert keys.duchy("worker1").resource == "duchies/worker1"
    assert keys.duchy("worker1").certificate.startswith("duchies/worker1/certificates/")
    for name in (keys.data_provider("edp1").resource, keys.duchy("worker2").certificate):
        number = int.from_bytes(base64.urlsafe_b64decode(name.rpartition("/")[2] + "="), "big")
        assert 0 < number < 2**63
    assert len(api_id()) == 11


def test_every_duchy_has_its_role(keys: DevelopmentKeys) -> None:
    assert setup_config(keys, "aggregator").liquid_legions_v2.role == AGGREGATOR
    assert setup_config(keys, "worker2").liquid_legions_v2.role == NON_AGGREGATOR
    assert setup_config(keys, "worker2").liquid_legions_v2.external_aggregator_duchy_id == "aggregator"
    assert setup_config(keys, "worker1").honest_majority_share_shuffle.role == FIRST_NON_AGGREGATOR
    assert setup_config(keys, "worker2").honest_majority_share_shuffle.role == SECOND_NON_AGGREGATOR
    assert setup_config(keys, "aggregator").trus_tee.role == AGGREGATOR
    assert not setup_config(keys, "worker1").HasField("trus_tee")


@pytest.mark.parametrize(
    ("duchies", "providers", "aggregator"),
    [
        (["worker1"], ["edp1"], ""),
        (["worker1", "worker1"], ["edp1"], ""),
        (["worker1", "worker2"], ["worker1"], ""),
        (["worker1", "../etc"], ["edp1"], ""),
        (["worker1", "worker2"], ["edp1"], "worker3"),
    ],
)
def test_bad_names_are_refused_and_nothing_is_written(
    tmp_path: Path, duchies: list[str], providers: list[str], aggregator: str
) -> None:
    with pytest.raises(ConfigurationError):
        make(tmp_path / "keys", duchies=duchies, data_providers=providers, aggregator=aggregator)
    assert not (tmp_path / "keys").exists()


def test_keys_make_fills_a_new_directory_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "keys"
    assert main(["keys", "make", str(directory), *ARGUMENTS, "--consumer-encryption=ecies"]) == 0
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert main(["keys", "make", str(directory), *ARGUMENTS]) == 2
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    assert "is not empty" in capsys.readouterr().err


def test_keys_show_tells_dates_and_fingerprints_and_no_secret(
    keys: DevelopmentKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "show", str(keys.directory)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("valid until") == 3 * 7 + 6  # root, in the bundle too, and TLS; signing except the kingdom's
    assert "worker1_kek.tink: key file, mode 0600" in shown
    assert "INSECURE" in shown
    for path in keys.directory.iterdir():
        if path.suffix == ".key":
            assert path.read_text().splitlines()[1] not in shown


def test_keys_show_needs_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "show", str(tmp_path / "absent")]) == 2
    assert "is not a directory" in capsys.readouterr().err
