//! The order of a population's virtual people (section 3.1).

use crate::error::{Error, Result, require};
use crate::work::Work;
use rayon::prelude::*;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Sum of the two numbers that the existing data providers add.
const SALT: i64 = 1_618_033 + 20_240_417;
/// VIDs are less than this.
const VID_LIMIT: i64 = (1 << 31) - 1;
/// VIDs that one thread sorts at once at least.
const PART: u64 = 1 << 21;
/// More parts than this are not made, since every one goes through the whole population.
const MAXIMUM_PARTS: u64 = 32;
/// VIDs between two looks at whether to go on.
const STRIDE: usize = 1 << 16;

/// The index of every VID of a population: its place by salted fingerprint. Four bytes a VID.
pub struct VidIndex {
    /// Sorted, with the VIDs before each.
    ranges: Vec<(RangeInclusive<i64>, u32)>,
    /// In the order of the VIDs.
    indices: Vec<AtomicU32>,
}

/// The fingerprint of a VID, as an unsigned number of the same order as the signed one: FarmHash's Fingerprint64 of 16 bytes,
/// the VID and the salt, big-endian. Written out, because a population is gone through many times.
fn place(vid: i64) -> u64 {
    const K: u64 = 0x9ae1_6a3b_2f90_404f;
    const FACTOR: u64 = K + 2 * 16;
    const LAST: u64 = (SALT as u64).swap_bytes();
    let folded = |number: u64| number ^ number >> 47;
    let first = (vid as u64).swap_bytes().wrapping_add(K);
    let one = LAST.rotate_right(37).wrapping_mul(FACTOR).wrapping_add(first);
    let other = first.rotate_right(25).wrapping_add(LAST).wrapping_mul(FACTOR);
    let mixed = folded((one ^ other).wrapping_mul(FACTOR));
    folded((other ^ mixed).wrapping_mul(FACTOR)).wrapping_mul(FACTOR) ^ 1 << 63
}

impl VidIndex {
    /// Of the union of ranges, in any order. While it is built, threads hold 16 bytes for each VID of the part that they sort:
    /// two million VIDs or a thirty-second of the population, whichever is more.
    pub fn new(ranges: &[(i64, i64)], work: &Work<'_>) -> Result<Self> {
        let (ranges, size) = sorted(ranges)?;
        let parts = (u64::from(size) / PART).clamp(1, MAXIMUM_PARTS).next_power_of_two();
        work.expect(u64::from(size) * (parts + 1));
        let index = Self { ranges, indices: (0..size).map(|_| AtomicU32::new(0)).collect() };
        let part = |place: u64| ((u128::from(place) * u128::from(parts)) >> 64) as u64;
        work.run(|| {
            let mut counts = vec![0u32; parts as usize];
            index.for_each(work, |place, _| counts[part(place) as usize] += 1)?;
            let before = counts.iter().scan(0, |sum, count| Some(std::mem::replace(sum, *sum + count)));
            let before: Vec<u32> = before.collect();
            (0..parts).into_par_iter().try_for_each(|number| {
                let mut places = Vec::with_capacity(counts[number as usize] as usize);
                index.for_each(work, |place, offset| {
                    if part(place) == number {
                        places.push((place, offset));
                    }
                })?;
                places.sort_unstable();
                for ((_, offset), position) in places.into_iter().zip(before[number as usize]..) {
                    index.indices[offset as usize].store(position, Relaxed);
                }
                Ok::<_, Error>(())
            })
        })?;
        Ok(index)
    }

    /// The number of VIDs.
    pub fn size(&self) -> u32 {
        self.indices.len() as u32
    }

    /// The index of a VID, if it is one of the population's.
    pub fn index(&self, vid: i64) -> Option<u32> {
        let number = self.ranges.partition_point(|(range, _)| *range.end() < vid);
        let (range, before) = self.ranges.get(number).filter(|(range, _)| range.contains(&vid))?;
        let offset = before + (vid - range.start()) as u32;
        Some(self.indices[offset as usize].load(Relaxed))
    }

    /// Calls a function with the place and the offset of every VID.
    fn for_each(&self, work: &Work<'_>, mut operation: impl FnMut(u64, u32)) -> Result<()> {
        for (range, before) in &self.ranges {
            let mut offset = *before;
            for first in range.clone().step_by(STRIDE) {
                let last = (first + STRIDE as i64 - 1).min(*range.end());
                for vid in first..=last {
                    operation(place(vid), offset);
                    offset += 1;
                }
                work.advance((last - first + 1) as u64)?;
            }
        }
        Ok(())
    }
}

type Ranges = Vec<(RangeInclusive<i64>, u32)>;

/// The ranges in order, each with the VIDs before it, and the number of VIDs.
fn sorted(ranges: &[(i64, i64)]) -> Result<(Ranges, u32)> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable();
    let (mut found, mut size, mut end) = (Vec::with_capacity(ranges.len()), 0, 0);
    for (first, last) in ranges {
        require!(
            1 <= first && first <= last && last < VID_LIMIT,
            "population: the range {first} to {last}, 1 <= first <= last < 2^31 - 1 is needed"
        );
        require!(first > end, "population: the range {first} to {last} overlaps another one, which ends at {end}");
        found.push((first..=last, size as u32));
        size += last - first + 1;
        end = last;
    }
    require!(size > 0, "population: there is no range of VIDs");
    Ok((found, size as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_farmhash() {
        for vid in (1..2_000).chain(VID_LIMIT - 1_000..VID_LIMIT) {
            let bytes = [vid.to_be_bytes(), SALT.to_be_bytes()].concat();
            assert_eq!(place(vid), crate::sketch::fingerprint64(&bytes) ^ 1 << 63);
        }
    }

    #[test]
    fn fingerprints_are_the_specified_ones() {
        let signed = [7291877513898648417, 6083786553337411393, -1925089391325138332];
        for (vid, expected) in (1..).zip(signed) {
            assert_eq!((place(vid) ^ 1 << 63) as i64, expected);
        }
    }
}
