//! How a stage goes through its items: block after block, the chunks of a block in parallel, and reading and writing beside.

use crate::error::{Error, Result, require};
use crate::files::Input;
use crate::progress::Progress;
use rayon::prelude::*;

/// Bytes of a block for each thread unless the caller chooses how many items it has. At most four blocks are in memory: with
/// the sorting they are all that a stage of many registers holds more than one of few.
const BLOCK_PER_THREAD: usize = 1 << 20;

/// Bytes of records that one thread works on at once, at most: 1,024 registers, whose points share each inversion.
const CHUNK: usize = 198 << 10;

/// The threads, block size and progress of one stage function.
pub struct Work<'a> {
    pool: rayon::ThreadPool,
    block: Option<usize>,
    progress: &'a Progress,
}

impl<'a> Work<'a> {
    /// Starts the threads.
    pub fn new(threads: i64, block: Option<i64>, progress: &'a Progress) -> Result<Self> {
        require!((1..=4096).contains(&threads), "threads: {threads}, 1 to 4096 are needed");
        if let Some(block) = block {
            require!((1..=1 << 24).contains(&block), "block: {block}, 1 to 2^24 items are needed");
        }
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads as usize).thread_name(|_| "stage".into()).build();
        let pool = pool.map_err(|error| Error::Internal(format!("threads could not be started: {error}")))?;
        progress.begin();
        progress.check()?;
        Ok(Self { pool, block: block.map(|block| block as usize), progress })
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

    /// How many threads the stage has.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs something on the stage's threads.
    pub fn run<T: Send>(&self, operation: impl FnOnce() -> T + Send) -> T {
        self.pool.install(operation)
    }

    /// How many records of so many bytes make a block.
    pub fn block(&self, record: usize) -> usize {
        self.block.unwrap_or_else(|| (self.pool.current_num_threads() * BLOCK_PER_THREAD / record).max(1))
    }

    /// Computes block after block; while one is computed, the result of the one before is consumed and the one after is fetched.
    pub fn pipeline<Block: Send, Output: Send>(
        &self,
        mut fetch: impl FnMut() -> Result<Option<Block>> + Send,
        mut compute: impl FnMut(Block) -> Result<Output> + Send,
        mut consume: impl FnMut(Output) -> Result<()> + Send,
    ) -> Result<()> {
        self.run(|| {
            let (mut fetched, mut computed) = (fetch()?, None);
            while let Some(block) = fetched {
                self.progress.check()?;
                let before = computed.take();
                let beside = || rayon::join(|| before.map_or(Ok(()), &mut consume), &mut fetch);
                let ((consumed, next), output) = rayon::join(beside, || compute(block));
                consumed?;
                (fetched, computed) = (next?, Some(output?));
            }
            computed.map_or(Ok(()), consume)
        })
    }

    /// Reads the input block by block: `operation(position of the first record, records)`.
    pub fn read<Output: Send>(
        &self,
        input: &mut Input,
        operation: impl FnMut(u64, Vec<u8>) -> Result<Output> + Send,
        consume: impl FnMut(Output) -> Result<()> + Send,
    ) -> Result<()> {
        self.read_blocks(input, self.block(input.record()), operation, consume)
    }

    /// The same in blocks of at most `records` records.
    pub fn read_blocks<Output: Send>(
        &self,
        input: &mut Input,
        records: usize,
        mut operation: impl FnMut(u64, Vec<u8>) -> Result<Output> + Send,
        consume: impl FnMut(Output) -> Result<()> + Send,
    ) -> Result<()> {
        let fetch = || {
            let first = input.position();
            input.read(records).map(|block| (!block.is_empty()).then_some((first, block)))
        };
        self.pipeline(fetch, |(first, block)| operation(first, block), consume).map_err(|error| input.refusal(error))
    }

    /// Changes the input's records where they are: `operation(position of the chunk's first record, records)`.
    pub fn transform(
        &self,
        input: &mut Input,
        operation: impl Fn(u64, &mut [u8]) -> Result<()> + Sync,
        mut consume: impl FnMut(&[u8]) -> Result<()> + Send,
    ) -> Result<()> {
        let record = input.record();
        let change = |first, mut block: Vec<u8>| {
            self.in_place(first, &mut block, record, &operation)?;
            Ok(block)
        };
        self.read(input, change, |block| consume(&block))
    }

    /// Works on chunks of a block of records in parallel, in place; the chunks' results come in order.
    /// `operation(position of the chunk's first record, records)`.
    pub fn in_place<T, F>(&self, first: u64, block: &mut [u8], record: usize, operation: F) -> Result<Vec<T>>
    where
        T: Send,
        F: Fn(u64, &mut [u8]) -> Result<T> + Sync,
    {
        let share = (block.len() / record).div_ceil(self.pool.current_num_threads());
        // Of one size: a small last chunk would have inversions to itself.
        let chunks = share.div_ceil((CHUNK / record).max(1)).max(1);
        let records = share.div_ceil(chunks).max(1);
        self.run(|| {
            let chunks = block.par_chunks_mut(records * record).enumerate();
            chunks
                .map(|(number, chunk)| {
                    self.progress.check()?;
                    let start = first + (number * records) as u64;
                    let result = operation(start, chunk).map_err(|error| error.after(start))?;
                    self.progress.advance((chunk.len() / record) as u64);
                    Ok(result)
                })
                .collect()
        })
    }

    /// Makes `count` records, block by block: `operation(position of the chunk's first record, zeroed records)` fills them.
    pub fn produce(
        &self,
        count: u64,
        record: usize,
        operation: impl Fn(u64, &mut [u8]) -> Result<()> + Sync,
        mut consume: impl FnMut(&[u8]) -> Result<()> + Send,
    ) -> Result<()> {
        let mut first = 0;
        let fetch = || {
            let records = (count - first).min(self.block(record) as u64);
            let block = (first, vec![0; records as usize * record]);
            first += records;
            Ok((records > 0).then_some(block))
        };
        let fill = |(first, mut block): (u64, Vec<u8>)| {
            self.in_place(first, &mut block, record, &operation)?;
            Ok(block)
        };
        self.pipeline(fetch, fill, |block| consume(&block))
    }
}
