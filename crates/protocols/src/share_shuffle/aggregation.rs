//! The aggregation phase (section 8): two shares become a histogram, reach and frequencies.

use super::entries::{Entries, Entry, Operation};
use super::packed::{Message, PackedReader};
use super::parameters::Parameters;
use super::with_entry;
use crate::error::{Error, Result, invalid, require};
use crate::work::Work;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Entries of each share that are read at once.
const BLOCK: usize = 1 << 18;
/// Entries that one thread counts at once.
const CHUNK: usize = 1 << 16;
const MAXIMUM_FREQUENCY: i64 = 1 << 20;

/// What the aggregator finds.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareFigures {
    /// People reached, scaled to the whole population.
    pub reach: i64,
    /// Share of each frequency; the last one means "or more"; those without anybody are left out. Empty if only the reach is
    /// measured.
    pub frequency_distribution: BTreeMap<u64, f64>,
    /// Registers of the vectors, noise not counted.
    pub register_count: i64,
    /// Entries of each share, noise counted.
    pub entries: u64,
}

/// How often each value occurs.
struct Histogram {
    /// Of 0, 1, ..., up to the maximum frequency.
    low: Vec<u64>,
    zeros: u64,
    /// Beyond the maximum combined frequency, and no padding.
    impossible: u64,
    entries: u64,
}

/// Recombines two `AggregationPhaseInput` messages.
pub fn aggregate(
    parameters: &Parameters,
    inputs: &[PathBuf],
    maximum_frequency: i64,
    sampling_width: f64,
    work: &Work<'_>,
) -> Result<ShareFigures> {
    let number = inputs.len();
    let Ok(inputs) = <&[PathBuf; 2]>::try_from(inputs) else {
        return Err(invalid!("{number} aggregation inputs: exactly 2 are needed"));
    };
    let most = maximum_frequency;
    require!((1..=MAXIMUM_FREQUENCY).contains(&most), "maximum frequency: {most}, 1 to 2^20 is needed");
    let width = f64::from(sampling_width as f32);
    require!(width > 0.0 && width <= 1.0, "sampling width: {width}, a number in (0, 1] is needed");
    let open = |path| PackedReader::open(path, Message::AGGREGATION_PHASE_INPUT, parameters.modulus);
    let mut readers = [open(&inputs[0])?, open(&inputs[1])?];
    let (modulus, frequency) = (parameters.modulus, maximum_frequency as usize);
    let histogram = work.run(|| with_entry!(modulus, count(parameters, &mut readers, frequency, work)))?;
    let register_count = agreed_register_count(parameters, &readers)?;
    let (reach, frequency_distribution) = if parameters.reach_only {
        (reach(parameters, &histogram, register_count, width), BTreeMap::new())
    } else {
        frequencies(parameters, &histogram, register_count, width)?
    };
    Ok(ShareFigures { reach, frequency_distribution, register_count, entries: histogram.entries })
}

fn agreed_register_count(parameters: &Parameters, readers: &[PackedReader; 2]) -> Result<i64> {
    let [count, other] = readers.each_ref().map(PackedReader::register_count);
    require!(count == other, "the workers' register counts differ: {count} and {other}");
    let (given, needed) = (readers[0].entries(), parameters.entries(count)?);
    require!(given == needed, "shares of {given} entries: {count} registers and noise make {needed}");
    Ok(count)
}

fn count<E: Entry>(
    parameters: &Parameters,
    readers: &mut [PackedReader; 2],
    maximum_frequency: usize,
    work: &Work<'_>,
) -> Result<Histogram> {
    let mut histogram = Histogram::of::<E>(&[], parameters, maximum_frequency);
    let [first, second] = readers;
    let fetch = || {
        let (one, other) = rayon::join(|| first.read::<E>(BLOCK), || second.read::<E>(BLOCK));
        let (one, other) = (one?, other?);
        require!(one.len() == other.len(), "the workers' shares differ in length");
        Ok((!one.is_empty()).then_some((one, other)))
    };
    let add = |(mut sum, other): (Entries<E>, Entries<E>)| {
        let chunks = sum.par_chunks_mut(CHUNK).zip(other.par_chunks(CHUNK));
        let counted = chunks.map(|(sum, other)| {
            E::apply(Operation::Add, sum, other, parameters.modulus);
            Histogram::of(sum, parameters, maximum_frequency)
        });
        let counted: Vec<_> = counted.collect();
        counted.iter().for_each(|some| histogram.add(some));
        work.advance(sum.len() as u64)
    };
    work.pipeline(fetch, add, Ok)?;
    if histogram.impossible > 0 && !parameters.reach_only {
        let number = histogram.impossible;
        return Err(Error::Internal(format!(
            "{number} entries are beyond the maximum combined frequency: a share is broken"
        )));
    }
    Ok(histogram)
}

impl Histogram {
    fn of<E: Entry>(values: &[E], parameters: &Parameters, maximum_frequency: usize) -> Self {
        let mut low = vec![0; maximum_frequency];
        let (mut zeros, mut impossible) = (0, 0);
        let possible = 0..=parameters.maximum_combined_frequency;
        let padding = parameters.modulus.value() - 1;
        E::tally_vartime(values, |value, times| {
            if let Some(bucket) = low.get_mut(value as usize) {
                *bucket += times;
            }
            zeros += if value == 0 { times } else { 0 };
            impossible += if possible.contains(&value) || value == padding { 0 } else { times };
        });
        Self { low, zeros, impossible, entries: values.len() as u64 }
    }

    fn add(&mut self, other: &Self) {
        self.low.iter_mut().zip(&other.low).for_each(|(sum, more)| *sum += more);
        self.zeros += other.zeros;
        self.impossible += other.impossible;
        self.entries += other.entries;
    }
}

/// Section 8.2.
fn reach(parameters: &Parameters, histogram: &Histogram, register_count: i64, width: f64) -> i64 {
    let baseline = parameters.noise.map_or(0, |noise| 2 * noise.reach.shift_offset as i64);
    let reached = (histogram.entries - histogram.zeros) as i64 - baseline;
    (reached.clamp(0, register_count) as f64 / width) as i64
}

/// Section 8.1. The top bucket has no count of its own: it is what the others leave.
fn frequencies(
    parameters: &Parameters,
    histogram: &Histogram,
    register_count: i64,
    width: f64,
) -> Result<(i64, BTreeMap<u64, f64>)> {
    let mut counts: Vec<i64> = histogram.low.iter().map(|count| *count as i64).collect();
    let mut reached = register_count - counts[0];
    if let Some(noise) = &parameters.noise {
        let baseline = 2 * noise.reach.shift_offset as i64;
        reached = (reached + baseline).clamp(0, register_count);
        counts[0] = (counts[0] - baseline).max(0);
        let baseline = noise.frequency.map_or(0, |frequency| 2 * frequency.shift_offset as i64);
        for count in &mut counts[1..] {
            *count = (*count - baseline).max(0);
        }
    }
    let below: i64 = counts.iter().sum();
    let total = if below > register_count { below - counts[0] } else { register_count - counts[0] };
    require!(total != 0, "there is neither data nor noise to estimate the frequency distribution from");
    counts.push((register_count - below).max(0));
    let shares = (0..).zip(&counts).skip(1).filter(|(_, count)| **count > 0);
    let distribution = shares.map(|(frequency, count)| (frequency, *count as f64 / total as f64)).collect();
    Ok(((reached as f64 / width) as i64, distribution))
}
