//! The noise that a worker adds (sections 7.2 and 7.3).

use super::entries::Entry;
use super::parameters::{Noise, Parameters};
use crate::error::Result;
use crate::randomness::Randomness;

/// Fills a worker's own entries of noise.
///
/// Order of the draws: the count of reach noise, those of frequencies 1, 2, ...; then, if only the reach is measured, a scalar
/// for each entry of reach noise.
pub fn fill<E: Entry>(own: &mut [E], parameters: &Parameters, noise: &Noise, randomness: &Randomness) -> Result<()> {
    let draws = randomness.begin()?;
    let q = parameters.modulus.value();
    let Some(frequency) = noise.frequency else {
        let reached = draws.noise_counts(&[noise.reach])?[0];
        let scalars = draws.scalars(0, reached as usize)?;
        for (number, entry) in own[..reached as usize].iter_mut().enumerate() {
            *entry = E::new(nonzero(&scalars.get(number).to_minimal_be_bytes_vartime(), q));
        }
        return draws.finish(reached);
    };
    own.fill(E::new(q - 1)); // padding
    let mut kinds = vec![frequency; parameters.maximum_combined_frequency as usize + 1];
    kinds[0] = noise.reach;
    let mut rest = own;
    for (value, count) in (0..).zip(draws.noise_counts(&kinds)?) {
        let (some, after) = rest.split_at_mut(count as usize);
        some.fill(E::new(value));
        rest = after;
    }
    draws.finish(0)
}

/// A scalar modulo q - 1, where zero counts as q - 1: uniform in [1, q - 1] up to 2^-224, and a small scalar is itself.
fn nonzero(scalar: &[u8], q: u32) -> u32 {
    let modulus = u64::from(q - 1);
    let rest = scalar.iter().fold(0, |rest, byte| (rest << 8 | u64::from(*byte)) % modulus);
    if rest == 0 { q - 1 } else { rest as u32 }
}
