//! Noise parameters, and samples for tests of the distributions.

use crate::errors::raise;
use crate::sources::Randomness;
use protocols::noise::{Mechanism, NoiseParameters as Parameters, Privacy};
use pyo3::prelude::*;

/// Reads (epsilon, delta).
pub fn privacy((epsilon, delta): (f64, f64)) -> Privacy {
    Privacy { epsilon, delta }
}

fn mechanism_named(name: &str) -> PyResult<Mechanism> {
    name.parse().map_err(raise)
}

#[pyclass(module = "gristmill._native", frozen, get_all)]
pub struct NoiseParameters {
    shift_offset: u64,
    p: Option<f64>,
    sigma_distributed: Option<f64>,
}

#[pyfunction]
#[pyo3(signature = (*, mechanism, epsilon, delta, contributors, sensitivity))]
pub fn noise_parameters(
    mechanism: &str,
    epsilon: f64,
    delta: f64,
    contributors: i64,
    sensitivity: f64,
) -> PyResult<NoiseParameters> {
    let budget = privacy((epsilon, delta));
    let parameters = Parameters::new(mechanism_named(mechanism)?, budget, contributors, sensitivity).map_err(raise)?;
    let (p, sigma_distributed) = (parameters.p(), parameters.sigma_distributed());
    Ok(NoiseParameters { shift_offset: parameters.shift_offset, p, sigma_distributed })
}

#[pyfunction]
#[pyo3(signature = (*, mechanism, epsilon, delta, contributors, sensitivity, count, randomness))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments")]
pub fn sample_noise(
    py: Python<'_>,
    mechanism: &str,
    epsilon: f64,
    delta: f64,
    contributors: i64,
    sensitivity: f64,
    count: usize,
    randomness: &Randomness,
) -> PyResult<Vec<u64>> {
    let mechanism = mechanism_named(mechanism)?;
    py.detach(|| {
        let parameters = Parameters::new(mechanism, privacy((epsilon, delta)), contributors, sensitivity)?;
        randomness.0.begin()?.noise_counts(&vec![parameters; count])
    })
    .map_err(raise)
}

#[pyclass(module = "gristmill._native", frozen)]
pub struct RegisterNoise(pub protocols::noise::RegisterNoise);

#[pymethods]
impl RegisterNoise {
    #[new]
    #[pyo3(signature = (*, mechanism, contributors, sketches, blind_histogram, publisher, reach, group_floor = 0))]
    fn new(
        mechanism: &str,
        contributors: i64,
        sketches: i64,
        blind_histogram: (f64, f64),
        publisher: (f64, f64),
        reach: (f64, f64),
        group_floor: u64,
    ) -> PyResult<Self> {
        let mechanism = mechanism_named(mechanism)?;
        let budgets = [blind_histogram, publisher, reach].map(privacy);
        let noise = protocols::noise::RegisterNoise::new(mechanism, contributors, sketches, budgets, group_floor);
        Ok(Self(noise.map_err(raise)?))
    }
}

#[pyclass(module = "gristmill._native", frozen)]
pub struct TupleNoise(pub protocols::llv2::TupleNoise);

#[pymethods]
impl TupleNoise {
    #[new]
    #[pyo3(signature = (*, mechanism, contributors, maximum_frequency, frequency))]
    fn new(mechanism: &str, contributors: i64, maximum_frequency: i64, frequency: (f64, f64)) -> PyResult<Self> {
        let mechanism = mechanism_named(mechanism)?;
        let noise = protocols::llv2::TupleNoise::new(mechanism, contributors, maximum_frequency, privacy(frequency));
        Ok(Self(noise.map_err(raise)?))
    }
}

#[pyclass(module = "gristmill._native", frozen)]
pub struct Baseline(pub protocols::noise::Baseline);

#[pymethods]
impl Baseline {
    #[new]
    #[pyo3(signature = (*, mechanism, contributors, privacy))]
    fn new(mechanism: &str, contributors: i64, privacy: (f64, f64)) -> PyResult<Self> {
        let mechanism = mechanism_named(mechanism)?;
        let baseline = protocols::noise::Baseline::new(mechanism, contributors, self::privacy(privacy));
        Ok(Self(baseline.map_err(raise)?))
    }
}
