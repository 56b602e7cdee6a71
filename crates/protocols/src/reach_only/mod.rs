//! Reach-only Liquid Legions version 2. One function a stage and role, from files to a file.
//!
//! A register is the ciphertext of its index. What duchies send each other is registers and then one ciphertext more, of the
//! excessive noise: how many distinct indexes the blind-histogram noise has.

mod blind;
mod excessive_noise;
mod reach;
mod setup;

pub use blind::blind_registers;
pub use reach::{Measurement, ReachFigures, estimate_reach};
pub use setup::setup;

use crate::el_gamal::CIPHERTEXT_SIZE;

/// Bytes of a register.
pub const REGISTER_SIZE: usize = CIPHERTEXT_SIZE;
