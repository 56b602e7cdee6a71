//! A data provider's Liquid Legions sketch: from virtual person IDs to registers, and their encryption.

mod encryption;
mod liquid_legions;
mod sampling;

pub use encryption::{encrypt_reach_only_sketch, encrypt_sketch};
pub use liquid_legions::{LiquidLegions, Register, active_indexes, build_sketch};
pub use sampling::{Sampling, vid_sample};

/// FarmHash Fingerprint64.
pub fn fingerprint64(data: &[u8]) -> u64 {
    farmhash::fingerprint64(data)
}
