//! Setup phase, every duchy (LLv2 specification, section 3).

use super::{COUNT, KEY, REGISTER_SIZE};
use crate::constants::{DESTROYED_KEY, RANDOM_COUNT_PREFIX};
use crate::el_gamal::PublicKey;
use crate::error::{Result, require};
use crate::files::{Input, Output};
use crate::noise::{NoiseRegisters, RegisterLayout, RegisterNoise, hash_texts};
use crate::randomness::Draws;
use crate::stage::Stage;
use p256_batch::{Points, hash_to_curve_vartime};
use std::path::PathBuf;

/// Draws before the registers of a reach measurement, and again before the noise: none of them is used.
const HEADER: u64 = 3;
/// Draws of a register that is rewritten: key, text of the count, count.
const PER_REGISTER: u64 = 3;

/// Shuffles the duchy's own registers (`stage.inputs`), those received, and noise, by sorting their encryptions.
///
/// If only reach is measured, own keys and counts are replaced by ones that say nothing.
pub fn setup(
    stage: &Stage<'_>,
    received: &[PathBuf],
    public_key: Option<&[u8]>,
    maximum_frequency: i64,
    noise: Option<&RegisterNoise>,
) -> Result<u64> {
    require!(maximum_frequency >= 1, "maximum frequency: {maximum_frequency}, at least 1 is needed");
    let mut own = Input::open(stage.inputs, REGISTER_SIZE, "requisition register vector")?;
    let mut received = Input::open(received, REGISTER_SIZE, "combined register vector")?;
    let rewrite = maximum_frequency == 1 && own.records() > 0;
    require!(!rewrite || noise.is_some(), "a reach measurement needs noise parameters to rewrite registers");
    let key = match noise {
        Some(_) => Some(PublicKey::decode(public_key.unwrap_or_default(), "composite public key")?),
        None => None,
    };
    let draws = stage.randomness.begin()?;
    let mut position = 0;
    let noise = match (noise, &key) {
        (Some(noise), Some(key)) => {
            let own_draws = if rewrite { HEADER + PER_REGISTER * own.records() } else { 0 };
            let registers = NoiseRegisters::new(RegisterLayout::IndexKeyCount, noise.draw(&draws)?, own_draws + HEADER);
            position = registers.end();
            Some((registers, key))
        }
        _ => None,
    };
    let mut output = Output::create(&stage.output)?;
    let total = stage.mix_registers::<REGISTER_SIZE>(
        [&mut own, &mut received],
        noise.as_ref().map(|(noise, key)| (noise, *key)),
        &draws,
        &mut output,
        |first, records| match &key {
            Some(key) if rewrite => forget_key_and_count(key, &draws, first, records),
            _ => Ok(()),
        },
    )?;
    draws.finish(position)?;
    output.finish()?;
    Ok(total)
}

/// Key := encryption of the destroyed key, count := encryption of a random point.
fn forget_key_and_count(key: &PublicKey, draws: &Draws<'_>, first: u64, records: &mut [u8]) -> Result<()> {
    let count = records.len() / REGISTER_SIZE;
    let scalars = draws.scalars(HEADER + PER_REGISTER * first, PER_REGISTER as usize * count)?;
    let destroyed = Points::repeat(hash_to_curve_vartime(DESTROYED_KEY.as_bytes()), count);
    key.encrypt(&destroyed, &scalars.column(3, 0)).encode_into(records, REGISTER_SIZE, KEY)?;

    let random = hash_texts(RANDOM_COUNT_PREFIX, &scalars.column(3, 1));
    key.encrypt(&random, &scalars.column(3, 2)).encode_into(records, REGISTER_SIZE, COUNT)
}
