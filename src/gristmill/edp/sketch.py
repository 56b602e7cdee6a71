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

    `output` must not exist; it becomes the concatenated registers, 198 bytes each or, for reach alone, 66. Without
    people in the sample it is an empty file.
    """
    parameters, public_key = task.parameters, _native.combine_public_keys(task.duchy_keys)
    progress, randomness = _native.Progress(), _native.Randomness.operating_system()
    if parameters.sampling_indicator_size is None:
        indexes = _native.active_indexes(
            vids,
            decay_rate=parameters.decay_rate,
            size=parameters.size,
            sampling_start=parameters.sampling_start,
            sampling_width=parameters.sampling_width,
        )
        with reported(progress, on_progress):
            return _native.encrypt_reach_only_sketch(
                indexes,
                output=str(output),
                public_key=public_key,
                randomness=randomness,
                threads=threads,
                progress=progress,
            )
    registers = _native.build_sketch(
        vids,
        decay_rate=parameters.decay_rate,
        size=parameters.size,
        sampling_indicator_size=parameters.sampling_indicator_size,
        sampling_start=parameters.sampling_start,
        sampling_width=parameters.sampling_width,
    )
    with reported(progress, on_progress):
        return _native.encrypt_sketch(
            registers,
            output=str(output),
            public_key=public_key,
            maximum_frequency=parameters.maximum_frequency,
            randomness=randomness,
            threads=threads,
            progress=progress,
        )
