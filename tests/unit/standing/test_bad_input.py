"""Wrong usage and bad input of `gristmill consortium` and `measure --consortium`: exit code 2, and nothing changes."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gristmill.cli.main import main
from gristmill.edp.events import EventFile
from gristmill.measure.method import Sketch
from gristmill.standing.record import Record


@dataclass(frozen=True, slots=True)
class Scene:
    """Two files of events, `run` of a consortium that is down, and no processes."""

    directory: Path
    capsys: pytest.CaptureFixture[str]

    def ends(self, code: int, *arguments: str) -> str:
        """Exits like this and changes nothing; what is said on standard error."""
        before = self.everything()
        try:
            ended = main([each.replace("TMP", str(self.directory)) for each in arguments])
        except SystemExit as wrong_usage:
            ended = wrong_usage.code  # type: ignore[assignment]
        said = self.capsys.readouterr()
        assert ended == code, said.err
        assert self.everything() == before
        return said.err

    def everything(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.directory.rglob("*") if path.is_file()}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Scene:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("id,time\n1,2024-03-01\n2,2024-03-02\n")
    (tmp_path / "run").mkdir(mode=0o700)
    files = {name: tmp_path / f"{name}.csv" for name in ("a", "b")}
    duchies = ("worker1", "worker2", "aggregator")
    Record(duchies, files, EventFile(Path()), Sketch()).write(tmp_path / "run")
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "mine" / "file").write_text("mine")
    (tmp_path / "open").mkdir(mode=0o755)
    return Scene(tmp_path, capsys)


PROVIDERS = "--data-provider=a=TMP/a.csv --data-provider=b=TMP/b.csv"
REFUSED = [
    ("consortium", "required: {up,down,status}"),
    ("consortium sideways TMP/run", "invalid choice"),
    ("consortium up", "required: DIR"),
    ("consortium up TMP/new --nonsense", "unrecognized arguments: --nonsense"),
    ("consortium up TMP/new --data-provider=a", "is not of the form"),
    ("consortium up TMP/new --data-provider=a=TMP/a.csv", "there is one publisher, and a measurement needs two"),
    ("consortium up TMP/new --data-provider=a=TMP/a.csv --data-provider=b=TMP/none.csv", r"none\.csv does not exist"),
    ("consortium up TMP/new --data-provider=a=TMP/a.csv --data-provider=kingdom=TMP/b.csv", "another party's name"),
    (f"consortium up TMP/new {PROVIDERS} --id-column=person", r"a\.csv has no column person"),
    (f"consortium up TMP/new {PROVIDERS} --where=id=3", "no row of .* has id=3"),
    (f"consortium up TMP/new {PROVIDERS} --sketch-size=1", "--sketch-size must lie between 2"),
    ("consortium up TMP/new --duchies=2", "--duchies must lie between 3 and"),
    ("consortium up TMP/mine", "is not empty"),
    ("consortium up TMP/a.csv", "is not empty|is not a directory"),
    ("consortium up TMP/open", "is open to other users"),
    ("consortium up TMP/run --duchies=4", "--duchies cannot change the consortium that is in"),
    (f"consortium up TMP/run {PROVIDERS}", "--data-provider cannot change the consortium"),
    ("consortium down TMP/none", "there is no consortium in"),
    ("consortium down TMP/mine", "was not made by gristmill consortium up"),
    ("consortium status TMP/none", "there is no consortium in"),
    ("consortium status TMP/open", "is open to other users"),
    ("measure --consortium=TMP/none", "there is no consortium in"),
    ("measure --consortium=TMP/run", r"is down Cure: Take it up with gristmill consortium up"),
    ("measure --consortium=TMP/run --events=a=TMP/a.csv", "--events is the consortium's to say"),
    ("measure --consortium=TMP/run --sketch-size=5", "--sketch-size is the consortium's to say"),
    ("measure --consortium=TMP/run --keep=TMP/kept", "--keep is the consortium's to say"),
    ("measure --measurement=x", "--measurement and --data-provider need --consortium"),
    (f"measure --events=a=TMP/a.csv --events=b=TMP/b.csv {PROVIDERS}", "need --consortium"),
    ("computations list --consortium=TMP/run --duchy=worker1", "is down Cure: Take it up"),
    ("computations list --duchy=worker1", "--duchy needs --consortium"),
    ("computations list --tls-cert-file=TMP/a.csv", "--tls-key-file, --cert-collection-file, .* must be given"),
    (
        "computations list --consortium=TMP/run --tls-cert-file=TMP/a.csv",
        "--tls-cert-file and --consortium say the same thing twice",
    ),
]


@pytest.mark.parametrize(("command", "said"), REFUSED, ids=[command for command, _ in REFUSED])
def test_it_is_refused(scene: Scene, command: str, said: str) -> None:
    message = scene.ends(2, *command.split())
    assert re.search(said, message), message
    assert not (scene.directory / "new").exists()


def test_status_of_a_consortium_that_is_down_says_so_and_exits_with_1(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["consortium", "status", str(scene.directory / "run"), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["state"] == "down"
    assert content["data_providers"] == {name: str(scene.directory / f"{name}.csv") for name in ("a", "b")}


def test_taking_down_what_is_down_is_no_error(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["consortium", "down", str(scene.directory / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["was_up"] is False


@pytest.mark.parametrize("command", ["consortium up TMP/mine", "consortium status TMP/none", "computations list"])
def test_with_json_an_error_is_json_too(scene: Scene, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([*command.replace("TMP", str(scene.directory)).split(), "--json"]) == 2
    said = capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert error["code"].startswith("GM-1")
    assert error["message"] in said.err
    assert error["cure"]
