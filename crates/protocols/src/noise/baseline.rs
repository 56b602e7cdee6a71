//! What the aggregator subtracts (LLv2 specification, sections 5.3 and 6.2).

use super::{FREQUENCY_SENSITIVITY, Mechanism, NoiseParameters, Privacy, REACH_SENSITIVITY};
use crate::error::Result;

/// Mean of a noise, subtracted by the aggregator once a contributor.
pub struct Baseline {
    mechanism: Mechanism,
    budget: Privacy,
    contributors: i64,
}

impl Baseline {
    /// Validates the parameters.
    pub fn new(mechanism: Mechanism, contributors: i64, budget: Privacy) -> Result<Self> {
        let baseline = Self { mechanism, budget, contributors };
        baseline.mean(REACH_SENSITIVITY)?;
        baseline.mean(FREQUENCY_SENSITIVITY)?;
        Ok(baseline)
    }

    /// Mean number of active registers that the reach noise adds.
    pub fn of_reach(&self) -> Result<u64> {
        self.mean(REACH_SENSITIVITY)
    }

    /// Mean number of rows that the frequency noise adds to each bucket.
    pub fn of_frequency(&self) -> Result<u64> {
        self.mean(FREQUENCY_SENSITIVITY)
    }

    fn mean(&self, sensitivity: f64) -> Result<u64> {
        let parameters = NoiseParameters::new(self.mechanism, self.budget, self.contributors, sensitivity)?;
        Ok(parameters.shift_offset.saturating_mul(self.contributors as u64))
    }
}
