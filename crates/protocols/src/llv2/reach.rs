//! Execution phase two, aggregator (LLv2 specification, sections 5.2 to 5.4).

use super::{Baseline, FLAGS, Stage, TUPLE_COUNT, TUPLE_SIZE, TupleNoise};
use crate::constants::UNIT;
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey, secret_key};
use crate::error::{Result, require};
use crate::estimator::Sketch;
use crate::files::{Input, Output};
use p256_batch::{Points, SecretScalar, hash_to_curve_vartime};

/// Draws before the first row: two that are not used, then the encryption of one.
const HEADER: u64 = 3;

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
    let counts_below = negative_counts(&public_key, &draws.scalar(HEADER - 1)?, columns);
    let mut output = Output::create(&stage.output)?;
    stage.work.expect(tuples);
    let (mut blind, mut kept) = (0, 0);
    stage.work.read(&mut input, |first, mut block| {
        let flags = stage.work.in_place(first, &mut block, TUPLE_SIZE, |_, records| test_flags(records, &secret))?;
        let flags: Vec<Flags> = flags.into_iter().flatten().collect();
        blind += flags.iter().filter(|flags| flags.blind).count() as u64;
        let rows = block.chunks_exact(TUPLE_SIZE).zip(&flags).filter(|(_, flags)| flags.kept && columns > 0);
        let counts: Vec<u8> = rows.flat_map(|(tuple, _)| &tuple[TUPLE_COUNT..]).copied().collect();
        let elements = columns * CIPHERTEXT_SIZE;
        // Each row starts as its count and grows to its elements.
        let chunks = stage.work.run(|| {
            use rayon::prelude::*;
            counts
                .par_chunks(16 * CIPHERTEXT_SIZE)
                .enumerate()
                .map(|(chunk, counts)| {
                    let rows = counts.len() / CIPHERTEXT_SIZE;
                    let row = kept + 16 * chunk as u64;
                    let scalars = draws.scalars(HEADER + row * columns as u64, rows * columns)?;
                    let counts = Ciphertexts::decode(counts, CIPHERTEXT_SIZE, 0)?;
                    let repeated = counts.gather((0..rows * columns).map(|element| element / columns));
                    let below = counts_below.gather((0..rows * columns).map(|element| element % columns));
                    let mut matrix = vec![0; rows * elements];
                    repeated.plus(&below).times_each(&scalars).encode_into(&mut matrix, CIPHERTEXT_SIZE, 0)?;
                    Ok(matrix)
                })
                .collect::<Result<Vec<_>>>()
        })?;
        kept += (counts.len() / CIPHERTEXT_SIZE) as u64;
        chunks.iter().try_for_each(|matrix| output.write(matrix))
    })?;
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

/// Encryptions of -1, -2, ..., multiples of one encryption of 1.
fn negative_counts(key: &PublicKey, scalar: &SecretScalar, columns: usize) -> Ciphertexts {
    let mut scalars = p256_batch::Scalars::with_capacity(1);
    scalars.push(scalar);
    let one = key.encrypt(&Points::repeat(hash_to_curve_vartime(UNIT.as_bytes()), 1), &scalars);
    let multiples = |points: &Points| {
        let step = points.get(0).negated();
        std::iter::successors(Some(step), |sum| Some(sum.plus(step))).take(columns).collect()
    };
    Ciphertexts { u: multiples(&one.u), e: multiples(&one.e) }
}

struct Flags {
    kept: bool,
    blind: bool,
}

fn test_flags(records: &[u8], secret: &SecretScalar) -> Result<Vec<Flags>> {
    let [mut a, mut b, mut c] = [Vec::new(), Vec::new(), Vec::new()];
    for (tests, offset) in [&mut a, &mut b, &mut c].into_iter().zip(FLAGS) {
        *tests = Ciphertexts::decode(records, TUPLE_SIZE, offset)?.zero_tests(secret);
    }
    Ok(a.iter().zip(&b).zip(&c).map(|((a, b), c)| Flags { kept: *a && !*b && !*c, blind: *c }).collect())
}
