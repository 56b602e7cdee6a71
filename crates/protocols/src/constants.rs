//! Texts that the protocols hash to points (cryptographic primitives specification, section 6).

/// The integer 1; a count v is v times this point.
pub const UNIT: &str = "unit_ec_point";
/// Key of a destroyed register, and of a register of global reach noise.
pub const DESTROYED_KEY: &str = "destroyed_register_key";
/// Key and count of a register of blind-histogram noise.
pub const BLIND_HISTOGRAM_KEY: &str = "blinded_histogram_noise_register_key";
/// Index that all registers of noise for publisher noise share.
pub const PUBLISHER_NOISE_INDEX: &str = "publisher_noise_register_id";
/// Index that all padding registers share.
pub const PADDING_INDEX: &str = "padding_noise_register_id";
/// Before the random digits of a blind-histogram noise index.
pub const BLIND_HISTOGRAM_PREFIX: &str = "blinded_histogram_noise";
/// Before the random digits of a reach noise index.
pub const REACH_NOISE_PREFIX: &str = "reach_dp_noise";
/// Before the random digits of a count that means nothing.
pub const RANDOM_COUNT_PREFIX: &str = "random_count";
