//! Keys, points, the estimator.

use crate::errors::raise;
use protocols::estimator::Sketch;
use protocols::{Column, POINT_SIZE, hash_all_to_curve_vartime};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

#[pyfunction]
pub fn generate_key_pair(py: Python<'_>) -> PyResult<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)> {
    let (secret, element) = protocols::keys::generate_key_pair().map_err(raise)?;
    Ok((PyBytes::new(py, &secret), PyBytes::new(py, &element)))
}

#[pyfunction]
pub fn public_element<'py>(py: Python<'py>, secret: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &protocols::keys::public_element(secret).map_err(raise)?))
}

#[pyfunction]
pub fn combine_public_keys(py: Python<'_>, elements: Vec<PyBackedBytes>) -> PyResult<Bound<'_, PyBytes>> {
    Ok(PyBytes::new(py, &protocols::keys::combine_public_keys(&elements).map_err(raise)?))
}

#[pyfunction]
pub fn check_point<'py>(py: Python<'py>, encoding: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &protocols::keys::check_point(encoding).map_err(raise)?))
}

#[pyfunction]
pub fn hash_to_curve<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let point = protocols::hash_to_curve_vartime(data);
    Ok(PyBytes::new(py, &point.encode().map_err(|error| raise(error.into()))?))
}

#[pyfunction]
pub fn hash_all_to_curve(py: Python<'_>, data: Vec<PyBackedBytes>) -> PyResult<Bound<'_, PyBytes>> {
    let encoded = py.detach(|| {
        let mut encoded = vec![0; POINT_SIZE * data.len()];
        let points = hash_all_to_curve_vartime(&data);
        points.encode_into(&mut encoded, Column { offset: 0, stride: POINT_SIZE }).map(|()| encoded)
    });
    Ok(PyBytes::new(py, &encoded.map_err(|error| raise(error.into()))?))
}

#[pyfunction]
pub fn fingerprint64(data: &[u8]) -> u64 {
    protocols::sketch::fingerprint64(data)
}

#[pyfunction]
#[pyo3(signature = (*, decay_rate, size, active, sampling_width))]
pub fn estimate_reach(decay_rate: f64, size: u64, active: u64, sampling_width: f64) -> PyResult<i64> {
    Sketch { decay_rate, size, sampling_width }.estimate_reach(active).map_err(raise)
}
