//! What becomes of a group of registers with one index: its tuple (LLv2 specification, section 4.2).

use super::{FLAGS, TUPLE_COUNT, TUPLE_SIZE};
use crate::constants::{BLIND_HISTOGRAM_KEY, DESTROYED_KEY};
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey};
use crate::error::Result;
use crate::randomness::Draws;
use crate::work::Work;
use p256_batch::{POINT_SIZE, Points, hash_to_curve_vartime};
use rayon::prelude::*;

/// A register as it is sorted: decrypted index, position in the input (so that equal indexes keep their order), key, count.
pub const ROW_SIZE: usize = POINT_SIZE + 8 + 2 * CIPHERTEXT_SIZE;
/// Where the key ciphertext starts in a row.
pub const ROW_KEY: usize = POINT_SIZE + 8;
/// Where the count ciphertext starts in a row.
pub const ROW_COUNT: usize = ROW_KEY + CIPHERTEXT_SIZE;

/// Draws before the first group: one that is not used, then the encryptions of the destroyed and the blind-histogram key.
pub const FIRST_GROUP_DRAW: u64 = 3;
/// Draws of a group besides one a member (a zero for the first, a factor for each other): the factors of flag A in the
/// count, of flag B and of flag C.
pub const PER_GROUP: u64 = 3;

/// Groups that a thread works on at once.
const GROUPS: usize = 1024;

/// Rows with the same index.
#[derive(Clone, Copy)]
pub struct Group {
    /// The first of them.
    pub first: usize,
    /// How many.
    pub members: usize,
    /// Where the group's draws start.
    pub draw: u64,
}

/// Merges groups under one composite key.
pub struct Merge<'a> {
    key: &'a PublicKey,
    draws: &'a Draws<'a>,
    /// One encryption each of the destroyed and of the blind-histogram key, for all groups of the call.
    constants: Ciphertexts,
}

impl<'a> Merge<'a> {
    /// Encrypts the two constants.
    pub fn new(key: &'a PublicKey, draws: &'a Draws<'a>) -> Result<Self> {
        let points = [DESTROYED_KEY, BLIND_HISTOGRAM_KEY].map(|text| hash_to_curve_vartime(text.as_bytes()));
        let constants = key.encrypt(&Points::from_iter(points), &draws.scalars(1, 2)?);
        Ok(Self { key, draws, constants })
    }

    /// The tuples of consecutive groups, in chunks.
    pub fn tuples(&self, work: &Work<'_>, rows: &[u8], groups: &[Group]) -> Result<Vec<Vec<u8>>> {
        work.run(|| groups.par_chunks(GROUPS).map(|groups| self.merge(work, rows, groups)).collect())
    }

    fn merge(&self, work: &Work<'_>, rows: &[u8], groups: &[Group]) -> Result<Vec<u8>> {
        work.advance(0)?; // stops here if the stage is cancelled
        let (Some(start), Some(end)) = (groups.first(), groups.last()) else { return Ok(Vec::new()) };
        let rows = &rows[start.first * ROW_SIZE..(end.first + end.members) * ROW_SIZE];
        let keys = Ciphertexts::decode(rows, ROW_SIZE, ROW_KEY)?;
        let counts = Ciphertexts::decode(rows, ROW_SIZE, ROW_COUNT)?;
        let drawn = end.draw + end.members as u64 + PER_GROUP - start.draw;
        let scalars = self.draws.scalars(start.draw, drawn as usize)?;
        let after_members = |group: &Group| (group.draw - start.draw) as usize + group.members;
        let factors = |nth: usize| scalars.gather(groups.iter().map(|group| after_members(group) + nth));

        // Flag A: zero plus a random multiple of each key's difference from the first.
        let firsts = groups.iter().map(|group| group.first - start.first);
        let others = groups.iter().flat_map(|group| (1..group.members).map(move |member| (*group, member)));
        let other_keys = keys.gather(others.clone().map(|(group, member)| group.first - start.first + member));
        let compared_with = keys.gather(others.clone().map(|(group, _)| group.first - start.first));
        let destructors = scalars.gather(others.map(|(group, member)| (group.draw - start.draw) as usize + member));
        let differences = other_keys.minus(&compared_with).times_each(&destructors);
        let differences = differences.sums(groups.iter().map(|group| group.members - 1));
        let zero_draws = scalars.gather(groups.iter().map(|group| (group.draw - start.draw) as usize));
        let flag_a = self.key.encrypt_zeros(&zero_draws).plus(&differences);

        // A random multiple of flag A hides the count if keys differ: that of its zero comes from the key's tables, that
        // of the differences is needed only where there are any.
        let factor = factors(0);
        let larger = (0..groups.len()).filter(|group| groups[*group].members > 1);
        let multiples = differences.gather(larger.clone()).times_each(&factor.gather(larger));
        let multiples = multiples.sums(groups.iter().map(|group| usize::from(group.members > 1)));
        let zeros = self.key.encrypt_zeros(&zero_draws.times_each(&factor));
        let count = counts.sums(groups.iter().map(|group| group.members)).plus(&multiples).plus(&zeros);

        let minus_key = flag_a.minus(&keys.gather(firsts));
        let constant = |nth: usize| self.constants.gather(std::iter::repeat_n(nth, groups.len()));
        let flag_b = constant(0).plus(&minus_key).times_each(&factors(1));
        let flag_c = constant(1).plus(&minus_key).times_each(&factors(2));

        let mut tuples = vec![0; groups.len() * TUPLE_SIZE];
        for (ciphertexts, offset) in [flag_a, flag_b, flag_c].iter().zip(FLAGS) {
            ciphertexts.encode_into(&mut tuples, TUPLE_SIZE, offset)?;
        }
        count.encode_into(&mut tuples, TUPLE_SIZE, TUPLE_COUNT)?;
        Ok(tuples)
    }
}
