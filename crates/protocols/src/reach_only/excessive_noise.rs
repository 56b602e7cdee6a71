//! The excessive noise: how many distinct indexes the blind-histogram noise has, encrypted (reach-only specification, sections
//! 3.1, 4.2 and 5.2). It is the last ciphertext of every blob between duchies.

use super::REGISTER_SIZE;
use crate::constants::UNIT;
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey};
use crate::error::{Error, Result, invalid, require};
use crate::files::Input;
use p256_batch::{Column, POINT_SIZE, Point, Points, Scalars, SecretScalar, hash_to_curve_vartime};
use std::collections::HashMap;
use std::path::PathBuf;
use zeroize::Zeroizing;

const BLOB: &str = "blob of registers and excessive noise";
/// A count that may be larger is not looked for: that would take seconds.
const MOST: u64 = 1 << 40;
/// Multiples of one that are kept in memory, at most: some 100 bytes each.
const MOST_KEPT: u64 = 1 << 16;
/// Multiples that are computed at once.
const BATCH: u64 = 2048;

/// The registers of several blobs, and the excessive noise of each.
pub fn open_blobs(paths: &[PathBuf]) -> Result<(Input, Ciphertexts)> {
    let (input, tails) = Input::open_with_tails(paths, REGISTER_SIZE, CIPHERTEXT_SIZE, BLOB)?;
    let excessive_noise = Ciphertexts::decode(&tails, CIPHERTEXT_SIZE, 0).map_err(|error| of_blob(paths, error))?;
    Ok((input, excessive_noise))
}

/// The registers of one blob, and its excessive noise.
pub fn open_blob(paths: &[PathBuf]) -> Result<(Input, Ciphertexts)> {
    require!(paths.len() == 1, "{} blobs given, one is needed", paths.len());
    open_blobs(paths)
}

/// Says whose excessive noise is at fault.
pub fn of_blob(paths: &[PathBuf], error: Error) -> Error {
    let Error::Record { record, fault } = error else { return error };
    invalid!("{}: the excessive-noise ciphertext at the end {fault}", paths[record as usize].display())
}

/// An encryption of a count: that of one, times the count; a zero is encrypted as such.
pub fn encrypt_count(key: &PublicKey, count: u64, scalar: &Scalars) -> Result<Ciphertexts> {
    if count == 0 {
        return Ok(key.encrypt_zeros(scalar));
    }
    let mut factor = Scalars::with_capacity(1);
    factor.push(&SecretScalar::from_be_bytes(&count.to_be_bytes())?);
    Ok(key.encrypt(&Points::from_iter([unit()]), scalar).times_each(&factor))
}

/// The count of at most `most` whose multiple of one this is, if there is one: by baby steps and giant steps, which both share
/// their inversions. It takes about the square root of `most` additions.
pub fn decode_count_vartime(point: Point, most: u64) -> Result<Option<u64>> {
    require!(most <= MOST, "the excessive noise may be as much as {most}, more than can be looked for");
    // Every count is some giant steps, and at most as many baby steps as are kept forth or back.
    let kept = most.div_ceil(2).isqrt().clamp(1, MOST_KEPT);
    let giant = 2 * kept + 1;
    let mut baby_steps = HashMap::with_capacity(kept as usize);
    for first in (1..=kept).step_by(BATCH as usize) {
        let steps = multiples(multiple(unit(), first), unit(), BATCH.min(kept + 1 - first));
        for (steps, encoding) in (first..).zip(encoded(&steps).0.iter()) {
            baby_steps.insert(abscissa(encoding), (steps, encoding[0]));
        }
    }
    let giant_step = multiple(unit(), giant).negated();
    let giants = (most + kept) / giant + 1;
    for first in (0..giants).step_by(BATCH as usize) {
        let from = point.plus(multiple(giant_step, first));
        let (encodings, infinity) = encoded(&multiples(from, giant_step, BATCH.min(giants - first)));
        let found = (first..).zip(encodings.iter()).find_map(|(giants, encoding)| {
            let (steps, sign) = baby_steps.get(&abscissa(encoding))?;
            let steps = if *sign == encoding[0] { *steps as i64 } else { -(*steps as i64) };
            (giants * giant).checked_add_signed(steps)
        });
        let found = found.or(infinity.map(|position| (first + position as u64) * giant));
        if found.is_some() {
            return Ok(found.filter(|count| *count <= most));
        }
    }
    Ok(None)
}

fn unit() -> Point {
    hash_to_curve_vartime(UNIT.as_bytes())
}

/// `factor` times the point.
fn multiple(point: Point, factor: u64) -> Point {
    let bits = (0..u64::BITS - factor.leading_zeros()).rev();
    bits.fold(Point::infinity(), |sum, bit| {
        let twice = sum.plus(sum);
        if factor >> bit & 1 == 1 { twice.plus(point) } else { twice }
    })
}

/// first, first + step, first + 2 step, ...
fn multiples(first: Point, step: Point, count: u64) -> Points {
    let (mut offsets, mut stride) = (Points::from_iter([Point::infinity()]), step);
    while (offsets.len() as u64) < count {
        offsets = offsets.chain(&offsets.plus(&Points::repeat(stride, offsets.len())));
        stride = stride.plus(stride);
    }
    let offsets = offsets.split(count as usize).0;
    offsets.plus(&Points::repeat(first, count as usize))
}

/// The points' encodings up to the first at infinity, and its position.
fn encoded(points: &Points) -> (Zeroizing<Vec<[u8; POINT_SIZE]>>, Option<usize>) {
    let mut encodings = Zeroizing::new(vec![[0; POINT_SIZE]; points.len()]);
    let column = Column { stride: POINT_SIZE, offset: 0 };
    match points.encode_into(encodings.as_flattened_mut(), column) {
        Ok(()) => (encodings, None),
        Err(error) => {
            let before = points.split(error.position).0;
            (encoded(&before).0, Some(error.position))
        }
    }
}

fn abscissa(encoding: &[u8; POINT_SIZE]) -> [u8; POINT_SIZE - 1] {
    encoding[1..].try_into().expect("all but the first byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_up_to_the_most_is_found_and_none_beyond() {
        for most in [0, 1, 2, 3, 7, 8, 72, 200] {
            for count in 0..most + 5 {
                let found = decode_count_vartime(multiple(unit(), count), most).unwrap();
                assert_eq!(found, Some(count).filter(|count| *count <= most), "{count} of {most}");
            }
            assert_eq!(decode_count_vartime(unit().negated(), most).unwrap(), None);
        }
    }

    #[test]
    fn counts_are_found_where_batches_and_kept_multiples_end() {
        let most = 2 * MOST_KEPT * MOST_KEPT; // as many multiples are kept as ever
        let giant = 2 * MOST_KEPT + 1;
        let edges = [1, BATCH, giant * BATCH, most];
        for count in edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]).filter(|count| *count <= most) {
            assert_eq!(decode_count_vartime(multiple(unit(), count), most).unwrap(), Some(count));
        }
    }

    #[test]
    fn a_search_that_would_take_too_long_is_refused() {
        assert!(decode_count_vartime(unit(), MOST + 1).is_err());
    }

    #[test]
    fn multiples_are_those_of_repeated_addition() {
        for count in [1, 2, 3, 5, 64, 100] {
            let found = multiples(unit(), unit(), count);
            assert_eq!(found.len() as u64, count);
            for (position, factor) in (1..=count).enumerate() {
                assert_eq!(found.get(position).encode().unwrap(), multiple(unit(), factor).encode().unwrap());
            }
        }
    }
}
