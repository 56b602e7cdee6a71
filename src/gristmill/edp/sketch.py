"""From VIDs to an encrypted sketch in a file (LLv2 specification, section 1)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gristmill import _native
from gristmill.edp.requisition import SketchParameters

OnProgress = Callable[[int, int], None]
"""Called with items done and items in all."""


def write_encrypted_sketch(
    vids: Sequence[int],
    parameters: SketchParameters,
    duchy_keys: Sequence[bytes],
    *,
    output: Path,
    threads: int,
    on_progress: OnProgress | None = None,
) -> int:
    """Sample the VIDs, put them into a sketch, encrypt it to all duchies' keys together; the number of registers.

    `output` must not exist; it becomes the concatenated registers, 198 bytes each. Without people in the sample it is
    an empty file.
    """
    registers = _native.build_sketch(
        vids,
        decay_rate=parameters.decay_rate,
        size=parameters.size,
        sampling_indicator_size=parameters.sampling_indicator_size,
        sampling_start=parameters.sampling_start,
        sampling_width=parameters.sampling_width,
    )
    progress = _native.Progress()
    with _reported(progress, on_progress):
        return _native.encrypt_sketch(
            registers,
            output=str(output),
            public_key=_native.combine_public_keys(duchy_keys),
            maximum_frequency=parameters.maximum_frequency,
            randomness=_native.Randomness.operating_system(),
            threads=threads,
            progress=progress,
        )


@contextmanager
def _reported(progress: _native.Progress, on_progress: OnProgress | None) -> Iterator[None]:
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
