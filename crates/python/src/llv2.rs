//! The stages of Liquid Legions version 2.

use crate::call::Call;
use crate::errors::raise;
use crate::noise::{Baseline, RegisterNoise, TupleNoise};
use crate::sources::{Progress, Randomness};
use protocols::estimator::Sketch;
use protocols::llv2;
use protocols::randomness::Randomness as Source;
use protocols::work::Work;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[pyfunction]
#[pyo3(signature = (*, own, received, output, public_key, maximum_frequency, noise, randomness, threads, progress, block = None, sort_memory = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn llv2_setup(
    py: Python<'_>,
    own: Vec<PathBuf>,
    received: Vec<PathBuf>,
    output: PathBuf,
    public_key: Option<&[u8]>,
    maximum_frequency: i64,
    noise: Option<&RegisterNoise>,
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
    sort_memory: Option<u64>,
) -> PyResult<u64> {
    let call = Call { inputs: own, output, randomness: &randomness.0, threads, progress, block, sort_memory };
    let noise = noise.map(|noise| &noise.0);
    call.run(py, |stage| llv2::setup(stage, &received, public_key, maximum_frequency, noise))
}

#[pyfunction]
#[pyo3(signature = (*, inputs, output, secret_key, public_key, randomness, threads, progress, block = None, sort_memory = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn llv2_blind_registers(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    output: PathBuf,
    secret_key: &[u8],
    public_key: &[u8],
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
    sort_memory: Option<u64>,
) -> PyResult<u64> {
    let call = Call { inputs, output, randomness: &randomness.0, threads, progress, block, sort_memory };
    call.run(py, |stage| llv2::blind_registers(stage, secret_key, public_key))
}

#[pyfunction]
#[pyo3(signature = (*, inputs, output, secret_key, public_key, sketches, noise, randomness, threads, progress, block = None, sort_memory = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn llv2_join_registers(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    output: PathBuf,
    secret_key: &[u8],
    public_key: &[u8],
    sketches: i64,
    noise: Option<&TupleNoise>,
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
    sort_memory: Option<u64>,
) -> PyResult<u64> {
    let call = Call { inputs, output, randomness: &randomness.0, threads, progress, block, sort_memory };
    let noise = noise.map(|noise| &noise.0);
    call.run(py, |stage| llv2::join_registers(stage, secret_key, public_key, sketches, noise))
}

#[pyfunction]
#[pyo3(signature = (*, inputs, output, secret_key, public_key, partial_public_key, noise, randomness, threads, progress, block = None, sort_memory = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn llv2_decrypt_flags(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    output: PathBuf,
    secret_key: &[u8],
    public_key: &[u8],
    partial_public_key: &[u8],
    noise: Option<&TupleNoise>,
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
    sort_memory: Option<u64>,
) -> PyResult<u64> {
    let call = Call { inputs, output, randomness: &randomness.0, threads, progress, block, sort_memory };
    let noise = noise.map(|noise| &noise.0);
    call.run(py, |stage| llv2::decrypt_flags(stage, secret_key, public_key, partial_public_key, noise))
}

#[pyclass(module = "gristmill._native", frozen, get_all)]
pub struct ReachFigures {
    reach: i64,
    tuples: u64,
    blind: u64,
    kept: u64,
    active: u64,
}

#[pyfunction]
#[pyo3(signature = (*, inputs, output, secret_key, public_key, maximum_frequency, decay_rate, sketch_size, sampling_width,
                    reach_baseline, noise, randomness, threads, progress, block = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn llv2_estimate_reach(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    output: PathBuf,
    secret_key: &[u8],
    public_key: &[u8],
    maximum_frequency: i64,
    decay_rate: f64,
    sketch_size: i64,
    sampling_width: f64,
    reach_baseline: Option<&Baseline>,
    noise: Option<&TupleNoise>,
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
) -> PyResult<ReachFigures> {
    let call = Call { inputs, output, randomness: &randomness.0, threads, progress, block, sort_memory: None };
    let measurement = llv2::Measurement {
        maximum_frequency,
        sketch: Sketch { decay_rate, size: sketch_size.max(0) as u64, sampling_width },
        reach_baseline: reach_baseline.map(|baseline| &baseline.0),
        noise: noise.map(|noise| &noise.0),
    };
    let figures = call.run(py, |stage| llv2::estimate_reach(stage, secret_key, public_key, &measurement))?;
    let llv2::ReachFigures { reach, tuples, blind, kept, active } = figures;
    Ok(ReachFigures { reach, tuples, blind, kept, active })
}

#[pyfunction]
#[pyo3(signature = (*, inputs, output, secret_key, threads, progress, block = None))]
pub fn llv2_decrypt_counts(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    output: PathBuf,
    secret_key: &[u8],
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
) -> PyResult<u64> {
    let randomness = &Source::operating_system(); // this stage draws nothing
    let call = Call { inputs, output, randomness, threads, progress, block, sort_memory: None };
    call.run(py, |stage| llv2::decrypt_counts(stage, secret_key))
}

#[pyfunction]
#[pyo3(signature = (*, inputs, secret_key, maximum_frequency, baseline, threads, progress, block = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn llv2_estimate_frequency(
    py: Python<'_>,
    inputs: Vec<PathBuf>,
    secret_key: &[u8],
    maximum_frequency: i64,
    baseline: Option<&Baseline>,
    threads: i64,
    progress: &Progress,
    block: Option<i64>,
) -> PyResult<BTreeMap<u64, f64>> {
    let baseline = baseline.map(|baseline| &baseline.0);
    py.detach(|| {
        let work = Work::new(threads, block, &progress.0)?;
        llv2::estimate_frequency(&inputs, &work, secret_key, maximum_frequency, baseline)
    })
    .map_err(raise)
}
