//! The shuffle phase of a worker (section 7).

use super::entries::{Entries, Entry, Operation, zeroed};
use super::generator::{Generator, SEED_SIZE};
use super::packed::{self, Message, PackedReader, PackedWriter};
use super::parameters::{Modulus, Order, Parameters};
use super::shuffle::shuffle_and_take_vartime;
use super::{noise, with_entry};
use crate::error::{Result, require};
use crate::randomness::Randomness;
use crate::work::Work;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Entries that are read at once.
const BLOCK: usize = 1 << 18;

/// The shares of one worker: for every requisition a file or a seed.
pub struct Shares<'a> {
    /// Files of `FrequencyVector` messages.
    pub files: &'a [PathBuf],
    /// Seeds of 48 bytes.
    pub seeds: &'a [Zeroizing<Vec<u8>>],
    /// Entries of each.
    pub register_count: i64,
}

/// Adds the shares, adds noise, shuffles; writes an `AggregationPhaseInput`. The number of its entries.
#[allow(clippy::too_many_arguments, reason = "what the request has")]
pub fn shuffle_phase(
    parameters: &Parameters,
    shares: &Shares<'_>,
    output: &Path,
    common_seed: &[u8],
    order: Order,
    randomness: &Randomness,
    work: &Work<'_>,
) -> Result<u64> {
    let count = shares.files.len() + shares.seeds.len();
    require!(count > 0, "no shares: at least one requisition is needed");
    let entries = parameters.entries(shares.register_count)?;
    work.expect(entries * 2 + count as u64 * shares.register_count as u64);
    let worker = Worker { parameters, shares, common_seed, order, randomness, work };
    work.run(|| with_entry!(parameters.modulus, whole(&worker, output, entries)))?;
    Ok(entries)
}

/// Reads a share as the shuffle phase would, and refuses what that would refuse.
pub fn check_share(path: &Path, register_count: i64, ring_modulus: i64, work: &Work<'_>) -> Result<()> {
    let modulus = Modulus::new(ring_modulus)?;
    require!(register_count >= 1, "register count: {register_count}, at least 1 is needed");
    work.expect(register_count as u64);
    work.run(|| with_entry!(modulus, read_share(path, register_count as u64, modulus, work, |_, _| {})))
}

/// Reads a share: `consume(position, entries)`, of which those beyond the register count are not sound.
fn read_share<E: Entry>(
    path: &Path,
    register_count: u64,
    modulus: Modulus,
    work: &Work<'_>,
    mut consume: impl FnMut(usize, &[E]) + Send,
) -> Result<()> {
    let mut reader = PackedReader::open(path, Message::FREQUENCY_VECTOR, modulus)?;
    let mut position = 0;
    let fetch = || {
        let block = reader.read::<E>(BLOCK)?;
        Ok((!block.is_empty()).then_some(block))
    };
    let compute = |block: Entries<E>| {
        consume(position, &block);
        position += block.len();
        work.advance(block.len() as u64)
    };
    work.pipeline(fetch, compute, Ok)?;
    let given = reader.entries();
    if given != register_count {
        return Err(reader.refusal(format!("a share of {given} entries: {register_count} registers are needed")));
    }
    Ok(())
}

struct Worker<'a> {
    parameters: &'a Parameters,
    shares: &'a Shares<'a>,
    common_seed: &'a [u8],
    order: Order,
    randomness: &'a Randomness,
    work: &'a Work<'a>,
}

fn whole<E: Entry>(worker: &Worker<'_>, output: &Path, entries: u64) -> Result<()> {
    let register_count = worker.shares.register_count;
    let mut common = Generator::new(worker.common_seed)?;
    let mut vector = zeroed::<E>(entries as usize);
    let (sum, noise) = vector.split_at_mut(register_count as usize);
    worker.add_shares(sum)?;
    if worker.parameters.reach_only {
        common.apply_nonzero(sum, Operation::Multiply, worker.parameters.modulus, worker.work)?;
    }
    worker.work.advance(register_count as u64)?;
    worker.add_noise(noise, &mut common)?;
    let mut seed = Zeroizing::new([0; SEED_SIZE]);
    common.fill(seed.as_mut());
    let mut writer = PackedWriter::create(output, Message::AGGREGATION_PHASE_INPUT, &vector)?;
    let write = |bytes: Entries<u8>| writer.write(&bytes);
    shuffle_and_take_vartime(&mut vector, seed.as_ref(), worker.work, packed::encoded, write)?;
    writer.finish(register_count)
}

impl Worker<'_> {
    fn add_shares<E: Entry>(&self, sum: &mut [E]) -> Result<()> {
        let modulus = self.parameters.modulus;
        for seed in self.shares.seeds {
            Generator::new(seed)?.apply(sum, Operation::Add, modulus, self.work)?;
            self.work.advance(sum.len() as u64)?;
        }
        for path in self.shares.files {
            read_share::<E>(path, sum.len() as u64, modulus, self.work, |position, block| {
                let rest = sum.get_mut(position..).unwrap_or_default(); // what is too much is only counted
                let some = block.len().min(rest.len());
                E::apply(Operation::Add, &mut rest[..some], &block[..some], modulus);
            })?;
        }
        Ok(())
    }

    /// Both workers' entries of noise, masked: r1 and r2 are drawn in this order by both.
    fn add_noise<E: Entry>(&self, noise: &mut [E], common: &mut Generator) -> Result<()> {
        let Some(parameters) = &self.parameters.noise else { return Ok(()) };
        let (first, second) = noise.split_at_mut(noise.len() / 2);
        let own = if self.order == Order::First { &mut *first } else { &mut *second };
        noise::fill(own, self.parameters, parameters, self.randomness)?;
        for (half, order) in [(first, Order::First), (second, Order::Second)] {
            let operation = if self.order == order { Operation::Subtract } else { Operation::Add };
            common.apply(half, operation, self.parameters.modulus, self.work)?;
        }
        self.work.advance(noise.len() as u64)
    }
}
