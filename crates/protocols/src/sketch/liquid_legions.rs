//! Liquid Legions registers (LLv2 specification, sections 1.3 and 1.4).

use super::{Sampling, fingerprint64};
use crate::error::{Result, require};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Parameters of a sketch.
#[derive(Clone, Copy, Debug)]
pub struct LiquidLegions {
    /// Rate a at which register probabilities fall.
    pub decay_rate: f64,
    /// Number of registers L.
    pub size: u64,
}

/// A register that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Which register.
    pub index: i64,
    /// Key + 1, or 0 if two people with different keys met in it.
    pub stored_key: i64,
    /// Impressions.
    pub frequency: i64,
}

impl LiquidLegions {
    fn validate(&self) -> Result<()> {
        require!(self.decay_rate > 0.0 && self.decay_rate < 700.0, "decay rate: {}", self.decay_rate);
        require!(self.size >= 1 && self.size <= 1 << 52, "sketch size: {}", self.size);
        Ok(())
    }

    /// Which register a VID falls into.
    fn index(&self, vid: i64) -> i64 {
        let unit = fingerprint("Index", vid) as f64 / u64::MAX as f64;
        let growth = self.decay_rate.exp();
        let position = 1.0 - (growth + unit * (1.0 - growth)).ln() / self.decay_rate;
        // The largest fingerprints round to position 1, which is no register.
        ((position * self.size as f64) as i64).min(self.size as i64 - 1)
    }
}

fn fingerprint(name: &str, vid: i64) -> u64 {
    fingerprint64(format!("AnySketchFingerprint:{vid}:{name}").as_bytes())
}

/// The registers of the sampled VIDs by ascending index; a VID counts once for each time that it is given. A register's key
/// is one of `keys` values of the sampling indicator.
pub fn build_sketch(vids: &[i64], parameters: &LiquidLegions, keys: u64, sampling: &Sampling) -> Result<Vec<Register>> {
    parameters.validate()?;
    require!(keys >= 1 && keys < i64::MAX as u64, "sampling indicator size: {keys}");
    let mut registers: BTreeMap<i64, Register> = BTreeMap::new();
    for vid in vids.iter().copied().filter(|vid| sampling.contains(*vid)) {
        let (index, key) = (parameters.index(vid), (fingerprint("SamplingIndicator", vid) % keys) as i64);
        match registers.entry(index) {
            Entry::Vacant(vacant) => {
                vacant.insert(Register { index, stored_key: key + 1, frequency: 1 });
            }
            Entry::Occupied(mut occupied) => {
                let register = occupied.get_mut();
                register.frequency += 1;
                if register.stored_key != key + 1 {
                    register.stored_key = 0;
                }
            }
        }
    }
    Ok(registers.into_values().collect())
}

/// The registers of the sampled VIDs that are not empty, ascending: all that a sketch for reach alone has.
pub fn active_indexes(vids: &[i64], parameters: &LiquidLegions, sampling: &Sampling) -> Result<Vec<i64>> {
    parameters.validate()?;
    let sampled = vids.iter().filter(|vid| sampling.contains(**vid));
    let mut indexes: Vec<i64> = sampled.map(|vid| parameters.index(*vid)).collect();
    indexes.sort_unstable();
    indexes.dedup();
    Ok(indexes)
}
