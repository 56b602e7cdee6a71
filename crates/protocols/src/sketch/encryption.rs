//! Encryption of a sketch for the duchies (LLv2 specification, section 1.5; strategy FLAGGED_KEY; reach-only specification,
//! section 2).

use super::Register;
use crate::constants::{DESTROYED_KEY, UNIT};
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey};
use crate::error::{Result, require};
use crate::files::Output;
use crate::llv2::{COUNT, INDEX, KEY, REGISTER_SIZE};
use crate::randomness::Randomness;
use crate::work::Work;
use p256_batch::{Point, Points, Scalars, hash_all_to_curve_vartime, hash_to_curve_vartime};
use std::ops::Range;
use std::path::Path;

/// Larger maximum frequencies are refused: the table of counts would not fit the cache.
const MAXIMUM_FREQUENCY: i64 = 10_000;

/// Writes three ciphertexts a register, in the given order: index, key, count (at most F + 1). Returns the registers written.
pub fn encrypt_sketch(
    given: &[Register],
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
    for register in given {
        require!(register.index >= 0, "a register has a negative index");
        require!(register.stored_key <= 0 || register.frequency >= 1, "a register has a frequency below 1");
    }
    let encrypt = |registers: Range<usize>, scalars: &Scalars, records: &mut [u8]| {
        encryption.encrypt(&given[registers], scalars, records)
    };
    write_registers::<REGISTER_SIZE>(given.len(), output, randomness, work, encrypt)
}

/// Writes one ciphertext a register, in the given order: of its index alone. Returns the registers written.
pub fn encrypt_reach_only_sketch(
    indexes: &[i64],
    output: &Path,
    public_key: &[u8],
    randomness: &Randomness,
    work: &Work<'_>,
) -> Result<u64> {
    let key = PublicKey::decode(public_key, "public key")?;
    require!(indexes.iter().all(|index| *index >= 0), "a register has a negative index");
    let encrypt = |registers: Range<usize>, scalars: &Scalars, records: &mut [u8]| {
        let plaintexts = hash_numbers(indexes[registers].iter().copied());
        key.encrypt(&plaintexts, scalars).encode_into(records, CIPHERTEXT_SIZE, 0)
    };
    write_registers::<CIPHERTEXT_SIZE>(indexes.len(), output, randomness, work, encrypt)
}

/// Writes registers of `SIZE` bytes block by block: `encrypt(which, a scalar for each ciphertext, their bytes)`.
fn write_registers<const SIZE: usize>(
    count: usize,
    output: &Path,
    randomness: &Randomness,
    work: &Work<'_>,
    encrypt: impl Fn(Range<usize>, &Scalars, &mut [u8]) -> Result<()> + Sync,
) -> Result<u64> {
    let draws = randomness.begin()?;
    work.expect(count as u64);
    let mut file = Output::create(output)?;
    let ciphertexts = SIZE / CIPHERTEXT_SIZE;
    let fill = |first: u64, records: &mut [u8]| {
        let registers = first as usize..first as usize + records.len() / SIZE;
        let scalars = draws.scalars(ciphertexts as u64 * first, ciphertexts * registers.len())?;
        encrypt(registers, &scalars, records)
    };
    work.produce(count as u64, SIZE, fill, |block| file.write(block))?;
    draws.finish((ciphertexts * count) as u64)?;
    file.finish()?;
    Ok(count as u64)
}

/// The point of each number's decimal digits.
fn hash_numbers(numbers: impl Iterator<Item = i64>) -> Points {
    hash_all_to_curve_vartime(numbers.map(|number| number.to_string()))
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
        let indexes = hash_numbers(registers.iter().map(|register| register.index));
        let keys = hash_numbers(registers.iter().map(|register| register.stored_key));
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
