//! Some multiples of each point of a batch, from which lanes are selected: the whole table of a lane is read.

use crate::batch::{Batch, Exceptional, Scratch};
use crate::digits::Digits;
use crate::field::Element;
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
        let mut multiples = Self::empty(entries[0].len(), entries.len());
        (0..).zip(entries).for_each(|(number, entry)| multiples.set(number, entry));
        multiples
    }

    /// P of each point of a batch, then 3P, 5P, ...
    pub(crate) fn odd(points: &Batch<K>, scratch: &mut Scratch<K>) -> Result<Self, Exceptional> {
        const COUNT: usize = 1 << (VARIABLE_WINDOW - 1);
        let mut multiples = Self::empty(points.len(), COUNT);
        let (mut multiple, mut twice) = (points.clone(), points.clone());
        twice.double(scratch);
        multiples.set(0, &multiple);
        for number in 1..COUNT {
            multiple.add(&twice, scratch)?;
            multiples.set(number, &multiple);
        }
        Ok(multiples)
    }

    fn empty(vectors: usize, count: usize) -> Self {
        let zeros = || vec![K::pack(&K::splat(Element::ZERO)); vectors * count];
        Self { count, x: zeros(), y: zeros() }
    }

    /// The entries of a vector lie after each other: so they are read in that order.
    fn set(&mut self, number: usize, entry: &Batch<K>) {
        for (packed, vectors) in [(&mut self.x, entry.x()), (&mut self.y, entry.y())] {
            let places = packed.iter_mut().skip(number).step_by(self.count);
            places.zip(vectors).for_each(|(place, vector)| *place = K::pack(vector));
        }
    }

    /// The entry that digit `position` names in each lane of the first vectors, or its opposite.
    pub(crate) fn select(&self, x: &mut [K::Vector], y: &mut [K::Vector], digits: &Digits, position: usize) {
        let (entries, lanes) = (x.len() * self.count, x.len() * K::LANES);
        K::select(x, &self.x[..entries], &digits.indices(position)[..lanes]);
        K::select(y, &self.y[..entries], &digits.indices(position)[..lanes]);
        K::negate_where(y, &digits.signs(position)[..lanes]);
    }
}
