//! The same-key-aggregator matrix (LLv2 specification, section 5.4).

use super::reach::HEADER;
use crate::constants::UNIT;
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey};
use crate::error::Result;
use crate::randomness::Draws;
use crate::work::Work;
use p256_batch::{FixedBase, Points, Scalars, hash_to_curve_vartime};
use rayon::prelude::*;

/// Rows that a thread works on at once.
const ROWS: usize = 128;

/// Makes rows: for a count c the ciphertexts t_i (c - i E(1)), i = 1, 2, ..., F - 1, with fresh t_i each. The i-th is an
/// encryption of zero exactly if the count is i.
pub struct Matrix<'a> {
    draws: &'a Draws<'a>,
    columns: usize,
    /// Tables of u and e of the one encryption of 1 that the whole matrix shares.
    one: [FixedBase; 2],
}

impl<'a> Matrix<'a> {
    /// Encrypts 1 with the last draw of the header.
    pub fn new(key: &PublicKey, draws: &'a Draws<'a>, columns: usize) -> Result<Self> {
        let unit = Points::repeat(hash_to_curve_vartime(UNIT.as_bytes()), 1);
        let one = key.encrypt(&unit, &draws.scalars(HEADER - 1, 1)?);
        Ok(Self { draws, columns, one: [one.u, one.e].map(|points| FixedBase::new(points.get(0))) })
    }

    /// The rows of consecutive counts, of which the first makes row `first`, in chunks. A kept tuple is an item once more.
    pub fn rows(&self, work: &Work<'_>, first: u64, counts: &[u8]) -> Result<Vec<Vec<u8>>> {
        let chunk = |(number, counts): (usize, &[u8])| {
            work.advance(0)?; // stops here if the stage is cancelled
            let rows = self.chunk(first + (number * ROWS) as u64, counts);
            work.advance((counts.len() / CIPHERTEXT_SIZE) as u64)?;
            rows
        };
        work.expect((counts.len() / CIPHERTEXT_SIZE) as u64);
        work.run(|| counts.par_chunks(ROWS * CIPHERTEXT_SIZE).enumerate().map(chunk).collect())
    }

    fn chunk(&self, first: u64, counts: &[u8]) -> Result<Vec<u8>> {
        let elements = counts.len() / CIPHERTEXT_SIZE * self.columns;
        let scalars = self.draws.scalars(HEADER + first * self.columns as u64, elements)?;
        let counts = Ciphertexts::decode(counts, CIPHERTEXT_SIZE, 0)?;
        let mut rows = vec![0; elements * CIPHERTEXT_SIZE];
        self.products(&counts, &scalars).encode_into(&mut rows, CIPHERTEXT_SIZE, 0)?;
        Ok(rows)
    }

    /// t (c - i E(1)) = t c - (t i) E(1): several multiples of each count, and multiples of two fixed points.
    fn products(&self, counts: &Ciphertexts, scalars: &Scalars) -> Ciphertexts {
        let multiples = scalars.scaled((1..=self.columns as u64).cycle());
        // Both halves at once: the more points, the cheaper each.
        let products = counts.u.chain(&counts.e).times_several(&scalars.chain(scalars), self.columns);
        let (u, e) = products.split(scalars.len());
        let [ones_u, ones_e] = self.one.each_ref().map(|one| one.multiply_by_each(&multiples));
        Ciphertexts { u: u.minus(&ones_u), e: e.minus(&ones_e) }
    }
}
