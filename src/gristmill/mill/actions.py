"""The names in the protocol tables, as functions. Importing this module fails if a table names one that is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gristmill import _native as native
from gristmill.errors import MAKE_ROOM, NO_ROOM, BadInput, BlobUnavailable, CryptographyFault, StorageFull
from gristmill.mill import llv2, reach_only, share_shuffle
from gristmill.mill.job import Actions, Job
from gristmill.protocols import registry
from gristmill.protocols.llv2 import LLV2
from gristmill.protocols.reach_only import REACH_ONLY
from gristmill.protocols.share_shuffle import SHARE_SHUFFLE
from gristmill.protocols.table import Work

ACTIONS: Mapping[int, Actions] = {
    LLV2.number: llv2.ACTIONS,
    REACH_ONLY.number: reach_only.ACTIONS,
    SHARE_SHUFFLE.number: share_shuffle.ACTIONS,
}
"""By computation type. Whoever adds a protocol, adds it here."""


def of(job: Job) -> Actions:
    """What to do for the job's protocol."""
    return ACTIONS[job.seat.protocol.number]


@contextmanager
def translating(job: Job) -> Iterator[None]:
    """Turn the native core's errors, and those of files, into ours."""
    try:
        yield
    except native.Cancelled:
        job.activity.check()
        raise
    except native.InvalidArgument as error:
        raise BadInput(f"{job.stage.name}: {_with_senders(job, str(error))}") from error
    except native.InternalError as error:
        raise CryptographyFault(f"{job.stage.name}: {error}") from error
    except OSError as error:
        message = f"{job.stage.name}: {error.strerror or error}"
        if error.errno in NO_ROOM:
            raise StorageFull(message, cure=MAKE_ROOM) from error
        raise BlobUnavailable(message, cure="Check the storage directory.") from error


def _with_senders(job: Job, text: str) -> str:
    """The native core names the file that is at fault; others are told who sent it."""
    for path, sender in job.senders().items():
        text = text.replace(str(path), sender)
    return text


def _missing() -> Iterator[str]:
    for computation_type, actions in ACTIONS.items():
        for table in registry.by_number(computation_type).tables:
            for row in (row for path in table.paths.values() for row in path if isinstance(row, Work)):
                if row.action not in (actions.acts if row.delivers is None else actions.computes):
                    yield f"{table.name} has the action {row.action}, but the mill has no such function"


for _fault in _missing():
    raise ImportError(_fault)
