//! Sorting fixed-size records by their bytes, within a bound on memory whatever the records are.
//!
//! As many as fit are sorted where they are. If there are more, every such run is spilled, and the runs are merged.

mod run;
mod spill;

use crate::error::Result;
use rayon::slice::ParallelSliceMut;
use run::Run;
use spill::Spill;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::Path;
use zeroize::Zeroize;

/// Bytes of records that are held in memory, be they sorted or merged.
pub const DEFAULT_MEMORY: u64 = 8 << 20;

/// Collects records of `N` bytes.
pub struct Sorter<const N: usize> {
    memory: Vec<[u8; N]>,
    capacity: usize,
    spill: Option<Spill>,
}

impl<const N: usize> Sorter<N> {
    /// For at most `records` records; the spill file goes beside the output, into `folder`.
    pub fn new(records: u64, folder: &Path, memory: u64) -> Result<Self> {
        let capacity = records.min((memory / N as u64).max(1));
        let spill = (capacity < records).then(|| Spill::create(folder, records * N as u64)).transpose()?;
        Ok(Self { memory: Vec::with_capacity(capacity as usize), capacity: capacity as usize, spill })
    }

    /// Adds a block of records.
    pub fn push(&mut self, block: &[u8]) -> Result<()> {
        let mut records = block.as_chunks::<N>().0;
        while !records.is_empty() {
            if self.memory.len() == self.capacity {
                self.spill_run()?;
            }
            let (fitting, others) = records.split_at(records.len().min(self.capacity - self.memory.len()));
            self.memory.extend_from_slice(fitting);
            records = others;
        }
        Ok(())
    }

    /// All records in ascending order.
    pub fn sorted(mut self) -> Result<Sorted<N>> {
        if self.spill.as_ref().is_some_and(|spill| !spill.is_empty()) {
            self.spill_run()?;
        }
        self.memory.par_sort_unstable();
        let in_memory = Run::in_memory(std::mem::take(&mut self.memory));
        let spilled = self.spill.take().map(|spill| spill.into_runs(self.capacity)).transpose()?;
        Ok(Sorted { runs: spilled.into_iter().flatten().chain(in_memory).map(Box::new).collect() })
    }

    fn spill_run(&mut self) -> Result<()> {
        let spill = self.spill.as_mut().expect("no more records than announced");
        self.memory.par_sort_unstable();
        spill.append(self.memory.as_flattened_mut())?;
        self.memory.clear();
        Ok(())
    }
}

impl<const N: usize> Drop for Sorter<N> {
    fn drop(&mut self) {
        self.memory.as_mut_slice().as_flattened_mut().zeroize();
    }
}

/// The records of a sorter in ascending order.
pub struct Sorted<const N: usize> {
    /// The one with the least head first.
    runs: BinaryHeap<Box<Run<N>>>,
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut run = self.runs.peek_mut()?;
        let record = *run.head();
        let more = run.advance();
        if !matches!(more, Ok(true)) {
            PeekMut::pop(run);
        }
        Some(more.map(|_| record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sort<const N: usize>(records: &[[u8; N]], memory: u64) -> Vec<[u8; N]> {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::<N>::new(records.len() as u64, folder.path(), memory).unwrap();
        records.chunks(7).for_each(|chunk| sorter.push(chunk.as_flattened()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "spill files have no name");
        sorter.sorted().unwrap().map(Result::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn memory_does_not_change_the_order(records in prop::collection::vec(any::<[u8; 3]>(), 0..300), memory in 1u64..1000) {
            let mut expected = records.clone();
            expected.sort_unstable();
            prop_assert_eq!(sort(&records, memory), expected);
        }
    }

    #[test]
    fn records_that_are_all_alike_are_kept() {
        assert_eq!(sort(&[[2; 5]; 100], 50), [[2; 5]; 100]);
    }
}
