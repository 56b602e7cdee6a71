//! The stages of reach-only Liquid Legions version 2.

use crate::call::Call;
use crate::errors::raise;
use crate::noise::{Baseline, RegisterNoise};
use crate::sources::{Progress, Randomness};
use protocols::estimator::Sketch;
use protocols::reach_only;
use protocols::sort::DEFAULT_MEMORY;
use protocols::work::Work;
use pyo3::prelude::*;
use std::path::PathBuf;

#[pyfunction]
#[pyo3(signature = (*, own, received, output, public_key, noise, randomness, threads, progress, block = None, sort_memory = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn reach_only_setup(
    py: Python<'_>,
    own: Vec<PathBuf>,
    received: Vec<PathBuf>,
    output: PathBuf,
    public_key: &[u8],
    noise: Option<&RegisterNoise>,
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
    sort_memory: Option<u64>,
) -> PyResult<u64> {
    let call = Call { inputs: own, output, randomness: &randomness.0, threads, progress, block, sort_memory };
    let noise = noise.map(|noise| &noise.0);
    call.run(py, |stage| reach_only::setup(stage, &received, public_key, noise))
}

#[pyfunction]
#[pyo3(signature = (*, inputs, output, secret_key, randomness, threads, progress, block = None, sort_memory = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn reach_only_blind_registers(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    output: PathBuf,
    secret_key: &[u8],
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
    sort_memory: Option<u64>,
) -> PyResult<u64> {
    let call = Call { inputs, output, randomness: &randomness.0, threads, progress, block, sort_memory };
    call.run(py, |stage| reach_only::blind_registers(stage, secret_key))
}

#[pyclass(module = "gristmill._native", frozen, get_all)]
pub struct ReachOnlyFigures {
    reach: i64,
    registers: u64,
    distinct: u64,
    excessive_noise: u64,
    active: u64,
}

#[pyfunction]
#[pyo3(signature = (*, inputs, spill_folder, secret_key, decay_rate, sketch_size, sampling_width, reach_baseline, noise, threads,
                    progress, block = None, sort_memory = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn reach_only_estimate_reach(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    spill_folder: PathBuf,
    secret_key: &[u8],
    decay_rate: f64,
    sketch_size: i64,
    sampling_width: f64,
    reach_baseline: Option<&Baseline>,
    noise: Option<&RegisterNoise>,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
    sort_memory: Option<u64>,
) -> PyResult<ReachOnlyFigures> {
    let measurement = reach_only::Measurement {
        sketch: Sketch { decay_rate, size: sketch_size.max(0) as u64, sampling_width },
        reach_baseline: reach_baseline.map(|baseline| &baseline.0),
        noise: noise.map(|noise| &noise.0),
    };
    let sort_memory = sort_memory.unwrap_or(DEFAULT_MEMORY);
    let figures = py.detach(|| {
        let work = Work::new(threads, block, &progress.0)?;
        reach_only::estimate_reach(&inputs, &work, secret_key, &measurement, &spill_folder, sort_memory)
    });
    let reach_only::ReachFigures { reach, registers, distinct, excessive_noise, active } = figures.map_err(raise)?;
    Ok(ReachOnlyFigures { reach, registers, distinct, excessive_noise, active })
}
