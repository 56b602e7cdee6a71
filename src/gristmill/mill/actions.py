"""The names in the protocol tables, as functions. Importing this module fails if a table names one that is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gristmill import _native as native
from gristmill.errors import MAKE_ROOM, NO_ROOM, BadInput, BlobUnavailable, CryptographyFault, StorageFull
from gristmill.mill import keys, llv2
from gristmill.mill.job import Act, Compute, Job
from gristmill.protocols.llv2 import LLV2, LLV2_REACH
from gristmill.protocols.table import Work

ACTS: Mapping[str, Act] = {
    "publish_key": keys.publish_key,
    "verify_participants_and_combine_keys": keys.verify_participants_and_combine_keys,
}
"""Of rows that deliver nothing."""

COMPUTES: Mapping[str, Compute] = {
    "add_noise": llv2.add_noise,
    "merge_and_add_noise": llv2.merge_and_add_noise,
    "blind_registers": llv2.blind_registers,
    "join_registers": llv2.join_registers,
    "decrypt_flags": llv2.decrypt_flags,
    "estimate_reach": llv2.estimate_reach,
    "decrypt_counts": llv2.decrypt_counts,
    "estimate_frequency": llv2.estimate_frequency,
}
"""Of rows that make an output and deliver it."""

FIND_REACH = frozenset({"estimate_reach"})
"""Those whose reach is kept beside the output."""


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


for _protocol in (LLV2, LLV2_REACH):
    for _path in _protocol.paths.values():
        for _row in _path:
            if isinstance(_row, Work) and _row.action not in (ACTS if _row.delivers is None else COMPUTES):
                raise ImportError(f"{_protocol.name} has the action {_row.action}, but the mill has no such function")
