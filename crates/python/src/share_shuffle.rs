//! Honest Majority Share Shuffle: both sides of the shares, the workers, the aggregator.

use crate::errors::raise;
use crate::noise::privacy;
use crate::sources::{Progress, Randomness};
use protocols::share_shuffle::{self as native, SamplingRange};
use protocols::work::Work;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use zeroize::Zeroizing;

#[pyclass(module = "gristmill._native", frozen)]
pub struct ShareShuffle(native::Parameters);

#[pymethods]
impl ShareShuffle {
    #[new]
    #[pyo3(signature = (*, reach_only, maximum_combined_frequency, ring_modulus, mechanism, reach, frequency))]
    fn new(
        reach_only: bool,
        maximum_combined_frequency: i64,
        ring_modulus: i64,
        mechanism: &str,
        reach: Option<(f64, f64)>,
        frequency: Option<(f64, f64)>,
    ) -> PyResult<Self> {
        let (reach, frequency) = (reach.map(privacy), frequency.map(privacy));
        let parameters =
            native::Parameters::new(reach_only, maximum_combined_frequency, ring_modulus, mechanism, reach, frequency);
        Ok(Self(parameters.map_err(raise)?))
    }

    fn entries(&self, register_count: i64) -> PyResult<u64> {
        self.0.entries(register_count).map_err(raise)
    }
}

#[pyfunction]
#[pyo3(signature = (parameters, *, shares, seeds, register_count, output, common_seed, order, randomness, threads, progress))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn hmss_shuffle(
    py: Python<'_>,
    parameters: &ShareShuffle,
    shares: Vec<PathBuf>,
    seeds: Vec<Vec<u8>>,
    register_count: i64,
    output: PathBuf,
    common_seed: &[u8],
    order: &str,
    randomness: &Randomness,
    threads: i64,
    progress: &Progress,
) -> PyResult<u64> {
    let seeds: Vec<_> = seeds.into_iter().map(Zeroizing::new).collect();
    py.detach(|| {
        let work = Work::new(threads, None, &progress.0)?;
        let shares = native::Shares { files: &shares, seeds: &seeds, register_count };
        native::shuffle_phase(&parameters.0, &shares, &output, common_seed, order.parse()?, &randomness.0, &work)
    })
    .map_err(raise)
}

#[pyfunction]
#[pyo3(signature = (share, *, register_count, ring_modulus, threads, progress))]
pub fn hmss_check_share(
    py: Python<'_>,
    share: PathBuf,
    register_count: i64,
    ring_modulus: i64,
    threads: i64,
    progress: &Progress,
) -> PyResult<()> {
    py.detach(|| native::check_share(&share, register_count, ring_modulus, &Work::new(threads, None, &progress.0)?))
        .map_err(raise)
}

#[pyclass(module = "gristmill._native", frozen, get_all)]
pub struct ShareFigures {
    reach: i64,
    frequency_distribution: BTreeMap<u64, f64>,
    register_count: i64,
    entries: u64,
}

#[pyfunction]
#[pyo3(signature = (parameters, *, inputs, maximum_frequency, sampling_width, threads, progress))]
pub fn hmss_aggregate(
    py: Python<'_>,
    parameters: &ShareShuffle,
    inputs: Vec<PathBuf>,
    maximum_frequency: i64,
    sampling_width: f64,
    threads: i64,
    progress: &Progress,
) -> PyResult<ShareFigures> {
    let figures = py.detach(|| {
        let work = Work::new(threads, None, &progress.0)?;
        native::aggregate(&parameters.0, &inputs, maximum_frequency, sampling_width, &work)
    });
    let native::ShareFigures { reach, frequency_distribution, register_count, entries } = figures.map_err(raise)?;
    Ok(ShareFigures { reach, frequency_distribution, register_count, entries })
}

#[pyclass(module = "gristmill._native", frozen)]
pub struct VidIndex(native::VidIndex);

#[pymethods]
impl VidIndex {
    #[new]
    #[pyo3(signature = (ranges, *, threads, progress))]
    fn new(py: Python<'_>, ranges: Vec<(i64, i64)>, threads: i64, progress: &Progress) -> PyResult<Self> {
        py.detach(|| native::VidIndex::new(&ranges, &Work::new(threads, None, &progress.0)?)).map(Self).map_err(raise)
    }

    fn __len__(&self) -> usize {
        self.0.size() as usize
    }

    fn index(&self, vid: i64) -> Option<u32> {
        self.0.index(vid)
    }
}

#[pyfunction]
pub fn hmss_register_count(population: u32, sampling_start: f64, sampling_width: f64) -> PyResult<u64> {
    Ok(SamplingRange::new(population, sampling_start, sampling_width).map_err(raise)?.len())
}

#[pyclass(module = "gristmill._native", frozen)]
pub struct FrequencyVector(native::FrequencyVector);

#[pymethods]
impl FrequencyVector {
    #[new]
    #[pyo3(signature = (index, vids, *, sampling_start, sampling_width, maximum, strict = false, progress))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn new(
        py: Python<'_>,
        index: &VidIndex,
        vids: Vec<i64>,
        sampling_start: f64,
        sampling_width: f64,
        maximum: i64,
        strict: bool,
        progress: &Progress,
    ) -> PyResult<Self> {
        py.detach(|| {
            let work = Work::new(1, None, &progress.0)?;
            let range = SamplingRange::new(index.0.size(), sampling_start, sampling_width)?;
            native::FrequencyVector::new(&index.0, &vids, &range, maximum, strict, &work)
        })
        .map(Self)
        .map_err(raise)
    }

    fn __len__(&self) -> usize {
        self.0.counts().len()
    }

    #[getter]
    fn reached(&self) -> u64 {
        self.0.counts().iter().map(|count| u64::from(*count > 0)).sum()
    }

    #[getter]
    fn impressions(&self) -> u64 {
        self.0.counts().iter().map(|count| u64::from(*count)).sum()
    }

    #[getter]
    fn unknown(&self) -> u64 {
        self.0.unknown
    }

    #[getter]
    fn outside(&self) -> u64 {
        self.0.outside
    }

    #[pyo3(signature = (*, output, seed, ring_modulus, maximum, threads, progress))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments")]
    fn share(
        &self,
        py: Python<'_>,
        output: PathBuf,
        seed: &[u8],
        ring_modulus: i64,
        maximum: i64,
        threads: i64,
        progress: &Progress,
    ) -> PyResult<u64> {
        py.detach(|| {
            let work = Work::new(threads, None, &progress.0)?;
            self.0.share(&output, seed, ring_modulus, maximum, &work)
        })
        .map_err(raise)
    }
}
