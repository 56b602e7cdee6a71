"""Bad input of `gristmill measure`: said before anything is started, with exit code 2 and nothing left behind."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gristmill.cli.main import main
from gristmill.consortium.processes import Processes

GOOD = "id,time,device\n1,2024-03-01,tv\n2,2024-03-02,phone\n"
MANY = "id,time,device\n" + "".join(f"{number},2024-03-01,tv\n" for number in range(2000))


@dataclass(frozen=True)
class Scene:
    """A directory with the user's two files; all that is in it must still be there afterwards, and nothing else."""

    directory: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def a(self) -> Path:
        return self.directory / "a.csv"

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() if path.is_file() else b"" for path in self.directory.rglob("*")}

    def refused(self, *flags: str) -> str:
        """The message on standard error."""
        before = self.files()
        try:
            code = main(["measure", f"--events=a={self.a}", f"--events=b={self.directory / 'b.csv'}", *flags])
        except SystemExit as wrong_usage:
            code = wrong_usage.code  # type: ignore[assignment]
        said = self.capsys.readouterr()
        assert code == 2, said.err
        assert self.files() == before
        if "--json" not in flags:
            assert said.out == ""
        return said.err


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Scene:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(Processes, "start", start)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "link.csv").symlink_to("a.csv")
    monkeypatch.chdir(tmp_path)
    return Scene(tmp_path, capsys)


BAD_EVENTS: list[tuple[str, str | None, tuple[str, ...], str]] = [
    ("missing file", None, (), r"a\.csv does not exist"),
    ("missing column", GOOD, ("--id-column=person",), r"a\.csv has no column person"),
    ("missing time column", GOOD, ("--time-column=when",), r"a\.csv has no column when"),
    ("missing filter column", GOOD, ("--where=country=de",), r"a\.csv has no column country"),
    ("empty file", "", (), r"a\.csv is empty"),
    ("header only", "id\n", (), r"a has no events: no row of .*a\.csv has an ID"),
    ("broken line", GOOD + "3,2024\n", (), r"line 4 of .*a\.csv has 2 columns, and its header line has 3"),
    ("open quote", GOOD + '"3,2024,tv\n', (), r"line 4 of .*a\.csv is not CSV"),
    ("negative ID", GOOD + "-3,2024-03-01,tv\n", (), r"line 4 of .*a\.csv: the id is negative"),
    ("fractional ID", GOOD + "3.0,2024-03-01,tv\n", (), r"line 4 of .*a\.csv: the id is a decimal fraction"),
    ("text ID", GOOD + "x,2024-03-01,tv\n", ("--integer-ids",), r"line 4 of .*a\.csv: the id is not an integer"),
    ("bad time", GOOD + "3,March,tv\n", ("--time-column=time",), r"line 4 of .*a\.csv has no ISO 8601 time"),
    ("nobody after filtering", GOOD, ("--where=device=TV",), r"a has no events: no row of .*a\.csv has device=TV"),
    (
        "nobody in the period",
        GOOD,
        ("--time-column=time", "--from=2025-01-01"),
        r"a has no events in the period: .*a\.csv has 2",
    ),
    ("too many people for the sketch", MANY, ("--sketch-size=90", "--decay-rate=2"), r"90 registers .* are too few"),
]


@pytest.mark.parametrize(
    ("content", "flags", "said"), [bad[1:] for bad in BAD_EVENTS], ids=[bad[0] for bad in BAD_EVENTS]
)
def test_bad_events_are_refused(scene: Scene, content: str | None, flags: tuple[str, ...], said: str) -> None:
    if content is None:
        scene.a.unlink()
    else:
        scene.a.write_text(content)
    message = scene.refused(*flags)
    assert re.search(said, message), message
    assert "Cure: " in message


BAD_PARAMETERS = [
    *(
        (f"--{what}-{parameter}={value}", f"--{what}-{parameter} must be")
        for what in ("reach", "frequency")
        for parameter, values in (
            ("epsilon", ("0", "-1", "1e-300", "1e300", "1e400", "nan", "inf")),
            ("delta", ("0", "-1e-5", "1e-300", "1", "nan")),
        )
        for value in values
    ),
    ("--max-frequency=1", "--max-frequency must lie between 2 and"),
    ("--reach-only --max-frequency=3", "--max-frequency is of no use with --reach-only"),
    ("--reach-only --frequency-epsilon=2", "--frequency-epsilon is of no use with --reach-only"),
    ("--reach-only --reach-epsilon=0", "--reach-epsilon must be"),
    ("--max-frequency=0", "--max-frequency must lie"),
    ("--max-frequency=-1", "--max-frequency must lie"),
    ("--max-frequency=" + "9" * 5000, "is not an integer"),
    ("--max-frequency=1001", "--max-frequency must lie"),
    ("--vid-sampling=0", r"width of --vid-sampling must lie in \(0, 1\]"),
    ("--vid-sampling=1.1", "width of --vid-sampling"),
    ("--vid-sampling=nan", "width of --vid-sampling"),
    ("--vid-sampling=1e-300", "width of --vid-sampling .* be 1e-09 or more"),
    ("--vid-sampling=0.99999999999:1e-9", "start of --vid-sampling"),
    ("--vid-sampling=0.5:0.7", r"--vid-sampling must end at 1 .* 0\.5 \+ 0\.7 is 1\.2"),
    ("--vid-sampling=0:-0.5", "width of --vid-sampling"),
    ("--vid-sampling=-0.1:0.5", r"start of --vid-sampling must lie in \[0, 1\)"),
    ("--vid-sampling=0.6:0.5", r"--vid-sampling must end at 1 .* 0\.6 \+ 0\.5 is 1\.1"),
    ("--duchies=2", "--duchies must lie between 3 and"),
    ("--duchies=0", "--duchies must lie"),
    ("--decay-rate=1", "--decay-rate must be more than 1"),
    ("--decay-rate=nan", "--decay-rate must be more than 1"),
    ("--decay-rate=700", "less than 700"),
    ("--sketch-size=1", "--sketch-size must lie between 2"),
    ("--sketch-size=100000001", "--sketch-size must lie between 2"),
    ("--sketch-size=20", r"20 registers .* are too few .* Measure with --sketch-size=\d+ or more"),
    ("--sampling-indicator-size=1", "--sampling-indicator-size must lie"),
    ("--protocol=hmss --population=10", "'10' is no range of VIDs"),
    ("--protocol=hmss --population=1-5 --population=5-9", "1-5 and 5-9 overlap"),
    ("--protocol=hmss --population=1-1", "line 3 of .*a.csv: the id is outside the population 1-1 .* --population"),
    ("--protocol=hmss --duchies=4", "two workers and an aggregator, and not by 4"),
    ("--protocol=hmss --max-frequency=63", "counts up to 62 each, and --max-frequency is 63"),
    ("--protocol=hmss --sketch-size=70", "share shuffle has no sketch"),
    ("--protocol=hmss --population=1-100 --vid-sampling=0.001", "takes nobody of a population of 100"),
    ("--protocol=smoke", "invalid choice: 'smoke'"),
    ("--population=1-10", "--population is of --protocol=hmss"),
    ("--from=2024-01-01", "--from and --to need --time-column"),
    ("--time-column=time --from=2024-03-02 --to=2024-03-02", "--from must be before --to"),
    ("--from=0001-01-01T00:00+23:00 --time-column=time", "--from must lie in the years 1 to 9999"),
    ("--where=device=tv --where=device=phone", "--where is given twice for device"),
    ("--events=a=b.csv", "two publishers are named a"),
    ("--events=kingdom=b.csv", "kingdom is another party's name"),
    ("--events=worker2=b.csv", "worker2 is another party's name"),
    ("--events=../x=b.csv", "cannot be a publisher's name"),
    ("--reach-epsilon=much", "invalid float value"),
    ("--vid-sampling=half", "is not of the form WIDTH or START:WIDTH"),
    ("--duchies=three", "'three' is not an integer"),
    ("--to=tomorrow", "is not an ISO 8601 time"),
    ("--events=b.csv", "is not of the form key=value"),
    ("--events=c=a.csv", "a and c have one and the same file"),
    ("--events=c=link.csv", "a and c have one and the same file"),
    ("--events=c=~nobody-at-all/c.csv", "cannot be used as a path"),
    ("--events=c=" + "c" * 300, "cannot be used as a path: File name too long"),
    ("--keep=", "the path is empty"),
    ("--keep=" + "k" * 300, "cannot be used as a path: File name too long"),
    ("--consortium=", "the path is empty"),
    ("--nonsense", "unrecognized arguments: --nonsense"),
    ("--json=yes", "ignored explicit argument"),
    ("--timeout=0s", "is zero"),
]


@pytest.mark.parametrize(("flags", "said"), BAD_PARAMETERS, ids=[flags[:60] for flags, _ in BAD_PARAMETERS])
def test_bad_parameters_are_refused(scene: Scene, flags: str, said: str) -> None:
    message = scene.refused(*flags.split())
    assert re.search(said, message), message


def test_a_measurement_needs_two_publishers(scene: Scene) -> None:
    assert main(["measure", f"--events=a={scene.a}"]) == 2
    assert "there is one publisher, and a measurement needs two" in scene.capsys.readouterr().err


def test_without_events_it_says_where_they_can_come_from(scene: Scene) -> None:
    assert main(["measure"]) == 2
    assert re.search("no events are given.*--events=NAME=FILE.*--consortium=DIR", scene.capsys.readouterr().err)


def occupied(directory: Path) -> Path:
    (directory / "keep").mkdir()
    (directory / "keep" / "mine").write_text("mine")
    return directory / "keep"


def a_file(directory: Path) -> Path:
    return directory / "a.csv"


def below_a_file(directory: Path) -> Path:
    return directory / "a.csv" / "keep"


def open_to_others(directory: Path) -> Path:
    (directory / "keep").mkdir(mode=0o755)
    return directory / "keep"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (occupied, "exists and is not empty"),
        (a_file, "exists and is not empty"),
        (below_a_file, "cannot be made"),
        (open_to_others, "is open to other users"),
    ],
)
def test_a_directory_that_cannot_be_used_is_left_as_it_is(
    scene: Scene, place: Callable[[Path], Path], said: str
) -> None:
    assert said in scene.refused(f"--keep={place(scene.directory)}")


def test_a_new_directory_is_not_made_for_bad_input(scene: Scene) -> None:
    scene.refused("--keep", str(scene.directory / "new"), "--decay-rate=0.5")


def test_with_json_the_error_is_json_and_standard_output_has_nothing_else(scene: Scene) -> None:
    assert main(["measure", f"--events=a={scene.a}", "--events=b=none.csv", "--json"]) == 2
    said = scene.capsys.readouterr()
    error = json.loads(said.out)["error"]
    assert error["code"].startswith("GM-10")
    assert "none.csv does not exist" in error["message"]
    assert error["cure"]
    assert error["message"] in said.err
