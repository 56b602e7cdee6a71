"""From VIDs to an encrypted sketch in a file (LLv2 specification, section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gristmill import _native
from gristmill.edp.liquid_legions import SketchTask
from gristmill.edp.progress import OnProgress, reported


def write_encrypted_sketch(
    vids: Sequence[int],
    task: SketchTask,
    *,
    output: Path,
    threads: int,
    on_progress: OnProgress | None = None,
) -> int:
    """Sample the VIDs, put them into a sketch, encrypt it to all duchies' keys together; the number of registers.

    `output` must not exist; it becomes the concatenated registers, 198 bytes each. Without people in the sample it is
    an empty file.
    """
    parameters = task.parameters
    registers = _native.build_sketch(
        vids,
        decay_rate=parameters.decay_rate,
        size=parameters.size,
        sampling_indicator_size=parameters.sampling_indicator_size,
        sampling_start=parameters.sampling_start,
        sampling_width=parameters.sampling_width,
    )
    progress = _native.Progress()
    with reported(progress, on_progress):
        return _native.encrypt_sketch(
            registers,
            output=str(output),
            public_key=_native.combine_public_keys(task.duchy_keys),
            maximum_frequency=parameters.maximum_frequency,
            randomness=_native.Randomness.operating_system(),
            threads=threads,
            progress=progress,
        )
