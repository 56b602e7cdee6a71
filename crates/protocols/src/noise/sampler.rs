//! Draws one contributor's noise count (LLv2 specification, sections 7.1 and 7.2).

use super::parameters::{Distribution, NoiseParameters};
use crate::error::{Error, Result};
use crate::randomness::{Adapter, NoiseGenerator};
use rand_distr::{Distribution as _, Gamma, Poisson};

/// How often a Polya draw beyond the offset is repeated before the call gives up.
const POLYA_ATTEMPTS: usize = 20;

impl NoiseParameters {
    /// A count in [0, 2 mu].
    pub fn sample(&self, generator: &mut dyn NoiseGenerator) -> Result<u64> {
        match self.distribution {
            Distribution::Polya { shape, p } => {
                let more = polya_at_most(self.shift_offset, shape, p, generator)?;
                let less = polya_at_most(self.shift_offset, shape, p, generator)?;
                Ok(self.shift_offset + more - less)
            }
            Distribution::Gaussian { sigma } => {
                let deviation = gaussian_at_most(self.shift_offset, sigma, generator);
                Ok(self.shift_offset.saturating_add_signed(deviation)) // never saturates: the deviation is at least -mu
            }
        }
    }
}

/// Polya(r, p) by its mixture: a Poisson variable whose mean is Gamma(r, p / (1 - p)).
fn polya_at_most(bound: u64, shape: f64, p: f64, generator: &mut dyn NoiseGenerator) -> Result<u64> {
    let internal = |what: &str| Error::Internal(format!("Polya noise: {what}"));
    let scale = p / (1.0 - p);
    let mut random = Adapter(generator);
    for _ in 0..POLYA_ATTEMPTS {
        // p so small that the scale underflows, or a mean of zero: the count is zero.
        let mean = match Gamma::new(shape, scale) {
            Ok(gamma) => gamma.sample(&mut random),
            Err(_) if scale == 0.0 => 0.0,
            Err(_) => return Err(internal("parameters out of range")),
        };
        let count = if mean > 0.0 {
            Poisson::new(mean).map_err(|_| internal("mean out of range"))?.sample(&mut random)
        } else {
            0.0
        };
        if count <= bound as f64 {
            return Ok(count as u64);
        }
    }
    Err(internal("twenty draws in a row beyond the offset"))
}

/// Discrete Gaussian on the integers with absolute value up to `bound`, by rejection from a two-sided geometric
/// distribution (Canonne, Kamath, Steinke 2020, algorithm 3).
fn gaussian_at_most(bound: u64, sigma: f64, generator: &mut dyn NoiseGenerator) -> i64 {
    let t = sigma.floor() + 1.0;
    let variance = sigma * sigma;
    if variance == 0.0 {
        return 0; // so small a sigma that its square underflows
    }
    loop {
        let value = geometric(t, generator) - geometric(t, generator);
        let distance = value.abs() - variance / t;
        let accepted = unit(generator) <= (-distance * distance / (2.0 * variance)).exp();
        if accepted && value.abs() <= bound as f64 {
            return value as i64;
        }
    }
}

/// Failures before the first success of probability 1 - exp(-1/t).
fn geometric(t: f64, generator: &mut dyn NoiseGenerator) -> f64 {
    (-t * unit(generator).ln()).floor()
}

/// Uniform in (0, 1], with 53 bits.
fn unit(generator: &mut dyn NoiseGenerator) -> f64 {
    ((generator.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
}
