"""A standing consortium as a stranger uses it: two measurements, a mill killed, down amid them, up again, both end."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gristmill import _native as native

pytestmark = pytest.mark.xdist_group("e2e")

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
COMMAND = (sys.executable, "-m", "gristmill")
PROVIDERS = ("--id-column=person", *(f"--data-provider={name}={EXAMPLES / name}.csv" for name in ("news", "video")))
WITHOUT_NOISE = ("--reach-epsilon=100", "--reach-delta=0.5", "--frequency-epsilon=100", "--frequency-delta=0.5")
"""So private is nobody: the noise is 0, and the right answer known."""
MAXIMUM_FREQUENCIES = (2, 4)
KILLED = "worker1 mill 1"

Ran = subprocess.CompletedProcess[str]


def gristmill(*arguments: str) -> Ran:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=90, check=False)


def together(commands: list[tuple[str, ...]], meanwhile: Callable[[], None] = lambda: None) -> list[Ran]:
    """Run them at once; how each ended."""
    running = [
        subprocess.Popen([*COMMAND, *each], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for each in commands
    ]
    try:
        meanwhile()
        ended = [each.communicate(timeout=90) for each in running]
    finally:
        for each in running:
            each.kill()
    return [Ran(each.args, each.returncode, out, said) for each, (out, said) in zip(running, ended, strict=True)]


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """What is true at last."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


@dataclass(slots=True)
class Story:
    """What happened, in this order."""

    directory: Path
    up: Ran
    interrupted: list[Ran]
    killed_pid: int = 0
    status: dict[str, Any] | None = None
    """As the measurements were in flight and the killed mill was back."""
    down: Ran | None = None
    left_behind: int = -1
    up_again: Ran | None = None
    """When others listen on all the ports of the first time."""
    second_up: Ran | None = None
    """When it is up."""
    followed: list[Ran] | None = None
    listed: Ran | None = None
    down_again: Ran | None = None
    left_behind_at_last: int = -1

    def asked(self) -> list[str]:
        return sorted(path.stem for path in (self.directory / "measurements").glob("[!.]*.json"))

    def look(self) -> dict[str, Any]:
        ran = gristmill("consortium", "status", str(self.directory), "--json")
        assert ran.returncode == 0, ran.stderr
        content: dict[str, Any] = json.loads(ran.stdout)
        return content

    def kill_and_take_down(self) -> None:
        until(lambda: len(self.asked()) == len(MAXIMUM_FREQUENCIES))
        state = json.loads((self.directory / "running.json").read_text())
        self.killed_pid = next(party["pid"] for party in state["parties"] if party["name"] == KILLED)
        os.kill(self.killed_pid, signal.SIGKILL)
        until(lambda: '"restarts": 1' in (self.directory / "running.json").read_text())
        self.status = self.look()
        self.down = gristmill("consortium", "down", str(self.directory))
        self.left_behind = processes_of(self.directory)


@contextmanager
def listening_where(status: dict[str, Any] | None) -> Iterator[None]:
    """Somebody else has taken the ports that the consortium had."""
    assert status is not None
    ports = [status["kingdom_port"], *(port for each in status["duchy_ports"].values() for port in each.values())]
    with ExitStack() as stack:
        for port in ports:
            taking = stack.enter_context(socket.socket())
            taking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taking.bind(("127.0.0.1", port))
            taking.listen()
        yield


def processes_of(directory: Path) -> int:
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    ours = [command for command in commands if str(directory).encode() in command and b"\0measure\0" not in command]
    return len(ours)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("standing") / "run"
    place = f"--consortium={directory}"
    try:
        told = Story(directory, gristmill("consortium", "up", str(directory), *PROVIDERS), [])
        assert told.up.returncode == 0, told.up.stderr
        measure = ("measure", place, *WITHOUT_NOISE, "--json")
        asked = [(*measure, f"--max-frequency={most}") for most in MAXIMUM_FREQUENCIES]
        told.interrupted = together(asked, told.kill_and_take_down)
        with listening_where(told.status):
            told.up_again = gristmill("consortium", "up", str(directory), "--json")
        told.second_up = gristmill("consortium", "up", str(directory))
        follow = [("measure", place, f"--measurement={each}", "--truth", "--json") for each in told.asked()]
        told.followed = together(follow)
        told.listed = gristmill("computations", "list", place, "--duchy=aggregator", "--json")
        told.down_again = gristmill("consortium", "down", str(directory))
        told.left_behind_at_last = processes_of(directory)
        yield told
    finally:
        gristmill("consortium", "down", str(directory))


def test_measurements_are_in_flight_when_it_is_taken_down(story: Story) -> None:
    assert story.status is not None
    assert sorted(story.status["measurements"]) == story.asked()
    for ended in story.interrupted:
        assert ended.returncode == 1
        error = json.loads(ended.stdout)["error"]
        assert "was taken down" in error["message"]
        assert f"gristmill measure --consortium {story.directory} --measurement" in ended.stderr


def test_a_killed_mill_is_started_again(story: Story) -> None:
    assert story.status is not None
    mill = next(party for party in story.status["parties"] if party["name"] == KILLED)
    assert mill["restarts"] == 1
    assert mill["pid"] not in (None, story.killed_pid)


def test_taking_down_leaves_no_process(story: Story) -> None:
    for down, left in ((story.down, story.left_behind), (story.down_again, story.left_behind_at_last)):
        assert down is not None
        assert (down.returncode, left) == (0, 0), down.stderr
        assert down.stdout == f"{story.directory} was taken down.\n"


def test_what_is_up_cannot_be_taken_up_again(story: Story) -> None:
    assert story.second_up is not None
    assert story.second_up.returncode == 2
    assert "is up already" in story.second_up.stderr


def test_after_taking_it_up_again_both_measurements_end_with_the_right_answer(story: Story) -> None:
    assert story.up_again is not None
    assert story.up_again.returncode == 0, story.up_again.stderr
    assert json.loads(story.up_again.stdout)["state"] == "up"
    files = [(EXAMPLES / f"{name}.csv").read_text().splitlines() for name in ("news", "video")]
    people = Counter(row["person"] for lines in files for row in csv.DictReader(lines))
    in_the_sketch = native.estimate_reach(decay_rate=12.0, size=100_000, active=len(people), sampling_width=1.0)
    found = set()
    for ended in story.followed or []:
        assert ended.returncode == 0, ended.stderr
        answer = json.loads(ended.stdout)
        most = len(answer["frequency"])
        shares = Counter(min(times, most) for times in people.values())
        assert (answer["reach"]["value"], answer["reach"]["exact"]) == (in_the_sketch, len(people))
        assert [entry["value"] for entry in answer["frequency"]] == [
            pytest.approx(shares[times] / len(people)) for times in range(1, most + 1)
        ]
        found.add(most)
    assert found == set(MAXIMUM_FREQUENCIES)


def test_a_duchys_computations_are_found_by_the_consortiums_directory(story: Story) -> None:
    assert story.listed is not None
    assert story.listed.returncode == 0, story.listed.stderr
    rows = json.loads(story.listed.stdout)["computations"]
    assert sorted(row["computation"] for row in rows) == story.asked()
    assert {row["state"] for row in rows} == {"SUCCEEDED"}
