//! Some multiples of each point of a batch, from which lanes are selected: the whole table of a lane is read.

use crate::batch::{Batch, Exceptional, Scratch};
use crate::digits::Digits;
use crate::kernel::Kernel;
use zeroize::Zeroize;

/// log2 of twice the odd multiples of a variable base that are kept.
pub(crate) const VARIABLE_WINDOW: usize = 4;

/// As many entries for each vector of a batch, wiped when dropped.
pub(crate) struct Multiples<K: Kernel> {
    count: usize,
    x: Vec<K::Packed>,
    y: Vec<K::Packed>,
}

impl<K: Kernel> Drop for Multiples<K> {
    fn drop(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
    }
}

impl<K: Kernel> Multiples<K> {
    /// The entries, each for all vectors.
    pub(crate) fn new(entries: &[Batch<K>]) -> Self {
        // The entries of a vector after each other: so they are read in the order in which they lie.
        let packed = |coordinate: fn(&Batch<K>) -> &[K::Vector]| {
            let places = 0..entries[0].len();
            places.flat_map(|place| entries.iter().map(move |entry| K::pack(&coordinate(entry)[place]))).collect()
        };
        Self { count: entries.len(), x: packed(Batch::x), y: packed(Batch::y) }
    }

    /// P of each point of a batch, then 3P, 5P, ...
    pub(crate) fn odd(points: &Batch<K>, scratch: &mut Scratch<K>) -> Result<Self, Exceptional> {
        let mut twice = points.clone();
        twice.double(scratch);
        let mut multiples = vec![points.clone()];
        for number in 1..1 << (VARIABLE_WINDOW - 1) {
            let mut next: Batch<K> = multiples[number - 1].clone();
            next.add(&twice, scratch)?;
            multiples.push(next);
        }
        Ok(Self::new(&multiples))
    }

    /// The entry that digit `position` names in each lane of the first vectors, or its opposite.
    pub(crate) fn select(&self, x: &mut [K::Vector], y: &mut [K::Vector], digits: &Digits, position: usize) {
        let (entries, lanes) = (x.len() * self.count, x.len() * K::LANES);
        K::select(x, &self.x[..entries], &digits.indices(position)[..lanes]);
        K::select(y, &self.y[..entries], &digits.indices(position)[..lanes]);
        K::negate_where(y, &digits.signs(position)[..lanes]);
    }
}
