//! The shuffle that both workers repeat (section 4.4): forward Fisher-Yates.
//!
//! One thread swaps, entry after entry, since a swap may need any of those before. With several threads the others meanwhile
//! compute whom the next entries are swapped with, and do what there is to do with the last ones, which stay where they are.

use super::entries::{Entries, Entry, zeroed};
use super::generator::Keystream;
use super::kernel::{self, BLOCK, CHOICE};
use crate::error::Result;
use crate::work::Work;
use rayon::prelude::*;

/// Entries whose partners are computed at once by one thread.
const CHUNK: usize = 1 << 12;
/// Entries whose partners are held.
const PART: usize = 1 << 16;
/// How many swaps before its own the line of a partner is asked for.
const AHEAD: usize = 64;

/// Shuffles by the seed; nothing is done, and the seed is not looked at, for fewer than two entries. Which addresses are read
/// depends on the seed, as it must when every entry is touched about once: who shares caches with a worker may learn of it.
pub fn shuffle_vartime<E: Entry>(entries: &mut [E], seed: &[u8], work: &Work<'_>) -> Result<()> {
    shuffle_and_take_vartime(entries, seed, work, |_| (), Ok)
}

/// The same; `take` gets all entries in their new order, some at a time, and `consume` what it made of them, in order.
pub(super) fn shuffle_and_take_vartime<E: Entry, T: Send>(
    entries: &mut [E],
    seed: &[u8],
    work: &Work<'_>,
    mut take: impl FnMut(&[E]) -> T + Send,
    mut consume: impl FnMut(T) -> Result<()> + Send,
) -> Result<()> {
    let total = entries.len();
    if total <= 1 {
        work.advance(total as u64)?;
        return consume(take(entries));
    }
    let keystream = Keystream::new(seed)?;
    let mut known = 0;
    let fetch = || {
        let first = known;
        known = (first + PART).min(total);
        Ok((first < total).then(|| (first, partners(&keystream, first, known - first, total))))
    };
    let swap = |(first, partners): (usize, Entries<u32>)| {
        for (at, partner) in partners.iter().enumerate() {
            if let Some(later) = partners.get(at + AHEAD) {
                kernel::prefetch(entries, *later as usize);
            }
            entries.swap(first + at, *partner as usize);
        }
        work.advance(partners.len() as u64)?;
        Ok(take(&entries[first..first + partners.len()]))
    };
    work.pipeline(fetch, swap, consume)
}

/// Whom `count` of `total` entries, from `first` on, are swapped with.
fn partners(keystream: &Keystream, first: usize, count: usize, total: usize) -> Entries<u32> {
    let mut partners = zeroed(count);
    partners.par_chunks_mut(CHUNK).enumerate().for_each(|(number, chunk)| {
        let first = (first + number * CHUNK) as u64;
        let mut words = zeroed::<u8>(chunk.len() * BLOCK);
        keystream.fill(first * BLOCK as u64, &mut words);
        kernel::partners(*CHOICE, &words, first, total as u64, chunk);
    });
    partners
}
