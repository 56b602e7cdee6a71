//! Which virtual people enter a sketch (LLv2 specification, section 1.2).

use super::fingerprint64;
use crate::error::{Result, require};

const SALT: i64 = 1_414_214;

/// The unit value of a VID: 23 bits of its fingerprint as a single-precision number in [0, 1].
pub fn vid_sample(vid: i64) -> f32 {
    let fingerprint = fingerprint64(&vid.wrapping_add(SALT).to_le_bytes());
    (1.0f32 / 8_388_607.0) * ((fingerprint & 0x7f_ffff) as f32)
}

/// A sampling interval; one that passes 1 goes on at 0.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    start: f32,
    end: f32,
}

impl Sampling {
    /// From the measurement's single-precision start and width.
    pub fn new(start: f64, width: f64) -> Result<Self> {
        let (start, width) = (start as f32, width as f32);
        require!((0.0..1.0).contains(&start), "sampling start: {start}, a number in [0, 1) is needed");
        require!(width > 0.0 && width <= 1.0, "sampling width: {width}, a number in (0, 1] is needed");
        Ok(Self { start, end: start + width })
    }

    /// Whether a VID is in the sample.
    pub fn contains(&self, vid: i64) -> bool {
        let unit = vid_sample(vid);
        (self.start <= unit && unit < self.end) || f64::from(unit) < f64::from(self.end) - 1.0
    }
}
