//! The shuffle that both workers repeat (section 4.4): forward Fisher-Yates.

use super::entries::Entry;
use super::generator::{Keystream, zeroed};
use super::kernel;
use crate::error::Result;
use crate::work::Work;

/// Entries whose partners are computed at once.
const CHUNK: usize = 1 << 12;
const WORD: usize = 16;

/// Shuffles by the seed; nothing is done, and the seed is not looked at, for fewer than two entries. Which addresses are read
/// depends on the seed, as it must when every entry is touched about once: who shares caches with a worker may learn of it.
pub fn shuffle_vartime<E: Entry>(entries: &mut [E], seed: &[u8], work: &Work<'_>) -> Result<()> {
    let total = entries.len() as u64;
    if total <= 1 {
        return Ok(());
    }
    let keystream = Keystream::new(seed)?;
    let (mut words, mut targets) = (zeroed::<u8>(CHUNK * WORD), zeroed::<u32>(CHUNK));
    let mut first = 0;
    while first < total - 1 {
        let count = CHUNK.min((total - 1 - first) as usize);
        let words = &mut words[..count * WORD];
        keystream.fill(first * WORD as u64, words);
        kernel::targets(words, first, total, &mut targets[..count]);
        for (entry, target) in (first as usize..).zip(&targets[..count]) {
            entries.swap(entry, *target as usize);
        }
        first += count as u64;
        work.advance(count as u64)?;
    }
    work.advance(1)
}
