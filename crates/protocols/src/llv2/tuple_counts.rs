//! How much noise each duchy adds to the tuples (LLv2 specification, section 4.3).

use crate::error::{Result, require};
use crate::noise::{FREQUENCY_SENSITIVITY, MAXIMUM_RECORDS, Mechanism, NoiseParameters, Privacy};
use crate::randomness::Draws;

/// Frequency noise of execution phases one and two.
pub struct TupleNoise {
    parameters: NoiseParameters,
    contributors: u64,
    maximum_frequency: u64,
}

/// Noise tuples of each kind that one duchy adds.
pub struct TupleCounts {
    /// At f - 1: tuples with count f.
    pub frequencies: Vec<u64>,
    /// Tuples that look destroyed.
    pub destroyed: u64,
    /// Tuples that fill up to the total.
    pub padding: u64,
}

impl TupleNoise {
    /// The maximum frequency is that of the noise, which may differ from the measurement's.
    pub fn new(mechanism: Mechanism, contributors: i64, maximum_frequency: i64, budget: Privacy) -> Result<Self> {
        require!(
            (1..1 << 20).contains(&maximum_frequency),
            "maximum frequency: {maximum_frequency}, at least 1 is needed"
        );
        let parameters = NoiseParameters::new(mechanism, budget, contributors, FREQUENCY_SENSITIVITY)?;
        let noise = Self { parameters, contributors: contributors as u64, maximum_frequency: maximum_frequency as u64 };
        require!(noise.total() <= MAXIMUM_RECORDS, "{} noise tuples are too many", noise.total());
        Ok(noise)
    }

    /// Noise tuples of one duchy: none if only reach is measured.
    pub fn total(&self) -> u64 {
        if self.maximum_frequency < 2 { 0 } else { 2 * self.parameters.shift_offset * (self.maximum_frequency + 1) }
    }

    /// Noise tuples of all duchies.
    pub fn total_of_all(&self) -> u64 {
        self.total().saturating_mul(self.contributors)
    }

    /// Draws the counts: n_1 ... n_F, destroyed.
    pub fn draw(&self, draws: &Draws<'_>) -> Result<TupleCounts> {
        if self.maximum_frequency < 2 {
            return Ok(TupleCounts { frequencies: Vec::new(), destroyed: 0, padding: 0 });
        }
        let mut frequencies = draws.noise_counts(&vec![self.parameters; self.maximum_frequency as usize + 1])?;
        let used: u64 = frequencies.iter().sum();
        let destroyed = frequencies.pop().unwrap_or_default();
        require!(used <= self.total(), "the noise counts exceed {} tuples", self.total());
        Ok(TupleCounts { frequencies, destroyed, padding: self.total() - used })
    }
}
