//! How far a stage is, and the request to stop it; shared with a watching thread.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counts the items of one stage function.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Items finished so far.
    pub fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// Items of the stage as far as they are known.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Asks the stage to stop; it fails with [`Error::Cancelled`] within a block.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Whether somebody asked it to stop.
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    /// A stage begins.
    pub(crate) fn begin(&self) {
        self.done.store(0, Relaxed);
        self.total.store(0, Relaxed);
    }

    pub(crate) fn expect(&self, items: u64) {
        self.total.fetch_add(items, Relaxed);
    }

    pub(crate) fn advance(&self, items: u64) {
        self.done.fetch_add(items, Relaxed);
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
