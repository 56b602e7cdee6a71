//! Execution phase one, not aggregator (LLv2 specification, section 4.1).

use super::{COUNT, INDEX, KEY, REGISTER_SIZE};
use crate::el_gamal::{Ciphertexts, PublicKey, secret_key};
use crate::error::Result;
use crate::files::{Input, Output};
use crate::stage::Stage;

/// Draws before the first register: the Pohlig-Hellman key and one that is not used.
const HEADER: u64 = 2;
/// Draws of a register: key, count.
const PER_REGISTER: u64 = 2;

/// Blinds each register's index under a Pohlig-Hellman key made for this call, re-randomises key and count, and sorts.
pub fn blind_registers(stage: &Stage<'_>, secret: &[u8], public_key: &[u8]) -> Result<u64> {
    let (secret, public_key) = (secret_key(secret)?, PublicKey::decode(public_key, "composite public key")?);
    let mut input = Input::open(stage.inputs, REGISTER_SIZE, "combined register vector")?;
    let registers = input.records();
    let draws = stage.randomness.begin()?;
    let pohlig_hellman = draws.scalar(0)?;
    let mut output = Output::create(&stage.output)?;
    stage.transform_sorted::<REGISTER_SIZE>(&mut input, &mut output, |first, records| {
        let count = records.len() / REGISTER_SIZE;
        let scalars = draws.scalars(HEADER + PER_REGISTER * first, PER_REGISTER as usize * count)?;
        let index = Ciphertexts::decode(records, REGISTER_SIZE, INDEX)?;
        index.blind(&secret, &pohlig_hellman).encode_into(records, REGISTER_SIZE, INDEX)?;
        // Keys and counts together, as the more points share an inversion, the cheaper each is.
        let [keys, counts] = [KEY, COUNT].map(|offset| Ciphertexts::decode(records, REGISTER_SIZE, offset));
        let scalars = scalars.column(2, 0).chain(&scalars.column(2, 1));
        let fresh = Ciphertexts::chain(&[keys?, counts?]).re_randomise(&public_key, &scalars);
        let (keys, counts) = fresh.split(count);
        keys.encode_into(records, REGISTER_SIZE, KEY)?;
        counts.encode_into(records, REGISTER_SIZE, COUNT)?;
        Ok(())
    })?;
    draws.finish(HEADER + PER_REGISTER * registers)?;
    output.finish()?;
    Ok(registers)
}
