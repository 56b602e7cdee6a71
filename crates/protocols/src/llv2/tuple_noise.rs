//! The noise tuples of execution phases one and two (LLv2 specification, section 4.3).

use super::tuple_counts::TupleCounts;
use super::{FLAGS, TUPLE_COUNT, TUPLE_SIZE};
use crate::constants::UNIT;
use crate::el_gamal::PublicKey;
use crate::error::Result;
use crate::noise::hash_texts;
use crate::randomness::Draws;
use crate::work::Work;
use p256_batch::{Point, Points, Scalars, hash_to_curve_vartime};

/// Tuples of one kind, one after the other.
struct Run {
    kind: Kind,
    tuples: u64,
    first_draw: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    /// A zero, B and C random, and this count. Draws: A; text and encryption of B, of C; count.
    Frequency { count: Point },
    /// All random. Draws: text and encryption of A, B, C and count.
    Destroyed,
    /// A and B zero, C and count the same random point. Draws: A; B; text; C; count.
    Padding,
}

impl Kind {
    fn draws(self) -> u64 {
        match self {
            Self::Frequency { .. } => 6,
            Self::Destroyed => 8,
            Self::Padding => 5,
        }
    }

    /// Plaintexts of flags A, B, C and of the count, and the column of scalars that encrypts each.
    fn plaintexts(self, scalars: &Scalars, count: usize) -> ([Points; 4], [usize; 4]) {
        let zeros = || Points::repeat(Point::infinity(), count);
        let random = |column| hash_texts("", &scalars.column(self.draws() as usize, column));
        match self {
            Self::Frequency { count: point } => {
                ([zeros(), random(1), random(3), Points::repeat(point, count)], [0, 2, 4, 5])
            }
            Self::Destroyed => ([random(0), random(2), random(4), random(6)], [1, 3, 5, 7]),
            Self::Padding => {
                let same = random(2);
                ([zeros(), zeros(), same.clone(), same], [0, 1, 3, 4])
            }
        }
    }
}

/// The noise tuples of one call and where their draws lie.
pub struct NoiseTuples {
    runs: Vec<Run>,
    end: u64,
}

impl NoiseTuples {
    /// Lays out the draws from position `first` on.
    pub fn new(counts: TupleCounts, first: u64) -> Self {
        let unit = hash_to_curve_vartime(UNIT.as_bytes());
        let multiples = std::iter::successors(Some(unit), |multiple| Some(multiple.plus(unit)));
        let frequencies = multiples.map(|count| Kind::Frequency { count }).zip(counts.frequencies);
        let mut end = first;
        let mut runs = Vec::new();
        for (kind, tuples) in frequencies.chain([(Kind::Destroyed, counts.destroyed), (Kind::Padding, counts.padding)])
        {
            runs.push(Run { kind, tuples, first_draw: end });
            end += kind.draws() * tuples;
        }
        Self { runs, end }
    }

    /// How many.
    pub fn total(&self) -> u64 {
        self.runs.iter().map(|run| run.tuples).sum()
    }

    /// Encrypts them all, flags under `flag_key` and counts under `count_key`; returns the position after the last draw.
    pub fn write(
        &self,
        work: &Work<'_>,
        flag_key: &PublicKey,
        count_key: &PublicKey,
        draws: &Draws<'_>,
        mut consume: impl FnMut(&[u8]) -> Result<()> + Send,
    ) -> Result<u64> {
        for run in &self.runs {
            let width = run.kind.draws();
            let fill = |first: u64, records: &mut [u8]| {
                let count = records.len() / TUPLE_SIZE;
                let scalars = draws.scalars(run.first_draw + width * first, width as usize * count)?;
                let (plaintexts, columns) = run.kind.plaintexts(&scalars, count);
                let slots = FLAGS.map(|offset| (flag_key, offset)).into_iter().chain([(count_key, TUPLE_COUNT)]);
                for ((plaintext, column), (key, offset)) in plaintexts.iter().zip(columns).zip(slots) {
                    let ciphertexts = key.encrypt(plaintext, &scalars.column(width as usize, column));
                    ciphertexts.encode_into(records, TUPLE_SIZE, offset)?;
                }
                Ok(())
            };
            work.produce(run.tuples, TUPLE_SIZE, fill, &mut consume)?;
        }
        Ok(self.end)
    }
}
