"""A population's events in files, one a publisher, with the exact answer beside them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final, Protocol

from gristmill.errors import MAKE_ROOM, NO_ROOM, ConfigurationError, FileUnusable, StorageFull
from gristmill.synth.population import Event, Exact, Population, events

EXACT: Final = "exact.json"
COLUMNS: Final = ("id", "time", "device")
_BATCH_ROWS: Final = 65_536


class Writer(Protocol):
    """Takes one publisher's events."""

    def write(self, event: Event) -> None: ...


def write(population: Population, directory: Path, *, parquet: bool = False) -> Exact:
    """Make `directory`, with a file for each publisher and `exact.json`; all of it or nothing.

    ConfigurationError if the directory exists with something in it or cannot be made, or if pyarrow is missing;
    StorageFull if the disk is full.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigurationError(f"{directory} exists and is not empty", cure="Give a new directory.")
    ending = "parquet" if parquet else "csv"
    if parquet:
        _require_pyarrow()
    exact = Exact()
    missing = [parent for parent in directory.parents if not parent.exists()]
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            unfinished.chmod(0o755)
            with ExitStack() as stack:
                opened = _parquet if parquet else _csv
                writers: dict[str, Writer] = {
                    name: stack.enter_context(opened(unfinished / f"{name}.{ending}", population))
                    for name in population.names()
                }
                for event in events(population, exact):
                    writers[event.publisher].write(event)
            answer = json.dumps(described(population, exact, ending), indent=2)
            (unfinished / EXACT).write_text(answer + "\n")
            unfinished.rename(directory)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except BaseException as error:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            message = f"{directory} cannot be written: {error.strerror}"
            if error.errno in NO_ROOM:
                raise StorageFull(message, cure=MAKE_ROOM) from None
            raise FileUnusable(message, cure="Give another place.") from None
        raise
    return exact


def described(population: Population, exact: Exact, ending: str) -> dict[str, Any]:
    """The exact answer with the parameters that the events were made from, for JSON."""
    return {
        "parameters": asdict(population) | {"start": population.start.isoformat()},
        "reach": exact.reach,
        "events": exact.events.total(),
        "frequency": {str(times): exact.frequency[times] for times in sorted(exact.frequency)},
        "publishers": {
            name: {"file": f"{name}.{ending}", "events": exact.events[name], "reach": exact.reach_of[name]}
            for name in population.names()
        },
    }


class _CsvWriter:
    """None of the values needs quotes."""

    def __init__(self, file: IO[str]) -> None:
        self._write = file.write
        self._write(",".join(COLUMNS) + "\n")

    def write(self, event: Event) -> None:
        _, person, time, device = event
        self._write(f"{person},{time},{device}\n")


@contextmanager
def _csv(path: Path, population: Population) -> Iterator[Writer]:
    with path.open("w", newline="", encoding="utf-8", buffering=1 << 20) as file:
        yield _CsvWriter(file)


class _ParquetWriter:
    def __init__(self, file: Any, schema: Any) -> None:
        self._file, self._schema, self._batch = file, schema, list[Event]()

    def write(self, event: Event) -> None:
        self._batch.append(event)
        if len(self._batch) == _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        import pyarrow

        self._file.write_table(pyarrow.table(_columns(self._batch, self._schema), schema=self._schema))
        self._batch.clear()


def _columns(batch: Iterable[Event], schema: Any) -> list[Any]:
    import pyarrow

    rows = [(event.person, event.time, event.device) for event in batch]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return [
        pyarrow.array(list(column), pyarrow.string()).cast(kind.type)
        for column, kind in zip(columns, schema, strict=True)
    ]


@contextmanager
def _parquet(path: Path, population: Population) -> Iterator[Writer]:
    import pyarrow
    from pyarrow import parquet

    person = pyarrow.string() if population.text_ids else pyarrow.int64()
    kinds = (person, pyarrow.timestamp("us", "UTC"), pyarrow.string())
    schema = pyarrow.schema(list(zip(COLUMNS, kinds, strict=True)))
    with parquet.ParquetWriter(path, schema) as file:
        writer = _ParquetWriter(file, schema)
        yield writer
        writer.flush()


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "writing Parquet needs pyarrow, which is not installed", cure="pip install 'gristmill[parquet]'"
        ) from None
