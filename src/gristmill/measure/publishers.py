"""Publishers and their files, read and checked before anything is started."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from gristmill.edp.events import EventFile, Events, microseconds
from gristmill.errors import ConfigurationError, EventsInvalid
from gristmill.measure.capacity import require_room
from gristmill.measure.method import population
from gristmill.measure.question import Question
from gristmill.measure.truth import Truth, truth

LEAST_PUBLISHERS = 2
_PARTY = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")
_OTHER_PARTIES = ("kingdom", "consumer", "keys", "logs")


@dataclass(frozen=True, slots=True)
class Publisher:
    """A data provider: its name as the user gave it, its party's name, its file, and its events in the period."""

    name: str
    party: str
    file: EventFile
    vids: Sequence[int]


def read(files: Sequence[tuple[str, Path]], columns: EventFile, question: Question) -> list[Publisher]:
    """Read every publisher's file; `columns` says what its columns are called and which rows count.

    ConfigurationError if the names are not usable, a file is bad, has an ID outside the question's population or no
    event in the period, or if the method is too small for people or publishers.
    """
    parties = _parties([name for name, _ in files], question)
    if question.period() and columns.time_column is None:
        raise ConfigurationError("--from and --to need --time-column", cure="Name the column that has the times.")
    _require_own_files(files)
    columns = replace(columns, population=population(question.method))
    publishers = [
        Publisher(name, party, file := replace(columns, path=path), _vids(name, file, question))
        for (name, path), party in zip(files, parties, strict=True)
    ]
    require_room(lambda: len(set(_all(publishers))), len(publishers), question)
    return publishers


def exact(publishers: Sequence[Publisher], question: Question) -> Truth:
    """The exact answer: what nobody who measures privately can know.

    Where VIDs are those of a population, the files are read once more: two IDs that became one VID are two people.
    """
    if population(question.method) is not None:
        everybody = (replace(publisher.file, population=None) for publisher in publishers)
        people = chain.from_iterable(
            _vids(publisher.name, file, question) for publisher, file in zip(publishers, everybody, strict=True)
        )
        return truth(people, question.frequencies)
    return truth(_all(publishers), question.frequencies)


def files(publishers: Sequence[Publisher]) -> Mapping[str, EventFile]:
    """Party -> its file, for a consortium."""
    return {publisher.party: publisher.file for publisher in publishers}


def _all(publishers: Sequence[Publisher]) -> Iterator[int]:
    return chain.from_iterable(publisher.vids for publisher in publishers)


def _parties(names: Sequence[str], question: Question) -> list[str]:
    """Party names: small letters, digits and hyphens."""
    if len(names) < LEAST_PUBLISHERS:
        raise ConfigurationError(
            f"there is {'one publisher' if names else 'no publisher'}, and a measurement needs two",
            cure="Name two or more; one alone knows its own reach.",
        )
    parties = [re.sub(r"[ _.]+", "-", name.lower()) for name in names]
    for name, party in zip(names, parties, strict=True):
        if not _PARTY.fullmatch(party):
            raise ConfigurationError(
                f"{name!r} cannot be a publisher's name", cure="Use up to 42 letters, digits and inner hyphens."
            )
        if party in (*_OTHER_PARTIES, *question.duchies):
            raise ConfigurationError(f"{name} is another party's name", cure="Call the publisher something else.")
        if parties.count(party) > 1:
            raise ConfigurationError(
                f"two publishers are named {party}", cure="Give each a name of its own, and one file each."
            )
    return parties


def _require_own_files(files: Sequence[tuple[str, Path]]) -> None:
    """One file that was given to two publishers by mistake would count everybody twice."""
    owners: dict[tuple[int, int], str] = {}
    for name, path in files:
        with suppress(OSError):  # reading it will say so
            status = path.stat()
            owner = owners.setdefault((status.st_dev, status.st_ino), name)
            if owner != name:
                raise ConfigurationError(
                    f"{owner} and {name} have one and the same file, {path}",
                    cure="Give each publisher its own events.",
                )


def _vids(name: str, file: EventFile, question: Question) -> Sequence[int]:
    events = Events.read(file)
    if not len(events):
        chosen = " and ".join(f"{column}={value}" for column, value in file.where.items())
        raise EventsInvalid(
            f"{name} has no events: no row of {file.path} has " + (f"{chosen} and an ID" if chosen else "an ID"),
            cure="Check --where, whose values must match exactly." if chosen else "Check the file and --id-column.",
        )
    if not question.period():
        return events.vids()
    vids = events.vids(_micros(question.start), _micros(question.end))
    if not vids:
        raise EventsInvalid(
            f"{name} has no events in the period: {file.path} has {len(events):,}, none of them from --from to --to",
            cure="Check --from and --to; times without a zone are UTC, and --to is no longer part of the period.",
        )
    return vids


def _micros(time: datetime | None) -> int | None:
    return None if time is None else microseconds(time)
