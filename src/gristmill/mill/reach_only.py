"""The computing stages of reach-only Liquid Legions v2 (its specification, sections 4 and 5), as calls of the core."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gristmill import _native as native
from gristmill.mill import keys, results
from gristmill.mill.job import Actions, Found, Job
from gristmill.mill.liquid_legions import (
    computing,
    names,
    reach_baseline,
    register_noise,
    secret_key,
    setup,
)
from wfa.measurement.api.v2alpha.measurement_pb2 import Measurement

GROUP_FLOOR: Final = 1
"""One register at least has the index of publisher noise, and one that of padding: the aggregator takes off both."""


def add_noise(job: Job, output: Path) -> Found:
    """Setup phase of a non-aggregator: its requisitions and noise registers, shuffled, and its excessive noise."""
    return _setup(job, output, ())


def merge_and_add_noise(job: Job, output: Path) -> Found:
    """Setup phase of the aggregator: everybody's registers and excessive noise with its own, shuffled."""
    return _setup(job, output, job.inputs)


def _setup(job: Job, output: Path, received: tuple[Path, ...]) -> Found:
    return setup(job, output, received, native.reach_only_setup, group_floor=GROUP_FLOOR)


def blind_registers(job: Job, output: Path) -> Found:
    """Execution phase of a non-aggregator."""
    with computing(job, "blinding registers", "registers") as progress:
        native.reach_only_blind_registers(
            inputs=names(job.inputs),
            output=str(output),
            secret_key=secret_key(job).expose(),
            randomness=native.Randomness.operating_system(),
            threads=job.services.threads,
            progress=progress,
        )
    return Found()


def estimate_reach(job: Job, output: Path) -> Found:
    """Execution phase of the aggregator: the reach. Its output is empty, as the existing mill's, and only a mark."""
    sketch = job.details.parameters.sketch_parameters
    with computing(job, "estimating reach", "registers") as progress:
        figures = native.reach_only_estimate_reach(
            inputs=names(job.inputs),
            spill_folder=str(output.parent),
            secret_key=secret_key(job).expose(),
            decay_rate=sketch.decay_rate,
            sketch_size=sketch.size,
            sampling_width=job.measurement_spec().vid_sampling_interval.width,
            reach_baseline=reach_baseline(job),
            noise=register_noise(job, group_floor=GROUP_FLOOR),
            threads=job.services.threads,
            progress=progress,
        )
    output.touch()
    return Found(reach=figures.reach)


def result(job: Job, output: Path, reach: int | None) -> Measurement.Result:
    """The reach; the existing mill names Liquid Legions v2 as its methodology."""
    return results.of_reach(reach, job.protocol_member)


ACTIONS = Actions(
    acts=keys.ACTS,
    computes={
        "add_noise": add_noise,
        "merge_and_add_noise": merge_and_add_noise,
        "blind_registers": blind_registers,
        "estimate_reach": estimate_reach,
    },
    result=result,
    find_reach=frozenset({"estimate_reach"}),
)
