//! Execution phase three, both roles (LLv2 specification, section 6).

use super::reach::matrix_columns;
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, secret_key};
use crate::error::{Result, require};
use crate::files::{Input, Output};
use crate::noise::Baseline;
use crate::stage::Stage;
use crate::work::Work;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Takes this duchy's layer off every ciphertext of the matrix.
pub fn decrypt_counts(stage: &Stage<'_>, secret: &[u8]) -> Result<u64> {
    let secret = secret_key(secret)?;
    let mut input = Input::open(stage.inputs, CIPHERTEXT_SIZE, "same key aggregator matrix")?;
    let ciphertexts = input.records();
    let mut output = Output::create(&stage.output)?;
    stage.work.expect(ciphertexts);
    stage.work.transform(
        &mut input,
        |_, records| {
            let decrypted = Ciphertexts::decode(records, CIPHERTEXT_SIZE, 0)?.partial_decrypt(&secret);
            decrypted.encode_into(records, CIPHERTEXT_SIZE, 0)
        },
        |block| output.write(block),
    )?;
    output.finish()?;
    Ok(ciphertexts)
}

/// The share of each frequency among the kept registers; the last means "or more". Frequencies without rows are left out.
pub fn estimate_frequency(
    inputs: &[PathBuf],
    work: &Work<'_>,
    secret: &[u8],
    maximum_frequency: i64,
    baseline: Option<&Baseline>,
) -> Result<BTreeMap<u64, f64>> {
    require!(maximum_frequency >= 2, "maximum frequency: {maximum_frequency}, at least 2 is needed");
    let columns = matrix_columns(maximum_frequency)?;
    let secret = secret_key(secret)?;
    let row = columns * CIPHERTEXT_SIZE;
    let mut input = Input::open(inputs, row, "same key aggregator matrix")?;
    work.expect(input.records());
    let mut histogram = vec![0u64; columns + 1];
    work.read(
        &mut input,
        |first, mut block| {
            work.in_place(first, &mut block, row, |_, rows| {
                let ciphertexts =
                    Ciphertexts::decode(rows, CIPHERTEXT_SIZE, 0).map_err(|error| error.of_parts(columns))?;
                let zeros = ciphertexts.zero_tests(&secret);
                let count = |row: &[bool]| row.iter().position(|zero| *zero).unwrap_or(columns);
                Ok(zeros.chunks_exact(columns).map(count).collect::<Vec<_>>())
            })
        },
        |counts| {
            counts.iter().flatten().for_each(|count| histogram[*count] += 1);
            Ok(())
        },
    )?;
    let baseline = baseline.map_or(Ok(0), Baseline::of_frequency)?;
    histogram.iter_mut().for_each(|rows| *rows = rows.saturating_sub(baseline));
    let total: u64 = histogram.iter().sum();
    require!(total > 0, "no register is left to tell the frequencies from");
    let shares = (1..).zip(histogram).filter(|(_, rows)| *rows > 0);
    Ok(shares.map(|(frequency, rows)| (frequency, rows as f64 / total as f64)).collect())
}
