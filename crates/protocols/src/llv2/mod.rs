//! Liquid Legions version 2: reach and frequency. One function a stage and role, from files to a file.
//!
//! Records are fixed-size: a register is the ciphertexts of index, key and count; a tuple those of three flags and a count.
//! Comments name the order of the random draws where it is not plain, because recorded runs are repeated byte for byte.

mod join;
mod matrix;
mod merge;
mod phase_one;
mod phase_three;
mod phase_two;
mod reach;
mod setup;
mod tuple_counts;
mod tuple_noise;

pub use join::join_registers;
pub use phase_one::blind_registers;
pub use phase_three::{decrypt_counts, estimate_frequency};
pub use phase_two::decrypt_flags;
pub use reach::{Measurement, ReachFigures, estimate_reach};
pub use setup::setup;
pub use tuple_counts::TupleNoise;

use crate::el_gamal::CIPHERTEXT_SIZE;

/// Bytes of a register: ciphertexts of index, key and count.
pub const REGISTER_SIZE: usize = 3 * CIPHERTEXT_SIZE;
/// Where the index ciphertext starts in a register.
pub const INDEX: usize = 0;
/// Where the key ciphertext starts in a register.
pub const KEY: usize = CIPHERTEXT_SIZE;
/// Where the count ciphertext starts in a register.
pub const COUNT: usize = 2 * CIPHERTEXT_SIZE;
/// Bytes of a tuple: ciphertexts of flags A, B, C and of the count.
pub const TUPLE_SIZE: usize = 4 * CIPHERTEXT_SIZE;
/// Where the three flag ciphertexts start in a tuple.
pub const FLAGS: [usize; 3] = [0, CIPHERTEXT_SIZE, 2 * CIPHERTEXT_SIZE];
/// Where the count ciphertext starts in a tuple.
pub const TUPLE_COUNT: usize = 3 * CIPHERTEXT_SIZE;
