"""Rotating the key-encryption keyset by the command that the operating guide names."""

from __future__ import annotations

from pathlib import Path

import pytest

from gristmill.cli.main import main
from gristmill.secret import Secret
from gristmill.trust.files import write_private_file
from gristmill.trust.key_encryption import new_key_encryption_keyset
from gristmill.trust.sealing import Sealer

PLACE = {"table": "computations", "row": "1", "column": "sealed_details"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_private_file(tmp_path / "kek.tink", new_key_encryption_keyset().expose())
    return tmp_path / "kek.tink"


def test_a_rotated_keyset_opens_the_old_and_a_pruned_one_only_the_new(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = Sealer.read(file)
    old = running.new_computation_key()
    assert main(["keys", "rotate", str(file)]) == 0
    assert "has 2 keys" in capsys.readouterr().out
    assert file.stat().st_mode & 0o777 == 0o600
    new, sealed = running.new_computation_key(), running.seal(old, Secret(b"secret"), **PLACE)
    assert running.unseal(old, sealed, **PLACE) == Secret(b"secret")
    assert main(["keys", "prune", str(file)]) == 0
    assert "has 1 key;" in capsys.readouterr().out
    running.seal(new, Secret(b"secret"), **PLACE)
    assert [path.name for path in file.parent.iterdir()] == ["kek.tink"]


@pytest.mark.parametrize("action", ["rotate", "prune"])
def test_a_file_that_is_no_keyset_stays_as_it_is(
    tmp_path: Path, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_private_file(tmp_path / "kek.tink", b"nothing of the kind")
    assert main(["keys", action, str(tmp_path / "kek.tink")]) == 2
    assert "is not a binary Tink keyset" in capsys.readouterr().err
    assert (tmp_path / "kek.tink").read_bytes() == b"nothing of the kind"
