"""Telling how far native work has come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gristmill import _native

OnProgress = Callable[[int, int], None]
"""Called with items done and items in all."""


@contextmanager
def reported(progress: _native.Progress, on_progress: OnProgress | None) -> Iterator[None]:
    """Report while the block runs, twice a second, and at its end."""
    if on_progress is None:
        yield
        return
    done = threading.Event()

    def report() -> None:
        while not done.wait(0.5):
            on_progress(progress.done, progress.total)

    thread = threading.Thread(target=report, name="edp-progress", daemon=True)
    thread.start()
    try:
        yield
        on_progress(progress.done, progress.total)
    finally:
        done.set()
        thread.join()
