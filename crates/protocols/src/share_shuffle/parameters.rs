//! What the parties of a computation agree on, and which of it is admitted (sections 2.1, 7.1 and 8).

use crate::error::{Error, Result, invalid, require};
use crate::noise::{Mechanism, NoiseParameters, Privacy};
use std::str::FromStr;

/// Only the two workers add noise.
pub(super) const CONTRIBUTORS: i64 = 2;
/// Of both geometric noises; the discrete Gaussian ignores it.
const SENSITIVITY: f64 = 2.0;
/// Smaller ones are refused, as the existing duchies do.
const LEAST_EPSILON: f64 = 1e-6;
/// Vectors are shorter than this, noise included.
pub(super) const MAXIMUM_ENTRIES: u64 = u32::MAX as u64;

/// A ring modulus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modulus(u32);

impl Modulus {
    /// At least 2, at most 2^31 - 1.
    pub fn new(value: i64) -> Result<Self> {
        require!((2..=i64::from(i32::MAX)).contains(&value), "ring modulus: {value}, 2 to 2^31 - 1 is needed");
        Ok(Self(value as u32))
    }

    /// The number itself.
    pub fn value(self) -> u32 {
        self.0
    }

    fn is_prime(self) -> bool {
        (2..).take_while(|divisor| divisor * divisor <= self.0).all(|divisor| !self.0.is_multiple_of(divisor))
    }
}

/// Which of the two workers: the first masks its noise with the first random vector, the second with the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// FIRST_NON_AGGREGATOR.
    First,
    /// SECOND_NON_AGGREGATOR.
    Second,
}

impl FromStr for Order {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "FIRST" => Ok(Self::First),
            "SECOND" => Ok(Self::Second),
            _ => Err(invalid!("order {name:?}: FIRST or SECOND is needed")),
        }
    }
}

/// Noise of one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    pub reach: NoiseParameters,
    /// None if only the reach is measured.
    pub frequency: Option<NoiseParameters>,
}

/// What the three duchies of a computation agree on, admitted.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    pub(super) reach_only: bool,
    pub(super) maximum_combined_frequency: u32,
    pub(super) modulus: Modulus,
    pub(super) noise: Option<Noise>,
    /// M: entries of noise that each worker adds, padding included.
    pub(super) noise_entries: u64,
}

impl Parameters {
    /// Refuses what the protocol cannot compute with. `mechanism` is NONE, GEOMETRIC or DISCRETE_GAUSSIAN.
    pub fn new(
        reach_only: bool,
        maximum_combined_frequency: i64,
        ring_modulus: i64,
        mechanism: &str,
        reach: Option<Privacy>,
        frequency: Option<Privacy>,
    ) -> Result<Self> {
        let modulus = Modulus::new(ring_modulus)?;
        require!(!reach_only || modulus.is_prime(), "ring modulus: {ring_modulus}, a prime is needed for reach alone");
        let most = maximum_combined_frequency;
        require!(most >= 1, "maximum combined frequency: {most}, at least 1 is needed");
        require!(
            ring_modulus > most.saturating_add(1),
            "ring modulus: {ring_modulus}, more than the maximum combined frequency {most} plus 1 is needed: \
             take a larger modulus, a smaller maximum frequency or fewer data providers"
        );
        let noise = noise(reach_only, mechanism, reach, frequency)?;
        let total = noise.map_or(0, |noise| {
            let frequency = noise.frequency.map_or(0, |frequency| u128::from(frequency.shift_offset));
            2 * u128::from(noise.reach.shift_offset) + 2 * frequency * most as u128
        });
        require!(2 * total < u128::from(MAXIMUM_ENTRIES), "{total} entries of noise are too many");
        let maximum_combined_frequency = most as u32;
        Ok(Self { reach_only, maximum_combined_frequency, modulus, noise, noise_entries: total as u64 })
    }

    /// The ring modulus.
    pub fn modulus(&self) -> Modulus {
        self.modulus
    }

    /// Entries of a worker's vector for so many registers: these, and the noise of both workers.
    pub fn entries(&self, register_count: i64) -> Result<u64> {
        require!(register_count >= 1, "register count: {register_count}, at least 1 is needed");
        let total = (register_count as u64).saturating_add(2 * self.noise_entries);
        require!(total < MAXIMUM_ENTRIES, "register count: {register_count}, with noise less than 2^32 - 1 is needed");
        Ok(total)
    }
}

fn noise(
    reach_only: bool,
    mechanism: &str,
    reach: Option<Privacy>,
    frequency: Option<Privacy>,
) -> Result<Option<Noise>> {
    if mechanism == "NONE" {
        let none = reach.is_none() && frequency.is_none();
        require!(none, "noise mechanism NONE: no privacy parameters may be given");
        return Ok(None);
    }
    let mechanism: Mechanism = mechanism
        .parse()
        .map_err(|_| invalid!("noise mechanism {mechanism:?}: NONE, GEOMETRIC or DISCRETE_GAUSSIAN"))?;
    let parameters = |privacy: Privacy| {
        let epsilon = privacy.epsilon;
        require!(epsilon >= LEAST_EPSILON, "epsilon: {epsilon}, at least {LEAST_EPSILON:e} is needed");
        NoiseParameters::new(mechanism, privacy, CONTRIBUTORS, SENSITIVITY)
    };
    let reach = reach.ok_or_else(|| invalid!("noise for reach: its privacy parameters are missing"))?;
    require!(!(reach_only && frequency.is_some()), "privacy parameters of frequency: the reach alone is measured");
    require!(reach_only || frequency.is_some(), "noise for frequency: its privacy parameters are missing");
    Ok(Some(Noise { reach: parameters(reach)?, frequency: frequency.map(parameters).transpose()? }))
}
