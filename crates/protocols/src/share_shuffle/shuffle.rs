//! The shuffle that both workers repeat (section 4.4): forward Fisher-Yates.
//!
//! One thread swaps, entry after entry, since a swap may need any of those before. With several threads the others compute whom
//! the next entries are swapped with meanwhile.

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
    let total = entries.len();
    if total <= 1 {
        return Ok(());
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
        work.advance(partners.len() as u64)
    };
    work.pipeline(fetch, swap, Ok)
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
