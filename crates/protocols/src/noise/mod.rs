//! Differentially private noise, distributed over the duchies (LLv2 specification, section 7).

mod parameters;
mod sampler;

pub use parameters::{Mechanism, NoiseParameters, Privacy};
