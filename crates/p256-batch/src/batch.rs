//! Point arithmetic on batches of affine points, over any kernel: a batch shares one inversion (Montgomery's trick).
//!
//! The affine formulas fail where an addition meets a point and itself or its opposite. That shows as a zero in the product of
//! all denominators, and the caller then takes another way. Infinity is no point of a batch.

use crate::digits::Digits;
use crate::field::{Element, Montgomery};
use crate::kernel::{BLOCK, Kernel};
use crate::memcheck::declassified;
use zeroize::Zeroize;

/// An addition met a point and itself, or its opposite.
#[derive(Debug)]
pub(crate) struct Exceptional;

/// Points by lane, wiped when dropped.
pub(crate) struct Batch<K: Kernel> {
    x: Vec<K::Vector>,
    y: Vec<K::Vector>,
}

impl<K: Kernel> Drop for Batch<K> {
    fn drop(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
    }
}

impl<K: Kernel> Clone for Batch<K> {
    fn clone(&self) -> Self {
        Self { x: self.x.clone(), y: self.y.clone() }
    }
}

/// Room for the products of denominators, wiped when dropped.
pub(crate) struct Scratch<K: Kernel>(Vec<K::Vector>);

impl<K: Kernel> Scratch<K> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    fn of(&mut self, length: usize) -> &mut [K::Vector] {
        if self.0.len() < length {
            self.0.zeroize();
            self.0 = vec![K::splat(Element::ZERO); length];
        }
        &mut self.0[..length]
    }
}

impl<K: Kernel> Drop for Scratch<K> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn zeros<K: Kernel>(length: usize) -> Vec<K::Vector> {
    vec![K::splat(Element::ZERO); length]
}

/// Vectors for so many points.
pub(crate) fn vectors<K: Kernel>(points: usize) -> usize {
    points.div_ceil(K::LANES)
}

impl<K: Kernel> Batch<K> {
    /// At least one point. The lanes that remain repeat the last.
    pub(crate) fn load(x: &[Element], y: &[Element]) -> Self {
        let length = vectors::<K>(x.len());
        let mut batch = Self::empty(length);
        K::load(x, &mut batch.x);
        K::load(y, &mut batch.y);
        batch
    }

    /// So many vectors, which are no points yet.
    fn empty(length: usize) -> Self {
        Self { x: zeros::<K>(length), y: zeros::<K>(length) }
    }

    pub(crate) fn store(&self, x: &mut [Element], y: &mut [Element]) {
        self.store_from(0, x, y);
    }

    /// As many points as there is room for, from a vector on.
    pub(crate) fn store_from(&self, vector: usize, x: &mut [Element], y: &mut [Element]) {
        K::store(&self.x[vector..], x);
        K::store(&self.y[vector..], y);
    }

    pub(crate) fn len(&self) -> usize {
        self.x.len()
    }

    /// The vectors of one batch, then those of another.
    pub(crate) fn chain(&self, other: &Self) -> Self {
        Self { x: [&self.x[..], &other.x].concat(), y: [&self.y[..], &other.y].concat() }
    }

    /// Twice each point. There is no point of order two, so nothing can fail.
    pub(crate) fn double(&mut self, scratch: &mut Scratch<K>) {
        let length = self.len();
        let before = scratch.of(length);
        let (mut totals, used) = ([K::splat(Element::small(1)); BLOCK], length.min(BLOCK));
        for (before, y) in before.chunks_mut(BLOCK).zip(self.y.chunks(BLOCK)) {
            before.copy_from_slice(&totals[..y.len()]);
            K::multiply_by_double(&mut totals[..y.len()], y);
        }
        invert::<K>(&mut totals[..used]).expect("no point has y = 0");
        let (mut slope, mut x3) = (totals, totals);
        for ((before, x), y) in before.chunks(BLOCK).zip(self.x.chunks_mut(BLOCK)).zip(self.y.chunks_mut(BLOCK)).rev() {
            let block = x.len();
            let (slope, x3) = (&mut slope[..block], &mut x3[..block]);
            K::multiply(slope, &totals[..block], before);
            K::multiply_by_double(&mut totals[..block], y);
            K::multiply_by_tangent(slope, x);
            K::square_minus(x3, slope, x, x);
            K::reflect(y, slope, x, x3);
            x.copy_from_slice(x3);
        }
    }

    /// Adds `other`, or changes nothing if one of the sums is exceptional.
    pub(crate) fn add(&mut self, other: &Self, scratch: &mut Scratch<K>) -> Result<(), Exceptional> {
        add::<K>(&mut self.x, &mut self.y, &other.x, &other.y, scratch)
    }

    /// Each point times its own digits, least significant last: odd digits of four bits, of tables that are read whole.
    pub(crate) fn multiply(&self, digits: &Digits, scratch: &mut Scratch<K>) -> Result<Self, Exceptional> {
        let multiples = odd_multiples(self, scratch)?;
        let mut sum = Self::empty(self.len());
        let mut term = Self::empty(self.len());
        multiples.select(&mut sum.x, &mut sum.y, digits, digits.count() - 1, MULTIPLES);
        for position in (0..digits.count() - 1).rev() {
            (0..VARIABLE_WINDOW).for_each(|_| sum.double(scratch));
            multiples.select(&mut term.x, &mut term.y, digits, position, MULTIPLES);
            sum.add(&term, scratch)?;
        }
        Ok(sum)
    }

    /// (a u, a e + b u) for the halves u and e of this batch, with the doublings and u's table shared. `offset` is added to the
    /// second half at first and `back` at last, where back = -2^252 offset: with a random offset nobody can choose u and e so that
    /// a sum is exceptional.
    pub(crate) fn multiply_jointly(
        &self,
        a: &Digits,
        b: &Digits,
        [offset, back]: [(Element, Element); 2],
        scratch: &mut Scratch<K>,
    ) -> Result<Self, Exceptional> {
        let half = self.len() / 2;
        let multiples = odd_multiples(self, scratch)?;
        let mut sum = Self::empty(self.len());
        let mut term = Self::empty(self.len());
        for position in (0..a.count()).rev() {
            if position + 1 == a.count() {
                multiples.select(&mut sum.x, &mut sum.y, a, position, MULTIPLES);
                sum.add_to_second_half(half, offset, scratch)?;
            } else {
                (0..VARIABLE_WINDOW).for_each(|_| sum.double(scratch));
                multiples.select(&mut term.x, &mut term.y, a, position, MULTIPLES);
                sum.add(&term, scratch)?;
            }
            multiples.select(&mut term.x[..half], &mut term.y[..half], b, position, MULTIPLES);
            let (x, y) = (&mut sum.x[half..], &mut sum.y[half..]);
            add::<K>(x, y, &term.x[..half], &term.y[..half], scratch)?;
        }
        sum.add_to_second_half(half, back, scratch)?;
        Ok(sum)
    }

    fn add_to_second_half(
        &mut self,
        half: usize,
        (x, y): (Element, Element),
        scratch: &mut Scratch<K>,
    ) -> Result<(), Exceptional> {
        let (other_x, other_y) = (vec![K::splat(x); half], vec![K::splat(y); half]);
        add::<K>(&mut self.x[half..], &mut self.y[half..], &other_x, &other_y, scratch)
    }

    /// A multiple of one base a lane, by tables of each digit's multiples.
    pub(crate) fn of_base(tables: &[K::Table], digits: &Digits, scratch: &mut Scratch<K>) -> Result<Self, Exceptional> {
        let length = digits.lanes() / K::LANES;
        let mut sum = Self::empty(length);
        let mut term = Self::empty(length);
        for (position, table) in tables.iter().enumerate() {
            let target = if position == 0 { &mut sum } else { &mut term };
            K::look_up(table, digits.indices(position), &mut target.x, &mut target.y);
            K::negate_where(&mut target.y, digits.signs(position));
            if position > 0 {
                sum.add(&term, scratch)?;
            }
        }
        Ok(sum)
    }

    /// The vectors of several batches.
    pub(crate) fn concat(batches: &[Self]) -> Self {
        let all = |vectors: fn(&Self) -> &[K::Vector]| batches.iter().map(vectors).collect::<Vec<_>>().concat();
        Self { x: all(|batch| &batch.x), y: all(|batch| &batch.y) }
    }

    /// The opposite of every point.
    pub(crate) fn negate(&mut self) {
        let lanes = vec![0xff; self.len() * K::LANES];
        K::negate_where(&mut self.y, &lanes);
    }

    /// Of `count` batches in a row, the points that digit `position` names lane by lane, of one after the other of `digits`.
    pub(crate) fn entries(&self, digits: &[Digits], position: usize, count: usize) -> Self {
        let length = self.len() / count;
        let mut entries = Self::empty(digits.len() * length);
        let places = entries.x.chunks_exact_mut(length).zip(entries.y.chunks_exact_mut(length));
        for (digits, (x, y)) in digits.iter().zip(places) {
            self.select(x, y, digits, position, count);
        }
        entries
    }

    /// The same for the first lanes of a batch.
    fn select(&self, x: &mut [K::Vector], y: &mut [K::Vector], digits: &Digits, position: usize, count: usize) {
        let (stride, lanes) = (self.len() / count, x.len() * K::LANES);
        K::select(x, &self.x, &digits.indices(position)[..lanes], stride);
        K::select(y, &self.y, &digits.indices(position)[..lanes], stride);
        K::negate_where(y, &digits.signs(position)[..lanes]);
    }
}

/// log2 of twice the odd multiples of a variable base that are kept.
pub(crate) const VARIABLE_WINDOW: usize = 4;
const MULTIPLES: usize = 1 << (VARIABLE_WINDOW - 1);

/// P of each point of a batch, then 3P, 5P, ...
fn odd_multiples<K: Kernel>(batch: &Batch<K>, scratch: &mut Scratch<K>) -> Result<Batch<K>, Exceptional> {
    let mut twice = batch.clone();
    twice.double(scratch);
    let mut multiples = vec![batch.clone()];
    for number in 1..MULTIPLES {
        let mut next: Batch<K> = multiples[number - 1].clone();
        next.add(&twice, scratch)?;
        multiples.push(next);
    }
    Ok(Batch::concat(&multiples))
}

/// (x, y) += (other_x, other_y), or nothing.
fn add<K: Kernel>(
    x: &mut [K::Vector],
    y: &mut [K::Vector],
    other_x: &[K::Vector],
    other_y: &[K::Vector],
    scratch: &mut Scratch<K>,
) -> Result<(), Exceptional> {
    let length = x.len();
    let before = scratch.of(length);
    let (mut totals, used) = ([K::splat(Element::small(1)); BLOCK], length.min(BLOCK));
    for ((before, x), other_x) in before.chunks_mut(BLOCK).zip(x.chunks(BLOCK)).zip(other_x.chunks(BLOCK)) {
        before.copy_from_slice(&totals[..x.len()]);
        K::multiply_by_difference(&mut totals[..x.len()], other_x, x);
    }
    invert::<K>(&mut totals[..used])?;
    let (mut slope, mut x3) = (totals, totals);
    let others = other_x.chunks(BLOCK).zip(other_y.chunks(BLOCK));
    let mine = x.chunks_mut(BLOCK).zip(y.chunks_mut(BLOCK));
    for ((before, (x, y)), (other_x, other_y)) in before.chunks(BLOCK).zip(mine).zip(others).rev() {
        let block = x.len();
        let (slope, x3) = (&mut slope[..block], &mut x3[..block]);
        K::multiply(slope, &totals[..block], before);
        K::multiply_by_difference(&mut totals[..block], other_x, x);
        K::multiply_by_difference(slope, other_y, y);
        K::square_minus(x3, slope, x, other_x);
        K::reflect(y, slope, x, x3);
        x.copy_from_slice(x3);
    }
    Ok(())
}

/// Inverts every lane of every vector with one inversion; nothing if one is zero.
pub(crate) fn invert<K: Kernel>(values: &mut [K::Vector]) -> Result<(), Exceptional> {
    let last = values.len() - 1;
    let mut products = vec![values[0]; values.len()];
    for i in 1..=last {
        products[i] = values[i];
        let (done, rest) = products.split_at_mut(i);
        K::multiply_by(&mut rest[..1], &done[i - 1..]);
    }
    let mut lanes = vec![Element::ZERO; K::LANES];
    K::store(&products[last..], &mut lanes);
    invert_elements(&mut lanes)?;
    let mut inverse = [values[0]];
    K::load(&lanes, &mut inverse);
    for i in (1..=last).rev() {
        let value = [values[i]];
        K::multiply(&mut values[i..=i], &inverse, &products[i - 1..i]);
        K::multiply_by(&mut inverse, &value);
    }
    values[0] = inverse[0];
    products.zeroize();
    lanes.zeroize();
    Ok(())
}

fn invert_elements(values: &mut [Element]) -> Result<(), Exceptional> {
    let mut product = Montgomery::ONE;
    let mut before = Vec::with_capacity(values.len());
    for value in values.iter() {
        before.push(product);
        product = product.times(value.to_montgomery());
    }
    // That a batch is exceptional shows: with honest points that is as unlikely as to guess a scalar.
    if declassified(product.to_element().is_zero()) {
        return Err(Exceptional);
    }
    let mut inverse = product.inverse();
    for (value, before) in values.iter_mut().zip(&before).rev() {
        let this = value.to_montgomery();
        *value = inverse.times(*before).to_element();
        inverse = inverse.times(this);
    }
    before.zeroize();
    Ok(())
}
