//! Sorting fixed-size records by their bytes, within a bound on memory.
//!
//! Few records are sorted where they are. More are dealt out to buckets by their first bytes, which for encodings of random
//! points are evenly spread, and one bucket at a time is sorted. (Hostile records may all fall into one bucket; the
//! result is the same and only memory suffers.)

mod spill;

use crate::error::Result;
use rayon::slice::ParallelSliceMut;
use spill::Spill;
use std::path::Path;
use zeroize::Zeroize;

/// Bytes of records that are sorted in memory; one bucket is about half as large.
pub const DEFAULT_MEMORY: u64 = 64 << 20;

/// Collects records of `N` bytes whose first byte is 2 or 3 (points), then gives them back in ascending order.
pub struct Sorter<const N: usize> {
    buckets: u64,
    memory: Vec<[u8; N]>,
    spill: Option<Spill>,
}

impl<const N: usize> Sorter<N> {
    /// For at most `records` records; spill files go beside the output, into `folder`.
    pub fn new(records: u64, folder: &Path, memory: u64) -> Result<Self> {
        let bytes = records * N as u64;
        if bytes <= memory {
            return Ok(Self { buckets: 1, memory: Vec::with_capacity(records as usize), spill: None });
        }
        let buckets = bytes.div_ceil((memory / 2).max(1)).clamp(2, 256);
        let spill = Spill::create(folder, buckets as usize, bytes)?;
        Ok(Self { buckets, memory: Vec::new(), spill: Some(spill) })
    }

    /// Adds a block of records.
    pub fn push(&mut self, block: &[u8]) -> Result<()> {
        let records = block.as_chunks::<N>().0;
        let Some(spill) = &mut self.spill else {
            self.memory.extend_from_slice(records);
            return Ok(());
        };
        for record in records {
            // The order of (first byte & 1, second, third) is the order of the records; 17 bits of it choose the bucket.
            let prefix = (u64::from(record[0] & 1) << 16) | (u64::from(record[1]) << 8) | u64::from(record[2]);
            spill.push(((prefix * self.buckets) >> 17) as usize, record)?;
        }
        Ok(())
    }

    /// Hands over all records in ascending order, in blocks. Ends the sorter.
    pub fn drain(mut self, mut consume: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Some(spill) = self.spill.take() else {
            self.memory.par_sort_unstable();
            return consume(self.memory.as_flattened());
        };
        for bucket in spill.into_buckets()? {
            bucket.read_into(&mut self.memory)?;
            self.memory.par_sort_unstable();
            consume(self.memory.as_flattened())?;
            self.memory.as_mut_slice().zeroize_all();
            self.memory.clear();
        }
        Ok(())
    }
}

trait ZeroizeAll {
    fn zeroize_all(&mut self);
}

impl<const N: usize> ZeroizeAll for [[u8; N]] {
    fn zeroize_all(&mut self) {
        self.as_flattened_mut().zeroize();
    }
}

impl<const N: usize> Drop for Sorter<N> {
    fn drop(&mut self) {
        self.memory.as_mut_slice().zeroize_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn memory_does_not_change_the_order(records in prop::collection::vec(any::<[u8; 5]>(), 0..300), memory in 1u64..2000) {
            let records: Vec<[u8; 5]> = records.into_iter().map(|mut record| { record[0] = 2 | record[0] & 1; record }).collect();
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::<5>::new(records.len() as u64, folder.path(), memory).unwrap();
            records.chunks(7).for_each(|chunk| sorter.push(chunk.as_flattened()).unwrap());
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "spill files have no name");
            let mut sorted = Vec::new();
            sorter.drain(|block| { sorted.extend_from_slice(block); Ok(()) }).unwrap();
            let mut expected = records;
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected.as_flattened());
        }
    }
}
