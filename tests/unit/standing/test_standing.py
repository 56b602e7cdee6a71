"""Taking a consortium up and down when something is in the way; what is left behind, which is nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gristmill.edp.events import EventFile
from gristmill.errors import ConfigurationError, PartyFailed
from gristmill.measure.method import Sketch
from gristmill.standing import lock, standing
from gristmill.standing.record import Record
from gristmill.standing.standing import CHANGING, DOWN, bring_up, state_of, take_down
from gristmill.trust import authority, development

DUCHIES = ("worker1", "worker2", "aggregator")


def new(directory: Path) -> Record:
    """A record whose events are two files beside the directory."""
    files = {name: directory.parent / f"{name}.csv" for name in ("a", "b")}
    for file in files.values():
        file.write_text("id\n1\n2\n")
    return Record(DUCHIES, files, EventFile(Path()), Sketch())


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The directory of a consortium that is down, without keys as yet."""
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    new(directory).write(directory)
    return directory


@contextmanager
def a_party_that_lingers(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """As after kill -9 of the supervisor: nobody runs the directory, and a party has not ended yet."""
    descriptor = lock.acquire(directory, lock.PARTIES)
    assert descriptor is not None
    program = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(program, pass_fds=(descriptor,)) as party:
        os.close(descriptor)
        yield party
        party.kill()


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    descriptor = lock.acquire(directory)
    assert descriptor is not None
    yield
    os.close(descriptor)


def commands_of(directory: Path) -> list[bytes]:
    found = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return [command for command in found if str(directory).encode() in command]


@pytest.mark.parametrize("existed", [False, True])
def test_a_new_consortium_that_does_not_start_leaves_nothing_behind(tmp_path: Path, existed: bool) -> None:
    directory = tmp_path / "run"
    if existed:
        directory.mkdir(mode=0o700)
    with pytest.raises(PartyFailed, match="did not start within 0 s"):
        bring_up(directory, new(directory), {}, seconds=0.0)
    assert directory.exists() == existed
    assert not existed or list(directory.iterdir()) == []
    assert commands_of(directory) == []


def test_what_is_there_already_stays_when_it_does_not_start(made: Path) -> None:
    before = (made / "standing.json").read_bytes()
    with pytest.raises(PartyFailed):
        bring_up(made, seconds=0.0)
    assert (made / "standing.json").read_bytes() == before
    assert state_of(made) == DOWN


def test_the_end_of_the_log_is_told_when_the_parties_cannot_start(made: Path) -> None:
    (made / "kingdom").write_text("a file in the place of the kingdom's directory")
    with pytest.raises(PartyFailed, match=r"(?s)did not start\. The end of its log:.*the directory of kingdom"):
        bring_up(made)
    assert state_of(made) == DOWN


def test_taking_down_ends_what_is_just_starting(tmp_path: Path) -> None:
    directory, raised = tmp_path / "run", list[Exception]()

    def up() -> None:
        try:
            bring_up(directory, new(directory), {})
        except PartyFailed as error:
            raised.append(error)

    starting = threading.Thread(target=up)
    starting.start()
    until = time.monotonic() + 10
    while not (directory / "standing.json").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert take_down(directory)
    starting.join()
    assert "was taken down while it started" in str(raised[0])
    assert not directory.exists()
    assert commands_of(directory) == []


def test_a_second_up_is_refused_while_another_one_starts_or_ends(made: Path) -> None:
    with locked(made), pytest.raises(ConfigurationError, match="is starting or ending"):
        bring_up(made)


def test_two_ups_of_a_new_directory_do_not_mix(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    with locked(directory):
        with pytest.raises(ConfigurationError, match="is starting or ending"):
            bring_up(directory, new(directory), {})
        assert [path.name for path in directory.iterdir()] == [lock.SUPERVISOR]


@pytest.mark.parametrize("content", ["a file of somebody", ""])
def test_a_directory_with_something_in_it_is_not_touched(tmp_path: Path, content: str) -> None:
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    (directory / "mine").write_text(content)
    with pytest.raises(ConfigurationError, match="is not empty"):
        bring_up(directory, new(directory), {})
    assert [path.name for path in directory.iterdir()] == ["mine"]


def test_taking_up_waits_for_what_a_killed_supervisor_left(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "GRACE_SECONDS", 0.2)
    with a_party_that_lingers(made):
        assert state_of(made) == CHANGING
        with pytest.raises(PartyFailed, match=r"did not end within 0 s.*fuser -v .*parties\.lock"):
            bring_up(made)
    assert state_of(made) == DOWN


def test_taking_down_returns_when_the_last_process_has_ended(made: Path) -> None:
    with a_party_that_lingers(made) as party:
        killing = threading.Timer(0.3, party.kill)
        killing.start()
        assert take_down(made)
        assert party.wait(1) != 0
        assert state_of(made) == DOWN


def test_taking_down_says_so_when_a_process_does_not_end(made: Path) -> None:
    with a_party_that_lingers(made), pytest.raises(PartyFailed, match="did not end within 0 s"):
        take_down(made, seconds=0.1)


def test_taking_down_what_is_down_changes_nothing(made: Path) -> None:
    before = sorted(made.iterdir())
    assert not take_down(made)
    assert sorted(made.iterdir()) == before


def test_expired_keys_are_told_before_anything_starts(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = authority.Root.create
    start = datetime.now(UTC) - timedelta(days=31)
    monkeypatch.setattr(authority.Root, "create", lambda name: real(name, start=start))
    development.make(made / "keys", duchies=DUCHIES, data_providers=("a", "b"))
    with pytest.raises(ConfigurationError, match=r"the development keys in .* expired at .* UTC") as caught:
        bring_up(made)
    assert "new consortium" in caught.value.cure
    assert not (made / "logs").exists()


def test_events_that_are_gone_are_told_before_anything_starts(made: Path) -> None:
    (made.parent / "b.csv").unlink()
    with pytest.raises(ConfigurationError, match="the events of b"):
        bring_up(made)
    assert not (made / "logs").exists()
