"""How the values of flags are read (existing system's parsing rules; what it skips silently is refused here)."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.cli import flags
from gristmill.cli.main import Parser
from gristmill.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(minutes=90)),
        ("180d", timedelta(days=180)),
        ("0s", timedelta(0)),
        ("250ms", timedelta(milliseconds=250)),
        ("1500ns", timedelta(microseconds=1)),
        ("1s1s", timedelta(seconds=2)),
    ],
)
def test_valid_durations_are_sums_of_integers_with_units(text: str, value: timedelta) -> None:
    assert flags.duration(text) == value


@pytest.mark.parametrize("text", ["", "10", "1.5m", "abc", "-5s", "5 m", "5M", "5s ", "1us", "٣s", "9" * 30 + "d"])
def test_anything_else_is_refused_as_a_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        flags.duration(text)


@given(st.dictionaries(st.sampled_from(["d", "h", "m", "s", "ms"]), st.integers(0, 999), min_size=1))
def test_a_duration_is_the_sum_of_its_parts_in_any_order(parts: dict[str, int]) -> None:
    milliseconds = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
    text = "".join(f"{amount}{unit}" for unit, amount in parts.items())
    expected = sum(amount * milliseconds[unit] for unit, amount in parts.items())
    assert flags.duration(text) == timedelta(milliseconds=expected)


@pytest.mark.parametrize(
    ("given_", "value"),
    [([], False), (["--x"], True), (["--x=true"], True), (["--x=false"], False), (["--x", "true"], True)],
)
def test_a_boolean_may_be_bare(given_: list[str], value: bool) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_boolean(parser, "--x", default=False, help="")
    assert parser.parse_args(given_).x is value


@pytest.mark.parametrize("computation", ["-bcDEF123_-", "-_cDEF123_0", "LHdjUf0z6dc"])
def test_an_id_may_begin_with_a_hyphen(computation: str) -> None:
    parser = Parser(allow_abbrev=False)
    parser.add_argument("--version-number", type=int)
    parser.add_argument("--computation-id")
    show = parser.add_subparsers(dest="action").add_parser("show")
    show.add_argument("computation")
    read = parser.parse_args(["--version-number", "-5", "--computation-id", computation, "show", computation])
    assert (read.version_number, read.computation_id, read.computation) == (-5, computation, computation)


@pytest.mark.parametrize("arguments", [["--computation-id", "-bcDEF123_-x"], ["--computatio"], ["-computation=1"]])
def test_what_is_neither_a_flag_nor_an_id_is_still_refused(arguments: list[str]) -> None:
    parser = Parser(allow_abbrev=False)
    parser.add_argument("--computation-id")
    with pytest.raises(SystemExit) as exit_:
        parser.parse_args(arguments)
    assert exit_.value.code == 2


@pytest.mark.parametrize("arguments", [["--x=yes"], ["--x=True"], ["--y"], ["--flag-na=1"], ["--kind=a"]])
def test_usage_errors_exit_with_2(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_boolean(parser, "--x", default=False, help="")
    parser.add_argument("--flag-name")
    flags.add_enum(parser, "--kind", ("A", "B"))
    with pytest.raises(SystemExit) as exit_:
        parser.parse_args(arguments)
    assert exit_.value.code == 2


def test_a_map_is_given_one_entry_at_a_time() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_map(parser, "--t", help="")
    entries = parser.parse_args(["--t=a=h:1", "--t", "b=x=y"]).t
    assert flags.mapping("--t", entries) == {"a": "h:1", "b": "x=y"}
    with pytest.raises(ConfigurationError, match="twice for a"):
        flags.mapping("--t", [*entries, ("a", "other")])


@pytest.mark.parametrize("text", ["localhost", ":1", "localhost:", "localhost:0", "localhost:99999", "localhost:x"])
def test_a_target_needs_host_and_port(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        flags.target(text)


def database(*arguments: str) -> flags.DatabaseFlags:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_database(parser)
    return flags.database(parser.parse_args(arguments))


def test_a_database_is_sqlite_or_postgres(tmp_path: Path) -> None:
    sqlite = database(f"--sqlite-database={tmp_path}/duchy.db")
    assert sqlite.url.expose() == f"sqlite+aiosqlite:///{tmp_path}/duchy.db".encode()
    postgres = ["--postgres-host=h", "--postgres-port=5432", "--postgres-user=u", "--postgres-password=p@/:"]
    assert database(*postgres, "--postgres-database=d").url.expose() == b"postgresql+asyncpg://u:p%40%2F%3A@h:5432/d"
    for wrong in ([], [*postgres[:2]], [*postgres, "--sqlite-database=x"]):
        with pytest.raises(ConfigurationError):
            database(*wrong)


def test_a_password_is_not_printed() -> None:
    password = database("--postgres-host=h", "--postgres-port=1", "--postgres-user=u", "--postgres-password=marker")
    assert "marker" not in repr(password)


def test_exactly_one_kind_of_storage_is_given() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_storage(parser)
    directory, forwarded = "--file-system-storage-directory=d", "--forwarded-storage-service-target=h:1"
    assert flags.storage(parser.parse_args([directory])).directory == Path("d")
    assert flags.storage(parser.parse_args([forwarded])).forwarded_target == "h:1"
    for wrong in ([], [directory, forwarded]):
        with pytest.raises(ConfigurationError):
            flags.storage(parser.parse_args(wrong))
