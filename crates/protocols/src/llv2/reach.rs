//! Execution phase two, aggregator (LLv2 specification, sections 5.2 to 5.4).

use super::matrix::Matrix;
use super::{FLAGS, TUPLE_COUNT, TUPLE_SIZE, TupleNoise};
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey, secret_key};
use crate::error::{Result, require};
use crate::estimator::Sketch;
use crate::files::{Input, Output};
use crate::noise::Baseline;
use crate::stage::Stage;
use p256_batch::SecretScalar;

/// Draws before the first row: two that are not used, then the encryption of one.
pub(super) const HEADER: u64 = 3;

/// What to estimate, and which noise was added on the way.
pub struct Measurement<'a> {
    /// Maximum frequency of the measurement.
    pub maximum_frequency: i64,
    /// The sketch's parameters and the sampling width.
    pub sketch: Sketch,
    /// Reach noise of the setup phase.
    pub reach_baseline: Option<&'a Baseline>,
    /// Frequency noise of phases one and two.
    pub noise: Option<&'a TupleNoise>,
}

/// What the aggregator found.
#[derive(Clone, Copy, Debug)]
pub struct ReachFigures {
    /// Estimated reach.
    pub reach: i64,
    /// Tuples received.
    pub tuples: u64,
    /// Tuples of blind-histogram noise.
    pub blind: u64,
    /// Rows of the matrix.
    pub kept: u64,
    /// Active registers after all baselines.
    pub active: u64,
}

/// Tests the flags, estimates the reach, and writes the matrix: for each kept tuple F - 1 ciphertexts, of which the i-th is
/// an encryption of zero exactly if the count is i.
pub fn estimate_reach(
    stage: &Stage<'_>,
    secret: &[u8],
    public_key: &[u8],
    measurement: &Measurement<'_>,
) -> Result<ReachFigures> {
    let columns = matrix_columns(measurement.maximum_frequency)?;
    measurement.sketch.validate()?;
    let (secret, public_key) = (secret_key(secret)?, PublicKey::decode(public_key, "composite public key")?);
    let mut input = Input::open(stage.inputs, TUPLE_SIZE, "flag count tuples")?;
    let tuples = input.records();
    let draws = stage.randomness.begin()?;
    let matrix = Matrix::new(&public_key, &draws, columns)?;
    let mut output = Output::create(&stage.output)?;
    stage.work.expect(tuples);
    let (mut blind, mut kept) = (0, 0);
    let records = stage.work.block(TUPLE_SIZE.max(columns * CIPHERTEXT_SIZE)); // what a block becomes has to fit too
    stage.work.read_blocks(
        &mut input,
        records,
        |first, mut block| {
            let flags =
                stage.work.in_place(first, &mut block, TUPLE_SIZE, |_, records| test_flags(records, &secret))?;
            let flags: Vec<Flags> = flags.into_iter().flatten().collect();
            blind += flags.iter().filter(|flags| flags.blind).count() as u64;
            let rows = block.chunks_exact(TUPLE_SIZE).zip(&flags).filter(|(_, flags)| flags.kept && columns > 0);
            let counts: Vec<u8> = rows.flat_map(|(tuple, _)| &tuple[TUPLE_COUNT..]).copied().collect();
            let rows = matrix.rows(&stage.work, kept, &counts)?;
            kept += (counts.len() / CIPHERTEXT_SIZE) as u64;
            Ok(rows)
        },
        |rows| rows.iter().try_for_each(|rows| output.write(rows)),
    )?;
    draws.finish(HEADER + kept * columns as u64)?;
    let mut active = tuples - blind;
    if let Some(baseline) = measurement.reach_baseline {
        active = active.saturating_sub(baseline.of_reach()?);
    }
    if let Some(noise) = measurement.noise {
        active = active.saturating_sub(noise.total_of_all());
    }
    let reach = measurement.sketch.estimate_reach(active)?;
    output.finish()?;
    Ok(ReachFigures { reach, tuples, blind, kept, active })
}

/// Ciphertexts of a row of the matrix.
pub(super) fn matrix_columns(maximum_frequency: i64) -> Result<usize> {
    require!(
        (1..=1 << 16).contains(&maximum_frequency),
        "maximum frequency: {maximum_frequency}, at least 1 is needed"
    );
    Ok(maximum_frequency as usize - 1)
}

struct Flags {
    kept: bool,
    blind: bool,
}

fn test_flags(records: &[u8], secret: &SecretScalar) -> Result<Vec<Flags>> {
    let tuples = records.len() / TUPLE_SIZE;
    let decode = |offset| Ciphertexts::decode(records, TUPLE_SIZE, offset);
    let flags = FLAGS.into_iter().map(decode).collect::<Result<Vec<_>>>()?;
    decode(TUPLE_COUNT)?; // here, where it is known which record it is
    let tests = Ciphertexts::chain(&flags).zero_tests(secret);
    let (a, (b, c)) = (&tests[..tuples], tests[tuples..].split_at(tuples));
    Ok(a.iter().zip(b).zip(c).map(|((a, b), c)| Flags { kept: *a && !*b && !*c, blind: *c }).collect())
}
