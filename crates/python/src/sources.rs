//! `Progress` and `Randomness`.

use crate::errors::raise;
use pyo3::prelude::*;
use std::sync::Arc;

#[pyclass(module = "gristmill._native", frozen)]
pub struct Progress(pub Arc<protocols::progress::Progress>);

#[pymethods]
impl Progress {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    #[getter]
    fn done(&self) -> u64 {
        self.0.done()
    }

    #[getter]
    fn total(&self) -> u64 {
        self.0.total()
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    fn cancel(&self) {
        self.0.cancel();
    }
}

#[pyclass(module = "gristmill._native", frozen)]
pub struct Randomness(pub protocols::randomness::Randomness);

#[pymethods]
impl Randomness {
    #[staticmethod]
    fn operating_system() -> Self {
        Self(protocols::randomness::Randomness::operating_system())
    }

    #[staticmethod]
    fn committed() -> PyResult<Self> {
        Ok(Self(protocols::randomness::Randomness::committed().map_err(raise)?))
    }

    #[getter]
    fn commitment(&self) -> Option<[u8; 32]> {
        self.0.commitment()
    }

    #[cfg(feature = "replay")]
    #[staticmethod]
    #[pyo3(signature = (scalars, noise_counts = Vec::new()), text_signature = "(scalars, noise_counts=())")]
    fn replay(scalars: Vec<pyo3::pybacked::PyBackedBytes>, noise_counts: Vec<u64>) -> PyResult<Self> {
        let mut recorded = protocols::Scalars::with_capacity(scalars.len());
        for bytes in &scalars {
            let scalar = protocols::SecretScalar::from_be_bytes(bytes);
            recorded.push(&scalar.map_err(|error| raise(error.into()))?);
        }
        Ok(Self(protocols::randomness::Randomness::replay(recorded, noise_counts)))
    }

    #[cfg(feature = "replay")]
    #[staticmethod]
    fn seeded(seed: &[u8]) -> Self {
        Self(protocols::randomness::Randomness::seeded(seed))
    }
}
