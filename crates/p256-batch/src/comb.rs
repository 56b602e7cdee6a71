//! Several multiples of each point of a batch, by a comb (Lim and Lee, CRYPTO '94) with signed teeth.
//!
//! A scalar's 260 signed bits stand in TEETH rows of TEETH_APART columns. A table has what a column can amount to, up to its
//! sign: T = the highest tooth plus or minus each other. Tables for several columns, evenly spaced, share the doublings.

use crate::batch::{Batch, Exceptional, Scratch};
use crate::digits::Digits;
use crate::kernel::Kernel;
use crate::multiples::Multiples;

pub(crate) const TEETH: usize = 5;
pub(crate) const TEETH_APART: usize = 52;
/// Columns between two tables.
const TABLES_APART: usize = 13;
const TABLES: usize = TEETH_APART / TABLES_APART;

/// Tables of each point of a batch.
pub(crate) struct Comb<K: Kernel>(Vec<Multiples<K>>);

impl<K: Kernel> Comb<K> {
    pub(crate) fn new(points: &Batch<K>, scratch: &mut Scratch<K>) -> Result<Self, Exceptional> {
        let mut power = points.clone();
        let (mut teeth, mut twice) = (Vec::new(), Vec::new());
        for _ in 0..TEETH * TABLES {
            teeth.push(power.clone());
            power.double(scratch);
            twice.push(power.clone());
            (1..TABLES_APART).for_each(|_| power.double(scratch));
        }
        let tables = (0..TABLES).map(|table| {
            let tooth = |number: usize| number * TABLES + table;
            let mut lowest = teeth[tooth(TEETH - 1)].clone();
            for number in 0..TEETH - 1 {
                let mut opposite = teeth[tooth(number)].clone();
                opposite.negate();
                lowest.add(&opposite, scratch)?;
            }
            let mut entries = vec![lowest];
            for number in 0..TEETH - 1 {
                for entry in 0..1 << number {
                    let mut higher: Batch<K> = entries[entry].clone();
                    higher.add(&twice[tooth(number)], scratch)?;
                    entries.push(higher);
                }
            }
            Ok(Multiples::new(&entries))
        });
        tables.collect::<Result<_, _>>().map(Self)
    }

    /// For each of several digits of the points' lanes a batch of products, all in one.
    pub(crate) fn multiply(&self, digits: &[Digits], scratch: &mut Scratch<K>) -> Result<Batch<K>, Exceptional> {
        let term = |number: usize, step: usize| Batch::selected(&self.0[number], digits, number * TABLES_APART + step);
        let mut sum = term(0, TABLES_APART - 1);
        for step in (0..TABLES_APART).rev() {
            if step + 1 < TABLES_APART {
                sum.double_and_add(&mut term(0, step), scratch)?;
            }
            for number in 1..TABLES {
                sum.add(&term(number, step), scratch)?;
            }
        }
        Ok(sum)
    }
}
