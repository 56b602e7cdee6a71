//! Execution phase, not aggregator (reach-only specification, section 5.1).

use super::REGISTER_SIZE;
use super::excessive_noise::{of_blob, open_blob};
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, secret_key};
use crate::error::Result;
use crate::files::Output;
use crate::stage::Stage;

/// The Pohlig-Hellman key, and five draws that are not used.
const DRAWS: u64 = 6;

/// Blinds the registers of a blob under a Pohlig-Hellman key made for this call, and sorts them. This duchy's layer is taken
/// off the excessive noise, which follows them. Returns the registers written.
pub fn blind_registers(stage: &Stage<'_>, secret: &[u8]) -> Result<u64> {
    let secret = secret_key(secret)?;
    let (mut input, excessive_noise) = open_blob(stage.inputs)?;
    let mut tail = [0; CIPHERTEXT_SIZE];
    let lighter = excessive_noise.partial_decrypt(&secret);
    lighter.encode_into(&mut tail, CIPHERTEXT_SIZE, 0).map_err(|error| of_blob(stage.inputs, error))?;
    let draws = stage.randomness.begin()?;
    let pohlig_hellman = draws.scalar(0)?;
    let mut output = Output::create(&stage.output)?;
    stage.transform_sorted::<REGISTER_SIZE>(&mut input, &mut output, |_, records| {
        let registers = Ciphertexts::decode(records, REGISTER_SIZE, 0)?;
        registers.blind(&secret, &pohlig_hellman).encode_into(records, REGISTER_SIZE, 0)
    })?;
    output.write(&tail)?;
    draws.finish(DRAWS)?;
    output.finish()?;
    Ok(input.records())
}
