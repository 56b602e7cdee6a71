//! Execution phase, aggregator (reach-only specification, section 5.2).

use super::excessive_noise::{decode_count_vartime, open_blob};
use crate::el_gamal::secret_key;
use crate::error::{Error, Result};
use crate::estimator::Sketch;
use crate::noise::{Baseline, RegisterNoise};
use crate::sort::Sorter;
use crate::stage::decrypt_indexes;
use crate::work::Work;
use p256_batch::POINT_SIZE;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Indexes that all duchies' noise shares: that of publisher noise and that of padding.
const SHARED_INDEXES: u64 = 2;

/// What to estimate, and which noise was added on the way.
pub struct Measurement<'a> {
    /// The sketch's parameters and the sampling width.
    pub sketch: Sketch,
    /// Reach noise of the setup phase.
    pub reach_baseline: Option<&'a Baseline>,
    /// All noise of the setup phase.
    pub noise: Option<&'a RegisterNoise>,
}

/// What the aggregator found.
#[derive(Clone, Copy, Debug)]
pub struct ReachFigures {
    /// Estimated reach.
    pub reach: i64,
    /// Registers received.
    pub registers: u64,
    /// Distinct indexes among them.
    pub distinct: u64,
    /// Distinct indexes of blind-histogram noise.
    pub excessive_noise: u64,
    /// Active registers after all baselines.
    pub active: u64,
}

/// Takes the last layer off, counts the distinct indexes, and estimates the reach. More registers than fit `sort_memory` are
/// spilled into `spill_folder`.
pub fn estimate_reach(
    inputs: &[PathBuf],
    work: &Work<'_>,
    secret: &[u8],
    measurement: &Measurement<'_>,
    spill_folder: &Path,
    sort_memory: u64,
) -> Result<ReachFigures> {
    measurement.sketch.validate()?;
    let secret = secret_key(secret)?;
    let (mut input, excessive_noise) = open_blob(inputs)?;
    let most = measurement.noise.map_or(0, RegisterNoise::most_identifiers);
    let excessive_noise = decode_count_vartime(excessive_noise.decrypt(&secret).get(0), most)?;
    let excessive_noise =
        excessive_noise.ok_or_else(|| Error::Internal(format!("the excessive noise is none of 0 to {most}")))?;
    let registers = input.records();
    work.expect(2 * registers); // every register is met twice
    let indexes = decrypt_indexes(work, &mut input, &secret, spill_folder, sort_memory, |_, _, _| {})?;
    let distinct = count_distinct(work, indexes)?;
    let mut active = distinct.saturating_sub(excessive_noise);
    if measurement.noise.is_some() {
        active = active.saturating_sub(SHARED_INDEXES);
    }
    if let Some(baseline) = measurement.reach_baseline {
        active = active.saturating_sub(baseline.of_reach()?);
    }
    let reach = measurement.sketch.estimate_reach(active)?;
    Ok(ReachFigures { reach, registers, distinct, excessive_noise, active })
}

fn count_distinct(work: &Work<'_>, indexes: Sorter<POINT_SIZE>) -> Result<u64> {
    let mut sorted = work.run(|| indexes.sorted())?;
    let (mut distinct, mut last) = (0, Zeroizing::new([0; POINT_SIZE])); // no encoding starts with a zero
    let block = work.block(POINT_SIZE);
    loop {
        let mut met = 0;
        for index in sorted.by_ref().take(block) {
            let index = index?;
            distinct += u64::from(index != *last);
            *last = index;
            met += 1;
        }
        work.advance(met)?;
        if met == 0 {
            return Ok(distinct);
        }
    }
}
