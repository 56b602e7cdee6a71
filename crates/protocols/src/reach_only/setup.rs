//! Setup phase, every duchy (reach-only specification, section 4).

use super::REGISTER_SIZE;
use super::excessive_noise::{encrypt_count, open_blobs};
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey};
use crate::error::{Result, require};
use crate::files::{Input, Output};
use crate::noise::{NoiseRegisters, RegisterLayout, RegisterNoise};
use crate::stage::Stage;
use std::path::PathBuf;

/// Draws before the noise, and again before the encryption of the excessive noise: none of them is used.
const HEADER: u64 = 3;

/// Shuffles the duchy's own registers (`stage.inputs`), those of the received blobs, and noise, by sorting their encryptions.
/// The sum of all excessive noise follows them.
///
/// The noise must have a group floor of one: with that, the publisher and the padding index occur, so that the aggregator
/// knows to subtract both. Returns the registers written.
pub fn setup(stage: &Stage<'_>, received: &[PathBuf], public_key: &[u8], noise: Option<&RegisterNoise>) -> Result<u64> {
    let key = PublicKey::decode(public_key, "composite public key")?;
    require!(
        noise.is_none_or(|noise| noise.group_floor() == 1),
        "group floor: exactly 1 is needed, so that publisher noise and padding are each one index"
    );
    let mut own = Input::open(stage.inputs, REGISTER_SIZE, "requisition register vector")?;
    let (mut received, excessive_noise) = open_blobs(received)?;
    let draws = stage.randomness.begin()?;
    let counts = noise.map(|noise| noise.draw(&draws)).transpose()?;
    let excess = counts.as_ref().map_or(0, |counts| counts.identifiers());
    let noise = counts.map(|counts| NoiseRegisters::new(RegisterLayout::Index, counts, HEADER));
    let position = HEADER + noise.as_ref().map_or(0, NoiseRegisters::end);
    let excess = encrypt_count(&key, excess, &draws.scalars(position, 1)?)?;
    let excess = Ciphertexts::chain(&[excess, excessive_noise]);
    let excess = excess.sums([excess.len()]);

    let mut output = Output::create(&stage.output)?;
    let noise = noise.as_ref().map(|noise| (noise, &key));
    let unchanged = |_: u64, _: &mut [u8]| Ok(());
    let total =
        stage.mix_registers::<REGISTER_SIZE>([&mut own, &mut received], noise, &draws, &mut output, unchanged)?;
    let mut tail = [0; CIPHERTEXT_SIZE];
    excess.encode_into(&mut tail, CIPHERTEXT_SIZE, 0)?;
    output.write(&tail)?;
    draws.finish(position + 1)?;
    output.finish()?;
    Ok(total)
}
