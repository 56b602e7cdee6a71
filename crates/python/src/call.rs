//! What all stages of the Liquid Legions protocols take.

use crate::errors::raise;
use crate::sources::Progress;
use protocols::error::Result;
use protocols::randomness::Randomness;
use protocols::sort::DEFAULT_MEMORY;
use protocols::stage::Stage;
use protocols::work::Work;
use pyo3::prelude::*;
use std::path::PathBuf;

/// In the order of their keyword arguments.
pub struct Call<'a> {
    pub inputs: Vec<PathBuf>,
    pub output: PathBuf,
    pub randomness: &'a Randomness,
    pub threads: i64,
    pub progress: &'a Progress,
    pub block: Option<i64>,
    pub sort_memory: Option<u64>,
}

impl Call<'_> {
    /// Runs a stage function without the interpreter's lock.
    pub fn run<T: Send>(self, py: Python<'_>, function: impl FnOnce(&Stage<'_>) -> Result<T> + Send) -> PyResult<T> {
        py.detach(|| {
            let work = Work::new(self.threads, self.block, &self.progress.0)?;
            let (inputs, randomness) = (&self.inputs, self.randomness);
            let sort_memory = self.sort_memory.unwrap_or(DEFAULT_MEMORY);
            function(&Stage { inputs, output: self.output, randomness, work, sort_memory })
        })
        .map_err(raise)
    }
}
