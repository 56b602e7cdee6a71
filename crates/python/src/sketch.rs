//! The data provider's side.

use crate::errors::raise;
use crate::sources::{Progress, Randomness};
use protocols::sketch::{LiquidLegions, Register, Sampling};
use protocols::work::Work;
use pyo3::prelude::*;
use std::path::PathBuf;

#[pyfunction]
#[pyo3(signature = (vids, *, decay_rate, size, sampling_indicator_size, sampling_start = 0.0, sampling_width = 1.0))]
pub fn build_sketch(
    py: Python<'_>,
    vids: Vec<i64>,
    decay_rate: f64,
    size: u64,
    sampling_indicator_size: u64,
    sampling_start: f64,
    sampling_width: f64,
) -> PyResult<Vec<(i64, i64, i64)>> {
    let parameters = LiquidLegions { decay_rate, size };
    let registers = py.detach(|| {
        let sampling = Sampling::new(sampling_start, sampling_width)?;
        protocols::sketch::build_sketch(&vids, &parameters, sampling_indicator_size, &sampling)
    });
    let registers = registers.map_err(raise)?;
    Ok(registers.into_iter().map(|register| (register.index, register.stored_key, register.frequency)).collect())
}

#[pyfunction]
#[pyo3(signature = (vids, *, decay_rate, size, sampling_start = 0.0, sampling_width = 1.0))]
pub fn active_indexes(
    py: Python<'_>,
    vids: Vec<i64>,
    decay_rate: f64,
    size: u64,
    sampling_start: f64,
    sampling_width: f64,
) -> PyResult<Vec<i64>> {
    py.detach(|| {
        let sampling = Sampling::new(sampling_start, sampling_width)?;
        protocols::sketch::active_indexes(&vids, &LiquidLegions { decay_rate, size }, &sampling)
    })
    .map_err(raise)
}

#[pyfunction]
#[pyo3(signature = (registers, *, output, public_key, maximum_frequency, randomness, threads, progress, block = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn encrypt_sketch(
    py: Python<'_>,
    registers: Vec<(i64, i64, i64)>,
    output: PathBuf,
    public_key: &[u8],
    maximum_frequency: i64,
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
) -> PyResult<u64> {
    let registers: Vec<Register> =
        registers.into_iter().map(|(index, stored_key, frequency)| Register { index, stored_key, frequency }).collect();
    py.detach(|| {
        let work = Work::new(threads, block, &progress.0)?;
        protocols::sketch::encrypt_sketch(&registers, &output, public_key, maximum_frequency, &randomness.0, &work)
    })
    .map_err(raise)
}

#[pyfunction]
#[pyo3(signature = (indexes, *, output, public_key, randomness, threads, progress, block = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn encrypt_reach_only_sketch(
    py: Python<'_>,
    indexes: Vec<i64>,
    output: PathBuf,
    public_key: &[u8],
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
) -> PyResult<u64> {
    py.detach(|| {
        let work = Work::new(threads, block, &progress.0)?;
        protocols::sketch::encrypt_reach_only_sketch(&indexes, &output, public_key, &randomness.0, &work)
    })
    .map_err(raise)
}

#[pyfunction]
pub fn vid_sample(vid: i64) -> f64 {
    f64::from(protocols::sketch::vid_sample(vid))
}
