//! A run of sorted records, of which a part is in memory at a time.

use super::spill::Spilled;
use crate::error::Result;
use std::cmp::Ordering;
use zeroize::Zeroize;

/// A run that has not ended. Runs compare by their next records, the least being the greatest run: first in a heap.
pub(super) struct Run<const N: usize> {
    buffer: Vec<[u8; N]>,
    position: usize,
    rest: Option<Spilled>,
}

impl<const N: usize> Run<N> {
    /// Sorted records, unless there are none.
    pub(super) fn in_memory(records: Vec<[u8; N]>) -> Option<Self> {
        (!records.is_empty()).then_some(Self { buffer: records, position: 0, rest: None })
    }

    /// A spilled run that is not empty, to be read `records` at a time.
    pub(super) fn spilled(spilled: Spilled, records: usize) -> Result<Self> {
        let mut run = Self { buffer: vec![[0; N]; records], position: 0, rest: Some(spilled) };
        run.fill()?;
        Ok(run)
    }

    /// The next record.
    pub(super) fn head(&self) -> &[u8; N] {
        &self.buffer[self.position]
    }

    /// Goes on to the record after; false if there is none.
    pub(super) fn advance(&mut self) -> Result<bool> {
        self.position += 1;
        if self.position == self.buffer.len() {
            self.fill()?;
        }
        Ok(self.position < self.buffer.len())
    }

    fn fill(&mut self) -> Result<()> {
        if let Some(rest) = &mut self.rest {
            let records = self.buffer.len().min(rest.left() / N);
            self.buffer.truncate(records);
            rest.read(self.buffer.as_flattened_mut())?;
            self.position = 0;
        }
        Ok(())
    }
}

impl<const N: usize> Drop for Run<N> {
    fn drop(&mut self) {
        self.buffer.as_mut_slice().as_flattened_mut().zeroize();
    }
}

impl<const N: usize> Ord for Run<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.head().cmp(self.head())
    }
}

impl<const N: usize> PartialOrd for Run<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> PartialEq for Run<N> {
    fn eq(&self, other: &Self) -> bool {
        self.head() == other.head()
    }
}

impl<const N: usize> Eq for Run<N> {}
