//! Differentially private noise, distributed over the duchies (LLv2 specification, section 7).

mod baseline;
mod parameters;
mod register_counts;
mod registers;
mod sampler;

pub use baseline::Baseline;
pub use parameters::{Mechanism, NoiseParameters, Privacy};
pub use register_counts::{RegisterCounts, RegisterNoise};
pub(crate) use registers::{NoiseRegisters, RegisterLayout, hash_texts};

const REACH_SENSITIVITY: f64 = 1.0;
pub(crate) const FREQUENCY_SENSITIVITY: f64 = 2.0;
/// More noise records than this are refused: 2^36 registers of three ciphertexts are 13 TB.
pub(crate) const MAXIMUM_RECORDS: u64 = 1 << 36;
