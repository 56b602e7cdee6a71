//! Encryption of a sketch for the duchies (LLv2 specification, section 1.5; strategy FLAGGED_KEY).

use super::Register;
use crate::constants::{DESTROYED_KEY, UNIT};
use crate::el_gamal::{Ciphertexts, PublicKey};
use crate::error::{Result, require};
use crate::files::Output;
use crate::llv2::{COUNT, INDEX, KEY, REGISTER_SIZE};
use crate::randomness::Randomness;
use crate::work::Work;
use p256_batch::{Point, Points, Scalars, hash_all_to_curve_vartime, hash_to_curve_vartime};
use std::path::Path;

/// Larger maximum frequencies are refused: the table of counts would not fit the cache.
const MAXIMUM_FREQUENCY: i64 = 10_000;

/// Writes three ciphertexts a register, in the given order: index, key, count (at most F + 1). Returns the registers written.
pub fn encrypt_sketch(
    registers: &[Register],
    output: &Path,
    public_key: &[u8],
    maximum_frequency: i64,
    randomness: &Randomness,
    work: &Work<'_>,
) -> Result<u64> {
    require!(
        maximum_frequency <= MAXIMUM_FREQUENCY,
        "maximum frequency: {maximum_frequency}, at most {MAXIMUM_FREQUENCY}"
    );
    let encryption =
        Encryption::new(PublicKey::decode(public_key, "public key")?, maximum_frequency.max(1) as usize + 1);
    for register in registers {
        require!(register.index >= 0, "a register has a negative index");
        require!(register.stored_key <= 0 || register.frequency >= 1, "a register has a frequency below 1");
    }
    let draws = randomness.begin()?;
    let count = registers.len() as u64;
    work.expect(count);
    let mut file = Output::create(output)?;
    let encrypt = |first: u64, records: &mut [u8]| {
        let chunk = &registers[first as usize..][..records.len() / REGISTER_SIZE];
        encryption.encrypt(chunk, &draws.scalars(3 * first, 3 * chunk.len())?, records)
    };
    work.produce(count, REGISTER_SIZE, encrypt, |block| file.write(block))?;
    draws.finish(3 * count)?;
    file.finish()?;
    Ok(count)
}

struct Encryption {
    key: PublicKey,
    destroyed: Point,
    counts: Points, // U, 2U, ..., (F + 1) U
}

impl Encryption {
    fn new(key: PublicKey, cap: usize) -> Self {
        let unit = hash_to_curve_vartime(UNIT.as_bytes());
        let multiples = std::iter::successors(Some(unit), |multiple| Some(multiple.plus(unit)));
        let destroyed = hash_to_curve_vartime(DESTROYED_KEY.as_bytes());
        Self { key, destroyed, counts: multiples.take(cap).collect() }
    }

    fn encrypt(&self, registers: &[Register], scalars: &Scalars, records: &mut [u8]) -> Result<()> {
        let hashed = |numbers: &mut dyn Iterator<Item = i64>| {
            hash_all_to_curve_vartime(numbers.map(|number| number.to_string()))
        };
        let indexes = hashed(&mut registers.iter().map(|register| register.index));
        let keys = hashed(&mut registers.iter().map(|register| register.stored_key));
        let cap = self.counts.len() as i64;
        let frequencies: Vec<usize> =
            registers.iter().map(|register| register.frequency.clamp(1, cap) as usize - 1).collect();
        let counts = self.counts.select_each(&frequencies);
        let destroyed: Vec<bool> = registers.iter().map(|register| register.stored_key <= 0).collect();
        let [keys, counts] = [keys, counts].map(|points| points.replaced_where(&destroyed, self.destroyed));
        for (column, offset, plaintexts) in [(0, INDEX, indexes), (1, KEY, keys), (2, COUNT, counts)] {
            let ciphertexts: Ciphertexts = self.key.encrypt(&plaintexts, &scalars.column(3, column));
            ciphertexts.encode_into(records, REGISTER_SIZE, offset)?;
        }
        Ok(())
    }
}
