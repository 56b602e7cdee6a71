"""What a standing consortium is made of, as its directory remembers it, and which measurements were asked of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from gristmill.consumer.request import Privacy
from gristmill.edp.events import EventFile
from gristmill.errors import ConfigurationError
from gristmill.measure import method, publishers
from gristmill.measure.method import Method
from gristmill.measure.question import Question
from gristmill.trust.files import make_private_directory, require_private_directory, write_private_file

RECORD: Final = "standing.json"
_FORMAT: Final = 2


@dataclass(frozen=True, slots=True)
class Record:
    """The parties and their events, in absolute paths. `columns` says what the columns of every file are called.

    Files in the consortium's own directory are on record by their place in it: it can be moved while it is down.
    """

    duchies: tuple[str, ...]
    files: Mapping[str, Path]
    columns: EventFile
    method: Method

    @classmethod
    def read(cls, directory: Path) -> Self:
        """ConfigurationError unless `directory` is private and was made by `gristmill consortium up`."""
        if not directory.exists():
            raise ConfigurationError(
                f"there is no consortium in {directory}", cure=f"Make one with gristmill consortium up {directory}"
            )
        require_private_directory(directory, what="the consortium's directory")
        try:
            content = json.loads((directory / RECORD).read_text())
            if content.pop("format") != _FORMAT:
                raise ValueError
            return cls(
                duchies=tuple(content["duchies"]),
                files={str(name): directory / file for name, file in content["files"].items()},
                columns=EventFile(Path(), **content["columns"]),
                method=method.read(content["method"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigurationError(
                f"{directory} was not made by gristmill consortium up", cure="Give a new directory, or one that was."
            ) from None

    def write(self, directory: Path) -> None:
        columns = self.columns
        content = {
            "format": _FORMAT,
            "duchies": self.duchies,
            "files": {name: str(_within(directory, file)) for name, file in self.files.items()},
            "columns": {
                "id_column": columns.id_column,
                "where": dict(columns.where),
                "time_column": columns.time_column,
                "integer_ids": columns.integer_ids,
            },
            "method": method.described(self.method),
        }
        replace_private_file(directory / RECORD, content)

    def require_files(self) -> None:
        """ConfigurationError for events that are not there any more."""
        for name, file in self.files.items():
            if not file.is_file() or not os.access(file, os.R_OK):
                raise ConfigurationError(
                    f"the events of {name}, {file}, cannot be read any more", cure="Put the file back where it was."
                )

    def events(self) -> dict[str, EventFile]:
        columns = replace(self.columns, population=method.population(self.method))
        return {name: replace(columns, path=file) for name, file in self.files.items()}

    def question(self, **asked: Any) -> Question:
        """A question to these parties; they fix the method and the duchies."""
        return Question(**asked, method=self.method, duchies=self.duchies)

    def publishers(self, question: Question, names: tuple[str, ...] = ()) -> list[publishers.Publisher]:
        """Read the events of these data providers (all if empty); ConfigurationError says what is wrong with them."""
        if unknown := sorted(set(names) - set(self.files)):
            raise ConfigurationError(
                f"the consortium has no data provider {unknown[0]}", cure=f"It has {', '.join(self.files)}."
            )
        chosen = [(name, file) for name, file in self.files.items() if not names or name in names]
        return publishers.read(chosen, self.columns, question)


def _within(directory: Path, file: Path) -> Path:
    return file.relative_to(directory) if file.is_relative_to(directory) else file


def replace_private_file(path: Path, content: object) -> None:
    """Write JSON so that a reader finds the old content or the new one, whole."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_private_file(new, (json.dumps(content, indent=2) + "\n").encode())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", cure="Make room on the disk.") from None


def note(directory: Path, measurement: str, question: Question, names: tuple[str, ...]) -> None:
    """Remember what was asked, so that the answer can still be fetched when the asker is gone."""
    folder = directory / "measurements"
    make_private_directory(folder, what="the directory of what was asked")
    content = {
        "measurement": measurement,
        "data_providers": names,
        "reach": asdict(question.reach),
        "frequency": asdict(question.frequency) if question.frequency else None,
        "maximum_frequency": question.maximum_frequency,
        "sampling": question.sampling,
        "start": question.start.isoformat() if question.start else None,
        "end": question.end.isoformat() if question.end else None,
    }
    replace_private_file(folder / f"{measurement.rpartition('/')[2]}.json", content)


def noted(directory: Path, record: Record, identifier: str) -> tuple[str, Question, tuple[str, ...]]:
    """The measurement's name, its question, and the data providers that it is asked of (empty: all)."""
    folder = directory / "measurements"
    identifier = identifier.rpartition("/")[2]
    known = sorted(file.stem for file in folder.glob("*.json"))
    if identifier not in known:
        raise ConfigurationError(
            f"no measurement {identifier} was asked of this consortium",
            cure=f"Known are {', '.join(known)}." if known else "None was asked yet.",
        )
    try:
        content = json.loads((folder / f"{identifier}.json").read_text())
        question = record.question(
            reach=Privacy(**content["reach"]),
            frequency=Privacy(**content["frequency"]) if content["frequency"] else None,
            maximum_frequency=content["maximum_frequency"],
            sampling=tuple(content["sampling"]),
            start=datetime.fromisoformat(content["start"]) if content["start"] else None,
            end=datetime.fromisoformat(content["end"]) if content["end"] else None,
        )
        return str(content["measurement"]), question, tuple(content["data_providers"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"what is on record of measurement {identifier} cannot be read", cure="Ask it anew, without --measurement."
        ) from None
