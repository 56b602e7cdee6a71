//! A data provider's frequency vector and its share (sections 3.2, 3.3 and 5.1).

use super::entries::{Entries, Entry, Operation, zeroed};
use super::generator::Generator;
use super::packed::{self, Message};
use super::parameters::Modulus;
use super::population::VidIndex;
use super::with_entry;
use crate::error::{Result, invalid, require};
use crate::work::Work;
use std::path::Path;

/// Events between two looks at whether to go on.
const STRIDE: usize = 1 << 14;

/// Which indices of a population are measured, computed in single precision as everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplingRange {
    start: i64,
    primary: i64,
    wrapped: i64,
}

impl SamplingRange {
    /// From the measurement's start and width; it may pass 1 and go on at 0.
    pub fn new(population: u32, start: f64, width: f64) -> Result<Self> {
        let (start, width) = (start as f32, width as f32);
        require!((0.0..=1.0).contains(&start), "sampling start: {start}, a number in [0, 1] is needed");
        require!(width > 0.0 && width <= 1.0, "sampling width: {width}, a number in (0, 1] is needed");
        let (size, people) = (i64::from(population), population as f32);
        let first = (people * start) as i64;
        let last = (people * (start + width)) as i64 - 1;
        let primary = (last.min(size - 1) - first + 1).max(0);
        let wrapped = (last - size + 1).max(0);
        Ok(Self { start: first, primary, wrapped })
    }

    /// Entries of the vector.
    pub fn len(&self) -> u64 {
        (self.primary + self.wrapped) as u64
    }

    /// Whether nobody is measured.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry of an index, if it is measured.
    pub fn entry(&self, index: u32) -> Option<usize> {
        let index = i64::from(index);
        if (self.start..self.start + self.primary).contains(&index) {
            Some((index - self.start) as usize)
        } else {
            (index < self.wrapped).then_some((self.primary + index) as usize)
        }
    }
}

/// How often each person of the sample was seen, a byte each. Wiped when dropped.
pub struct FrequencyVector {
    counts: Entries<u8>,
    /// Events whose VID is not of the population.
    pub unknown: u64,
    /// Events whose VID is not in the sample.
    pub outside: u64,
}

impl FrequencyVector {
    /// One impression for each VID, at most `maximum` a person. `strict` refuses events outside the population or the sample.
    pub fn new(
        index: &VidIndex,
        vids: &[i64],
        range: &SamplingRange,
        maximum: i64,
        strict: bool,
        work: &Work<'_>,
    ) -> Result<Self> {
        require!((1..=255).contains(&maximum), "maximum frequency: {maximum}, 1 to 255 is needed");
        work.expect(vids.len() as u64);
        let mut vector = Self { counts: zeroed(range.len() as usize), unknown: 0, outside: 0 };
        for some in vids.chunks(STRIDE) {
            for vid in some {
                match index.index(*vid).map(|index| range.entry(index)) {
                    Some(Some(entry)) => {
                        let count = &mut vector.counts[entry];
                        *count = count.saturating_add(1).min(maximum as u8);
                    }
                    Some(None) => vector.outside += 1,
                    None => vector.unknown += 1,
                }
            }
            work.advance(some.len() as u64)?;
        }
        let (unknown, outside) = (vector.unknown, vector.outside);
        require!(!strict || unknown == 0, "{unknown} events have a VID that is not of the population");
        require!(!strict || outside == 0, "{outside} events have a VID that is not in the sample");
        Ok(vector)
    }

    /// The counts.
    pub fn counts(&self) -> &[u8] {
        &self.counts
    }

    /// Writes the share that belongs to the seed as a `FrequencyVector` message: what must be added to the seed's own values to
    /// get the counts, each at most `maximum`. Zero makes the share of a vector of zeros. The number of entries.
    pub fn share(&self, output: &Path, seed: &[u8], ring_modulus: i64, maximum: i64, work: &Work<'_>) -> Result<u64> {
        let modulus = Modulus::new(ring_modulus)?;
        require!(!self.counts.is_empty(), "the frequency vector is empty: nobody of the population is in the sample");
        require!(maximum >= 0, "maximum frequency: {maximum}, it cannot be negative");
        let most = maximum.min(255) as u8;
        let beyond = self.counts.iter().position(|count| u32::from(*count.min(&most)) >= modulus.value());
        if let Some(entry) = beyond {
            return Err(invalid!(
                "entry {entry} of the frequency vector is not less than the ring modulus {ring_modulus}"
            ));
        }
        work.expect(2 * self.counts.len() as u64);
        work.run(|| with_entry!(modulus, share(&self.counts, output, seed, modulus, most, work)))?;
        Ok(self.counts.len() as u64)
    }
}

fn share<E: Entry>(
    counts: &[u8],
    output: &Path,
    seed: &[u8],
    modulus: Modulus,
    maximum: u8,
    work: &Work<'_>,
) -> Result<()> {
    let mut generator = Generator::new(seed)?;
    let mut share = zeroed::<E>(counts.len());
    for (entry, count) in share.iter_mut().zip(counts) {
        *entry = E::new(u32::from(*count.min(&maximum)));
    }
    generator.apply(&mut share, Operation::Subtract, modulus, work)?;
    work.advance(counts.len() as u64)?;
    packed::write(output, &share, Message::FREQUENCY_VECTOR, work)
}
