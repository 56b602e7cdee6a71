//! The noise registers of the setup phase (LLv2 specification, section 3, step 3).

use super::noise::RegisterCounts;
use super::{COUNT, INDEX, KEY, REGISTER_SIZE};
use crate::constants::{
    BLIND_HISTOGRAM_KEY, BLIND_HISTOGRAM_PREFIX, DESTROYED_KEY, PADDING_INDEX, PUBLISHER_NOISE_INDEX,
    REACH_NOISE_PREFIX,
};
use crate::el_gamal::PublicKey;
use crate::error::Result;
use crate::randomness::Draws;
use crate::work::Work;
use p256_batch::{Point, Points, Scalars, hash_all_to_curve_vartime, hash_to_curve_vartime};

/// Draws of a blind-histogram register: index, key, count. Its identifier was drawn before all of them.
const PER_BLIND: u64 = 3;
/// Draws of another register: index, text of key and count, key, count; or text of the index, index, key, count.
const PER_OTHER: u64 = 4;

/// Registers of one kind, one after the other.
struct Run {
    kind: Kind,
    registers: u64,
    first_draw: u64,
}

enum Kind {
    /// Each identifier on `copies` registers; the identifiers are drawn from `first_identifier` on.
    BlindHistogram { copies: u64, first_identifier: u64 },
    /// All with this index, each with a random key that is its count too.
    Shared { index: Point },
    /// Each with its own index and the destroyed key.
    Reach,
}

/// The noise registers of one call and where their draws lie.
pub struct NoiseRegisters {
    runs: Vec<Run>,
    end: u64,
    blind_key: Point,
    destroyed_key: Point,
}

impl NoiseRegisters {
    /// Lays out the draws from position `first` on: all identifiers, then the registers kind by kind.
    pub fn new(counts: RegisterCounts, first: u64) -> Self {
        let point = |text: &str| hash_to_curve_vartime(text.as_bytes());
        let mut runs = Vec::new();
        let mut identifier = first;
        let mut draw = first + counts.blind_histogram.iter().sum::<u64>();
        for (copies, identifiers) in (1..).zip(counts.blind_histogram) {
            let registers = copies * identifiers;
            let kind = Kind::BlindHistogram { copies, first_identifier: identifier };
            runs.push(Run { kind, registers, first_draw: draw });
            identifier += identifiers;
            draw += PER_BLIND * registers;
        }
        let others = [
            (Kind::Shared { index: point(PUBLISHER_NOISE_INDEX) }, counts.publisher),
            (Kind::Reach, counts.reach),
            (Kind::Shared { index: point(PADDING_INDEX) }, counts.padding),
        ];
        for (kind, registers) in others {
            runs.push(Run { kind, registers, first_draw: draw });
            draw += PER_OTHER * registers;
        }
        Self { runs, end: draw, blind_key: point(BLIND_HISTOGRAM_KEY), destroyed_key: point(DESTROYED_KEY) }
    }

    /// How many.
    pub fn total(&self) -> u64 {
        self.runs.iter().map(|run| run.registers).sum()
    }

    /// Encrypts them all and hands them over block by block; returns the position after the last draw.
    pub fn write(
        &self,
        work: &Work<'_>,
        key: &PublicKey,
        draws: &Draws<'_>,
        mut consume: impl FnMut(&[u8]) -> Result<()> + Send,
    ) -> Result<u64> {
        for run in &self.runs {
            let fill = |first: u64, records: &mut [u8]| self.fill(run, key, draws, first, records);
            work.produce(run.registers, REGISTER_SIZE, fill, &mut consume)?;
        }
        Ok(self.end)
    }

    fn fill(&self, run: &Run, key: &PublicKey, draws: &Draws<'_>, first: u64, records: &mut [u8]) -> Result<()> {
        let count = records.len() / REGISTER_SIZE;
        let per_register = if matches!(run.kind, Kind::BlindHistogram { .. }) { PER_BLIND } else { PER_OTHER };
        let scalars = draws.scalars(run.first_draw + per_register * first, per_register as usize * count)?;
        let (plaintexts, columns) = match run.kind {
            Kind::BlindHistogram { copies, first_identifier } => {
                let start = first / copies;
                let identifiers = ((first + count as u64 - 1) / copies - start + 1) as usize;
                let texts = draws.scalars(first_identifier + start, identifiers)?;
                let points = hash_texts(BLIND_HISTOGRAM_PREFIX, &texts);
                let index =
                    points.gather((0..count as u64).map(|register| ((first + register) / copies - start) as usize));
                let keys = Points::repeat(self.blind_key, count);
                ([index, keys.clone(), keys], [0, 1, 2])
            }
            Kind::Shared { index } => {
                let keys = hash_texts("", &scalars.column(4, 1));
                ([Points::repeat(index, count), keys.clone(), keys], [0, 2, 3])
            }
            Kind::Reach => {
                let keys = Points::repeat(self.destroyed_key, count);
                ([hash_texts(REACH_NOISE_PREFIX, &scalars.column(4, 0)), keys.clone(), keys], [1, 2, 3])
            }
        };
        for ((plaintext, column), offset) in plaintexts.iter().zip(columns).zip([INDEX, KEY, COUNT]) {
            let ciphertexts = key.encrypt(plaintext, &scalars.column(per_register as usize, column));
            ciphertexts.encode_into(records, REGISTER_SIZE, offset)?;
        }
        Ok(())
    }
}

/// Points of `prefix` followed by the decimal digits of each scalar.
pub fn hash_texts(prefix: &str, scalars: &Scalars) -> Points {
    let texts = scalars.to_decimals_vartime();
    hash_all_to_curve_vartime(texts.iter().map(|text| [prefix.as_bytes(), text.as_bytes()].concat()))
}
