//! From a privacy budget to the parameters of one duchy's share of the noise (LLv2 specification, section 7).

use crate::error::{Error, Result, invalid, require};
use std::str::FromStr;

/// Shift offsets beyond this are refused: no sketch is that large.
const MAXIMUM_OFFSET: f64 = (1u64 << 40) as f64;

/// The kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Difference of two Polya variables: together a two-sided geometric distribution.
    Geometric,
    /// Discrete Gaussian.
    DiscreteGaussian,
}

impl FromStr for Mechanism {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "GEOMETRIC" => Ok(Self::Geometric),
            "DISCRETE_GAUSSIAN" => Ok(Self::DiscreteGaussian),
            _ => Err(invalid!("noise mechanism {name:?}: GEOMETRIC or DISCRETE_GAUSSIAN is needed")),
        }
    }
}

/// A differential privacy budget.
#[derive(Clone, Copy, Debug)]
pub struct Privacy {
    /// Bound on the logarithm of the probability ratio.
    pub epsilon: f64,
    /// Probability outside that bound.
    pub delta: f64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Distribution {
    /// Polya(1 / contributors, p) twice.
    Polya { shape: f64, p: f64 },
    /// Discrete Gaussian of parameter sigma.
    Gaussian { sigma: f64 },
}

/// One contributor's share of a distributed noise: drawn in [0, 2 mu] around its offset mu.
#[derive(Clone, Copy, Debug)]
pub struct NoiseParameters {
    pub(super) distribution: Distribution,
    /// The mean, and the largest distance from it.
    pub shift_offset: u64,
}

impl NoiseParameters {
    /// Parameters for `contributors` duchies; the discrete Gaussian ignores the sensitivity.
    pub fn new(mechanism: Mechanism, privacy: Privacy, contributors: i64, sensitivity: f64) -> Result<Self> {
        let Privacy { epsilon, delta } = privacy;
        require!(contributors >= 1, "contributors: {contributors}, at least 1 is needed");
        require!(epsilon > 0.0 && epsilon.is_finite(), "epsilon: {epsilon}, a positive number is needed");
        require!(delta > 0.0 && delta.is_finite(), "delta: {delta}, a positive number is needed");
        let count = contributors as f64;
        let (distribution, offset) = match mechanism {
            Mechanism::Geometric => {
                require!(
                    sensitivity > 0.0 && sensitivity.is_finite(),
                    "sensitivity: {sensitivity}, a positive number is needed"
                );
                let rate = epsilon / sensitivity;
                let offset = (2.0 * count * sensitivity * (1.0 + epsilon.exp()) / delta).ln() / rate;
                (Distribution::Polya { shape: 1.0 / count, p: (-rate).exp() }, offset.ceil())
            }
            Mechanism::DiscreteGaussian => {
                let half = delta / 2.0;
                let whole = (2.0 * (1.25 / half).ln()).sqrt() / epsilon;
                let sigma = whole / count.sqrt();
                let offset = sigma * (2.0 * (count * (1.0 + epsilon.exp()) / half).ln()).sqrt();
                (Distribution::Gaussian { sigma }, offset.ceil())
            }
        };
        require!(
            (0.0..=MAXIMUM_OFFSET).contains(&offset),
            "epsilon {epsilon} and delta {delta} with {contributors} contributors give no usable noise"
        );
        Ok(Self { distribution, shift_offset: offset as u64 })
    }

    /// Success parameter of the Polya distribution; none for the Gaussian.
    pub fn p(&self) -> Option<f64> {
        match self.distribution {
            Distribution::Polya { p, .. } => Some(p),
            Distribution::Gaussian { .. } => None,
        }
    }

    /// Parameter of one contributor's discrete Gaussian; none for the geometric mechanism.
    pub fn sigma_distributed(&self) -> Option<f64> {
        match self.distribution {
            Distribution::Polya { .. } => None,
            Distribution::Gaussian { sigma } => Some(sigma),
        }
    }
}
