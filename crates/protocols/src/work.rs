//! How a stage goes through its items: block after block, the chunks of a block in parallel.

use crate::error::{Error, Result, require};
use crate::files::Input;
use crate::progress::Progress;
use rayon::prelude::*;

/// Items of a block unless the caller chooses.
pub const DEFAULT_BLOCK: usize = 8192;

/// Items that one thread works on at once: enough to share an inversion, few enough to spread over the threads.
const CHUNK: usize = 1024;

/// The threads, block size and progress of one stage function.
pub struct Work<'a> {
    pool: rayon::ThreadPool,
    /// Items of a block.
    pub block: usize,
    progress: &'a Progress,
}

impl<'a> Work<'a> {
    /// Starts the threads.
    pub fn new(threads: i64, block: Option<i64>, progress: &'a Progress) -> Result<Self> {
        require!((1..=4096).contains(&threads), "threads: {threads}, 1 to 4096 are needed");
        let block = block.unwrap_or(DEFAULT_BLOCK as i64);
        require!((1..=1 << 24).contains(&block), "block: {block}, 1 to 2^24 items are needed");
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads as usize).thread_name(|_| "stage".into()).build();
        let pool = pool.map_err(|error| Error::Internal(format!("threads could not be started: {error}")))?;
        progress.begin();
        progress.check()?;
        Ok(Self { pool, block: block as usize, progress })
    }

    /// Announces further items.
    pub fn expect(&self, items: u64) {
        self.progress.expect(items);
    }

    /// Counts items that needed no arithmetic.
    pub fn advance(&self, items: u64) -> Result<()> {
        self.progress.advance(items);
        self.progress.check()
    }

    /// Runs something on the stage's threads.
    pub fn run<T: Send>(&self, operation: impl FnOnce() -> T + Send) -> T {
        self.pool.install(operation)
    }

    /// Reads the input block by block: `operation(position of the first record, records)`.
    pub fn read(&self, input: &mut Input, mut operation: impl FnMut(u64, Vec<u8>) -> Result<()>) -> Result<()> {
        let mut first = 0;
        loop {
            self.progress.check()?;
            let left = input.records() - first;
            let block = input.read(self.block)?;
            if left == 0 {
                return Ok(());
            }
            operation(first, block).map_err(|error| input.refusal(error))?;
            first += left.min(self.block as u64);
        }
    }

    /// Works on chunks of a block of records in parallel, in place; the chunks' results come in order.
    /// `operation(position of the chunk's first record, records)`.
    pub fn in_place<T, F>(&self, first: u64, block: &mut [u8], record: usize, operation: F) -> Result<Vec<T>>
    where
        T: Send,
        F: Fn(u64, &mut [u8]) -> Result<T> + Sync,
    {
        self.run(|| {
            let chunks = block.par_chunks_mut(CHUNK * record).enumerate();
            chunks
                .map(|(number, chunk)| {
                    self.progress.check()?;
                    let start = first + (number * CHUNK) as u64;
                    let result = operation(start, chunk).map_err(|error| error.after(start))?;
                    self.progress.advance((chunk.len() / record) as u64);
                    Ok(result)
                })
                .collect()
        })
    }

    /// Makes `count` records, block by block: `operation(position of the chunk's first record, zeroed records)` fills them.
    pub fn produce<F>(
        &self,
        count: u64,
        record: usize,
        operation: F,
        mut consume: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()>
    where
        F: Fn(u64, &mut [u8]) -> Result<()> + Sync,
    {
        let mut first = 0;
        while first < count {
            let records = (count - first).min(self.block as u64);
            let mut block = vec![0; records as usize * record];
            self.in_place(first, &mut block, record, &operation)?;
            consume(&block)?;
            first += records;
        }
        Ok(())
    }
}
