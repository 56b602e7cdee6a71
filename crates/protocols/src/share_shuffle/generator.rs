//! The pseudo-random generator: AES-256 in counter mode, and uniform values made of it (section 4).

use super::entries::{Entries, Entry, Operation, zeroed};
use super::kernel::{BLOCK, CHOICE, Cipher};
use super::parameters::Modulus;
use crate::error::{Result, require};
use crate::work::Work;
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Bytes of a seed: the key, then the initial counter block.
pub const SEED_SIZE: usize = 48;
/// Values that a thread tries to draw at once: they and their bytes stay in its cache.
const CHUNK: usize = 1 << 16;

/// A keystream that can be read anywhere.
pub(super) struct Keystream {
    cipher: Cipher,
    counter: Zeroizing<u128>,
}

impl Keystream {
    pub fn new(seed: &[u8]) -> Result<Self> {
        require!(seed.len() == SEED_SIZE, "a random seed of {} bytes: {SEED_SIZE} are needed", seed.len());
        let (key, counter) = seed.split_at(32);
        let key = Zeroizing::new(<[u8; 32]>::try_from(key).expect("32 bytes"));
        let counter = Zeroizing::new(u128::from_be_bytes(counter.try_into().expect("16 bytes")));
        Ok(Self { cipher: Cipher::new(*CHOICE, &key), counter })
    }

    /// The bytes from `position` on.
    pub fn fill(&self, position: u64, out: &mut [u8]) {
        let counter = self.counter.wrapping_add(u128::from(position / BLOCK as u64));
        let skipped = (position % BLOCK as u64) as usize;
        let mut block = Zeroizing::new([0; BLOCK]);
        let head = if skipped == 0 { 0 } else { out.len().min(BLOCK - skipped) };
        let (first, rest) = out.split_at_mut(head);
        if head > 0 {
            self.cipher.blocks(counter, block.as_mut());
            first.copy_from_slice(&block[skipped..skipped + head]);
        }
        let counter = counter.wrapping_add(u128::from(head > 0));
        let (whole, last) = rest.split_at_mut(rest.len() / BLOCK * BLOCK);
        self.cipher.blocks(counter, whole);
        if !last.is_empty() {
            self.cipher.blocks(counter.wrapping_add((whole.len() / BLOCK) as u128), block.as_mut());
            last.copy_from_slice(&block[..last.len()]);
        }
    }
}

/// A keystream that is read from its beginning on.
pub struct Generator {
    keystream: Keystream,
    position: u64,
}

/// What one thread draws at once.
struct Slot<E: Entry> {
    bytes: Entries<u8>,
    values: Entries<E>,
    count: usize,
}

impl Generator {
    /// Refuses seeds that are not 48 bytes.
    pub fn new(seed: &[u8]) -> Result<Self> {
        Ok(Self { keystream: Keystream::new(seed)?, position: 0 })
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.keystream.fill(self.position, out);
        self.position += out.len() as u64;
    }

    /// Draws a value uniform in [0, q) for every entry of `target`, in order, and applies the operation (4.1).
    pub fn apply<E: Entry>(
        &mut self,
        target: &mut [E],
        operation: Operation,
        modulus: Modulus,
        work: &Work<'_>,
    ) -> Result<()> {
        let mut rest = target;
        self.uniform(rest.len() as u64, modulus, work, |slots| {
            rest = applied(operation, std::mem::take(&mut rest), slots, modulus);
        })
    }

    /// The same with values uniform in [1, q) (4.2).
    pub fn apply_nonzero<E: Entry>(
        &mut self,
        target: &mut [E],
        operation: Operation,
        modulus: Modulus,
        work: &Work<'_>,
    ) -> Result<()> {
        let mut rest = target;
        while !rest.is_empty() {
            let batch = batch(rest.len() as u64, 1.0 / f64::from(modulus.value()));
            self.uniform(batch, modulus, work, |slots: &mut [Slot<E>]| {
                slots.par_iter_mut().for_each(Slot::drop_zeros);
                limit(slots, rest.len() as u64);
                rest = applied(operation, std::mem::take(&mut rest), slots, modulus);
            })?;
        }
        Ok(())
    }

    /// Draws `size` values; `consume` gets them in order, some at a time, in several slots.
    fn uniform<E: Entry>(
        &mut self,
        size: u64,
        modulus: Modulus,
        work: &Work<'_>,
        mut consume: impl FnMut(&mut [Slot<E>]),
    ) -> Result<()> {
        let q = modulus.value();
        let bits = (q - 1).ilog2() + 1; // the least with 2^bits >= q
        let (width, mask) = (bits.div_ceil(8) as usize, ((1u64 << bits) - 1) as u32);
        let range = (1u64 << bits) as f64;
        let failure = (range - f64::from(q)) / range;
        let chunk = CHUNK.min(size as usize);
        let slot = || Slot { bytes: zeroed(chunk * width), values: zeroed(chunk), count: 0 };
        let mut slots: Vec<_> = (0..work.threads().min(size.div_ceil(CHUNK as u64) as usize)).map(|_| slot()).collect();
        let mut left = size;
        while left > 0 {
            let mut groups = batch(left, failure);
            while groups > 0 {
                work.advance(0)?;
                let keystream = &self.keystream;
                let position = self.position;
                let draw = |(number, slot): (usize, &mut Slot<E>)| {
                    let first = groups.min((number * chunk) as u64);
                    let count = (groups - first).min(chunk as u64) as usize;
                    let bytes = &mut slot.bytes[..count * width];
                    keystream.fill(position + first * width as u64, bytes);
                    slot.count = E::accept(*CHOICE, bytes, width, mask, q, &mut slot.values);
                };
                slots.par_iter_mut().enumerate().for_each(draw);
                let taken = groups.min((slots.len() * chunk) as u64);
                (groups, self.position) = (groups - taken, position + taken * width as u64);
                left -= limit(&mut slots, left);
                consume(&mut slots);
            }
        }
        Ok(())
    }
}

/// How many groups of bytes are taken for so many values: what is left of them in the end is thrown away.
fn batch(size: u64, failure: f64) -> u64 {
    let size = size as f64;
    (size + 1.0 + failure * size / (1.0 - failure)) as u64
}

/// Keeps the first `most` values in all slots together; how many there are then.
fn limit<E: Entry>(slots: &mut [Slot<E>], most: u64) -> u64 {
    let mut kept = 0;
    for slot in slots {
        slot.count = slot.count.min((most - kept) as usize);
        kept += slot.count as u64;
    }
    kept
}

/// Applies the operation to the first entries; what is left of the target.
fn applied<'a, E: Entry>(
    operation: Operation,
    target: &'a mut [E],
    slots: &[Slot<E>],
    modulus: Modulus,
) -> &'a mut [E] {
    let mut rest = target;
    let mut parts = Vec::with_capacity(slots.len());
    for slot in slots {
        let (part, after) = rest.split_at_mut(slot.count);
        parts.push((part, &slot.values[..slot.count]));
        rest = after;
    }
    parts.into_par_iter().for_each(|(part, values)| E::apply(operation, part, values, modulus));
    rest
}

impl<E: Entry> Slot<E> {
    fn drop_zeros(&mut self) {
        let values = &mut self.values[..self.count];
        let mut kept = 0;
        for at in 0..values.len() {
            let value = values[at];
            values[kept] = value;
            kept += usize::from(value != E::default());
        }
        self.count = kept;
    }
}
