//! Liquid Legions version 2: reach and frequency. One function a stage and role, from files to a file.
//!
//! Records are fixed-size: a register is the ciphertexts of index, key and count; a tuple those of three flags and a count.

mod noise;

pub use noise::{Baseline, RegisterNoise, TupleNoise};

/// Bytes of a register: ciphertexts of index, key and count.
pub const REGISTER_SIZE: usize = 198;
/// Where the index ciphertext starts in a register.
pub const INDEX: usize = 0;
/// Where the key ciphertext starts in a register.
pub const KEY: usize = 66;
/// Where the count ciphertext starts in a register.
pub const COUNT: usize = 132;
