//! The noise registers of the setup phase (LLv2 specification, section 3, step 3; reach-only specification, section 4.2).

use super::RegisterCounts;
use crate::constants::{
    BLIND_HISTOGRAM_KEY, BLIND_HISTOGRAM_PREFIX, DESTROYED_KEY, PADDING_INDEX, PUBLISHER_NOISE_INDEX,
    REACH_NOISE_PREFIX,
};
use crate::el_gamal::{CIPHERTEXT_SIZE, PublicKey};
use crate::error::Result;
use crate::randomness::Draws;
use crate::work::Work;
use p256_batch::{Point, Points, Scalars, hash_all_to_curve_vartime, hash_to_curve_vartime};

/// What a register consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RegisterLayout {
    /// The ciphertext of an index.
    Index,
    /// The ciphertexts of an index, a key and a count.
    IndexKeyCount,
}

impl RegisterLayout {
    /// Bytes of a register.
    fn size(self) -> usize {
        match self {
            Self::Index => CIPHERTEXT_SIZE,
            Self::IndexKeyCount => 3 * CIPHERTEXT_SIZE,
        }
    }

    fn has_key_and_count(self) -> bool {
        self == Self::IndexKeyCount
    }
}

/// Registers of one kind, one after the other: `copies` of them with each of `indexes` indexes.
struct Run {
    kind: Kind,
    copies: u64,
    indexes: u64,
    first_draw: u64,
}

enum Kind {
    /// Each index from an identifier of its own, which are drawn from `first_identifier` on.
    BlindHistogram { first_identifier: u64 },
    /// All with this index, each with a random key that is its count too.
    Shared { index: Point },
    /// Each with its own index and the destroyed key.
    Reach,
}

impl Kind {
    /// Draws of a register. The encryption of the index, before it in `Reach` the text of the index; then those of key and
    /// count, before them in `Shared` the text of both. The identifiers of `BlindHistogram` were drawn before all registers.
    fn draws(&self, layout: RegisterLayout) -> u64 {
        let index = if matches!(self, Self::Reach) { 2 } else { 1 };
        let values = if matches!(self, Self::Shared { .. }) { 3 } else { 2 };
        if layout.has_key_and_count() { index + values } else { index }
    }
}

/// The noise registers of one call and where their draws lie.
pub struct NoiseRegisters {
    layout: RegisterLayout,
    runs: Vec<Run>,
    end: u64,
    blind_key: Point,
    destroyed_key: Point,
}

impl NoiseRegisters {
    /// Lays out the draws from position `first` on: all identifiers, then the registers kind by kind.
    pub fn new(layout: RegisterLayout, counts: RegisterCounts, first: u64) -> Self {
        let point = |text: &str| hash_to_curve_vartime(text.as_bytes());
        let mut identifier = first;
        let mut end = first + counts.identifiers();
        let blind_histogram = (1..).zip(counts.blind_histogram).map(|(copies, identifiers)| {
            let first_identifier = identifier;
            identifier += identifiers;
            (Kind::BlindHistogram { first_identifier }, copies, identifiers)
        });
        let others = [
            (Kind::Shared { index: point(PUBLISHER_NOISE_INDEX) }, 1, counts.publisher),
            (Kind::Reach, 1, counts.reach),
            (Kind::Shared { index: point(PADDING_INDEX) }, 1, counts.padding),
        ];
        let runs = blind_histogram.chain(others).map(|(kind, copies, indexes)| {
            let first_draw = end;
            end += kind.draws(layout) * copies * indexes;
            Run { kind, copies, indexes, first_draw }
        });
        let runs = runs.collect();
        Self { layout, runs, end, blind_key: point(BLIND_HISTOGRAM_KEY), destroyed_key: point(DESTROYED_KEY) }
    }

    /// How many.
    pub fn total(&self) -> u64 {
        self.runs.iter().map(|run| run.copies * run.indexes).sum()
    }

    /// The position after the last draw.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Encrypts them all and hands them over block by block.
    pub fn write(
        &self,
        work: &Work<'_>,
        key: &PublicKey,
        draws: &Draws<'_>,
        mut consume: impl FnMut(&[u8]) -> Result<()> + Send,
    ) -> Result<()> {
        let size = self.layout.size();
        self.runs.iter().try_for_each(|run| {
            // Never cut between the copies of an index: a source that does not know positions would draw it twice.
            let record = size * run.copies as usize;
            let fill = |first: u64, records: &mut [u8]| self.fill(run, key, draws, first, records);
            work.produce(run.indexes, record, fill, |block| {
                work.advance((block.len() / size - block.len() / record) as u64)?;
                consume(block)
            })
        })
    }

    /// Makes the registers of the indexes from `first` on.
    fn fill(&self, run: &Run, key: &PublicKey, draws: &Draws<'_>, first: u64, records: &mut [u8]) -> Result<()> {
        let size = self.layout.size();
        let (count, copies) = (records.len() / size, run.copies as usize);
        let width = run.kind.draws(self.layout) as usize;
        let scalars = draws.scalars(run.first_draw + width as u64 * run.copies * first, width * count)?;
        let column = |number| scalars.column(width, number);
        let (index, drawn) = match run.kind {
            Kind::BlindHistogram { first_identifier } => {
                let identifiers = draws.scalars(first_identifier + first, count / copies)?;
                let points = hash_texts(BLIND_HISTOGRAM_PREFIX, &identifiers);
                (points.gather((0..count).map(|register| register / copies)), 0)
            }
            Kind::Shared { index } => (Points::repeat(index, count), 0),
            Kind::Reach => (hash_texts(REACH_NOISE_PREFIX, &column(0)), 1),
        };
        key.encrypt(&index, &column(drawn)).encode_into(records, size, 0)?;
        if self.layout.has_key_and_count() {
            let values = match run.kind {
                Kind::BlindHistogram { .. } => Points::repeat(self.blind_key, count),
                Kind::Shared { .. } => hash_texts("", &column(1)),
                Kind::Reach => Points::repeat(self.destroyed_key, count),
            };
            for (drawn, slot) in [(width - 2, 1), (width - 1, 2)] {
                key.encrypt(&values, &column(drawn)).encode_into(records, size, slot * CIPHERTEXT_SIZE)?;
            }
        }
        Ok(())
    }
}

/// Points of `prefix` followed by the decimal digits of each scalar.
pub fn hash_texts(prefix: &str, scalars: &Scalars) -> Points {
    let texts = scalars.to_decimals_vartime();
    hash_all_to_curve_vartime(texts.iter().map(|text| [prefix.as_bytes(), text.as_bytes()].concat()))
}
