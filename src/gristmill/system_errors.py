"""Errors of the operating system that nobody expected, as errors for people."""

from __future__ import annotations

from gristmill.errors import MAKE_ROOM, NO_ROOM, FileUnusable, GristmillError, StorageFull


def of_system(error: OSError) -> GristmillError:
    """What an error of the operating system, which nobody expected, means to the user of a command."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in NO_ROOM:
        return StorageFull(f"{error.filename or 'a file or the output'} cannot be written: {reason}", cure=MAKE_ROOM)
    if error.filename:
        return FileUnusable(f"{error.filename} cannot be used: {reason}", cure="Check the path, and who may use it.")
    return GristmillError(f"the system refused: {reason}")
