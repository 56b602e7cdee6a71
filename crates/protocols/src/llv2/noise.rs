//! How much noise each duchy adds, and what the aggregator subtracts (LLv2 specification, sections 3, 4.3, 5.3 and 6.2).

use crate::error::{Result, require};
use crate::noise::{Mechanism, NoiseParameters, Privacy};
use crate::randomness::Draws;

const BLIND_HISTOGRAM_SENSITIVITY: f64 = 2.0;
const REACH_SENSITIVITY: f64 = 1.0;
const FREQUENCY_SENSITIVITY: f64 = 2.0;
/// More noise records than this are refused: 2^36 registers are 13 TB.
const MAXIMUM_RECORDS: u64 = 1 << 36;
/// More data providers than this in one computation are refused.
const MAXIMUM_SKETCHES: i64 = 1 << 20;

/// Noise of the setup phase.
pub struct RegisterNoise {
    blind_histogram: NoiseParameters,
    publisher: NoiseParameters,
    reach: NoiseParameters,
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
        Ok(Self { blind_histogram, publisher, reach, sketches: sketches as u64, total: total as u64, group_floor })
    }

    /// The noise registers of one duchy, T, those of the group floor included.
    pub fn total(&self) -> u64 {
        self.total
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
