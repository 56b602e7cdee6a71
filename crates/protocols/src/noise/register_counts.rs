//! How much noise each duchy adds to the registers (LLv2 specification, section 3; reach-only specification, section 4.2).

use super::{MAXIMUM_RECORDS, Mechanism, NoiseParameters, Privacy, REACH_SENSITIVITY};
use crate::error::{Result, require};
use crate::randomness::Draws;

const BLIND_HISTOGRAM_SENSITIVITY: f64 = 2.0;
/// More data providers than this in one computation are refused.
const MAXIMUM_SKETCHES: i64 = 1 << 20;

/// Noise of the setup phase.
pub struct RegisterNoise {
    blind_histogram: NoiseParameters,
    publisher: NoiseParameters,
    reach: NoiseParameters,
    contributors: u64,
    sketches: u64,
    total: u64,
    group_floor: u64,
}

/// Noise registers of each kind that one duchy adds.
pub struct RegisterCounts {
    /// At k - 1: how many indexes occur k times.
    pub blind_histogram: Vec<u64>,
    /// Registers with the publisher-noise index.
    pub publisher: u64,
    /// Registers that count as reached people.
    pub reach: u64,
    /// Registers with the padding index.
    pub padding: u64,
}

impl RegisterCounts {
    /// Distinct indexes of the blind-histogram noise.
    pub fn identifiers(&self) -> u64 {
        self.blind_histogram.iter().sum()
    }
}

impl RegisterNoise {
    /// `budgets`: blind histogram, publisher, reach. `group_floor` more registers than drawn will carry the publisher-noise
    /// index, and as many more the padding index, so that both groups are recognised by their size (specification, P2).
    /// Added to the draw, not its minimum: the noise keeps its distribution, and the total says nothing.
    pub fn new(
        mechanism: Mechanism,
        contributors: i64,
        sketches: i64,
        budgets: [Privacy; 3],
        group_floor: u64,
    ) -> Result<Self> {
        require!(sketches >= 1, "sketches: {sketches}, at least 1 is needed");
        require!(sketches <= MAXIMUM_SKETCHES, "sketches: {sketches}, at most {MAXIMUM_SKETCHES}");
        require!(group_floor <= MAXIMUM_RECORDS, "group floor: {group_floor}");
        let parameters = |budget, sensitivity| NoiseParameters::new(mechanism, budget, contributors, sensitivity);
        let blind_histogram = parameters(budgets[0], BLIND_HISTOGRAM_SENSITIVITY)?;
        let publisher = parameters(budgets[1], sketches as f64)?;
        let reach = parameters(budgets[2], REACH_SENSITIVITY)?;
        let per_kind = |offset: u64, times: u128| u128::from(offset) * times;
        let times = sketches as u128 * (sketches as u128 + 1);
        let total = per_kind(blind_histogram.shift_offset, times)
            + per_kind(publisher.shift_offset, 2)
            + per_kind(reach.shift_offset, 2)
            + per_kind(group_floor, 2);
        require!(total <= u128::from(MAXIMUM_RECORDS), "{total} noise registers are too many");
        let (contributors, sketches, total) = (contributors as u64, sketches as u64, total as u64);
        Ok(Self { blind_histogram, publisher, reach, contributors, sketches, total, group_floor })
    }

    /// The noise registers of one duchy, T, those of the group floor included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Registers of publisher noise and of padding beyond those drawn, each.
    pub fn group_floor(&self) -> u64 {
        self.group_floor
    }

    /// The most distinct indexes that the blind-histogram noise of all duchies can have.
    pub fn most_identifiers(&self) -> u64 {
        let of_a_duchy = 2 * self.blind_histogram.shift_offset * self.sketches;
        of_a_duchy.saturating_mul(self.contributors)
    }

    /// Draws the counts: n_1 ... n_S of the blind histogram, publisher, reach.
    pub fn draw(&self, draws: &Draws<'_>) -> Result<RegisterCounts> {
        let mut parameters = vec![self.blind_histogram; self.sketches as usize];
        parameters.extend([self.publisher, self.reach]);
        let mut counts = draws.noise_counts(&parameters)?;
        let reach = counts.pop().unwrap_or_default();
        let drawn = counts.pop().unwrap_or_default();
        let blind: u64 = (1..).zip(&counts).map(|(copies, count): (u64, &u64)| copies * count).sum();
        let publisher = drawn + self.group_floor;
        let used = blind + publisher + reach;
        require!(used <= self.total, "the noise counts exceed {} registers", self.total);
        let padding = self.total - used;
        Ok(RegisterCounts { blind_histogram: counts, publisher, reach, padding })
    }
}
