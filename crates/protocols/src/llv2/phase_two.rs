//! Execution phase two, not aggregator (LLv2 specification, section 5.1).

use super::tuple_noise::NoiseTuples;
use super::{FLAGS, TUPLE_COUNT, TUPLE_SIZE, TupleNoise};
use crate::el_gamal::{Ciphertexts, PublicKey, secret_key};
use crate::error::Result;
use crate::files::{Input, Output};
use crate::sort::Sorter;
use crate::stage::Stage;

/// One draw before the first tuple, which is not used.
const HEADER: u64 = 1;
/// Draws of a tuple: flags A, B, C, count.
const PER_TUPLE: u64 = 4;

/// Takes this duchy's layer off the flags and re-randomises them under what remains, re-randomises the counts, adds noise,
/// sorts. `partial_public_key` is that of the duchies after this one, in a reach measurement too (specification, P1).
pub fn decrypt_flags(
    stage: &Stage<'_>,
    secret: &[u8],
    public_key: &[u8],
    partial_public_key: &[u8],
    noise: Option<&TupleNoise>,
) -> Result<u64> {
    let (secret, public_key) = (secret_key(secret)?, PublicKey::decode(public_key, "composite public key")?);
    let partial_key = PublicKey::decode(partial_public_key, "partial composite public key")?;
    let mut input = Input::open(stage.inputs, TUPLE_SIZE, "flag count tuples")?;
    let tuples = input.records();
    let draws = stage.randomness.begin()?;
    let noise_position = HEADER + PER_TUPLE * tuples;
    let noise =
        noise.map(|noise| noise.draw(&draws)).transpose()?.map(|counts| NoiseTuples::new(counts, noise_position));
    let total = tuples + noise.as_ref().map_or(0, NoiseTuples::total);
    stage.work.expect(total);
    let mut output = Output::create(&stage.output)?;
    let mut sorter = Sorter::<TUPLE_SIZE>::new(total, output.folder(), stage.sort_memory)?;
    stage.work.transform(
        &mut input,
        |first, records| {
            let count = records.len() / TUPLE_SIZE;
            let scalars = draws.scalars(HEADER + PER_TUPLE * first, PER_TUPLE as usize * count)?;
            for (column, offset) in FLAGS.into_iter().enumerate() {
                let flag = Ciphertexts::decode(records, TUPLE_SIZE, offset)?.partial_decrypt(&secret);
                flag.re_randomise(&partial_key, &scalars.column(4, column)).encode_into(records, TUPLE_SIZE, offset)?;
            }
            let counts = Ciphertexts::decode(records, TUPLE_SIZE, TUPLE_COUNT)?;
            counts.re_randomise(&public_key, &scalars.column(4, 3)).encode_into(records, TUPLE_SIZE, TUPLE_COUNT)
        },
        |block| sorter.push(block),
    )?;
    let end = match noise {
        Some(noise) => noise.write(&stage.work, &partial_key, &public_key, &draws, |block| sorter.push(block))?,
        None => noise_position,
    };
    draws.finish(end)?;
    stage.write_sorted(sorter, &mut output)?;
    output.finish()?;
    Ok(total)
}
