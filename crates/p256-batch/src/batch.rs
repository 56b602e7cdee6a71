//! Point arithmetic on batches of affine points, over any kernel: a batch shares one inversion (Montgomery's trick).
//!
//! The affine formulas fail where an addition meets a point and itself or its opposite. That shows as a zero in the product of
//! all denominators, and the caller then takes another way. Infinity is no point of a batch.

use crate::digits::Digits;
use crate::field::{Element, Montgomery};
use crate::kernel::{BLOCK, Kernel};
use crate::memcheck::declassified;
use crate::multiples::{Multiples, VARIABLE_WINDOW};
use std::ops::Range;
use zeroize::Zeroize;

/// An addition met a point and itself, or its opposite.
#[derive(Debug)]
pub(crate) struct Exceptional;

/// Half of three, modulo p.
const THREE_HALVES: Element = Element([1, 1 << 31, 1 << 63, 0x7fff_ffff_8000_0000]);

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

    pub(crate) fn x(&self) -> &[K::Vector] {
        &self.x
    }

    pub(crate) fn y(&self) -> &[K::Vector] {
        &self.y
    }

    /// The points at each of several rows of digits, in a row.
    pub(crate) fn selected(multiples: &Multiples<K>, digits: &[Digits], position: usize) -> Self {
        let length = digits[0].lanes() / K::LANES;
        let mut points = Self::empty(digits.len() * length);
        let places = points.x.chunks_exact_mut(length).zip(points.y.chunks_exact_mut(length));
        digits.iter().zip(places).for_each(|(digits, (x, y))| multiples.select(x, y, digits, position));
        points
    }

    /// Twice each point. There is no point of order two, so nothing can fail.
    pub(crate) fn double(&mut self, scratch: &mut Scratch<K>) {
        let doubled = divide::<K, _>(
            (self.len(), THREE_HALVES),
            self,
            |points, range, out, by| K::multiply(out, by, &points.y[range]),
            |points, range, slope, room| {
                K::multiply_by_tangent(slope, &points.x[range.clone()], room);
                K::meet(&mut points.x[range.clone()], &mut points.y[range], slope, None, room);
            },
            scratch,
        );
        doubled.expect("no point has y = 0");
    }

    /// Adds `term` to twice each point, or changes no point if one of the sums is exceptional. `term` is used up.
    ///
    /// It is (P + Q) + P, where the y of P + Q is not needed (Eisentraeger, Lauter and Montgomery, CT-RSA 2003): its slope with P is
    /// -s - 2y / (x3 - x), where s is that of P and Q.
    pub(crate) fn double_and_add(&mut self, term: &mut Self, scratch: &mut Scratch<K>) -> Result<(), Exceptional> {
        let length = self.len();
        divide::<K, _>(
            (length, Element::small(1)),
            term,
            |term, range, out, by| K::multiply_by_difference(out, by, &term.x[range.clone()], &self.x[range]),
            |term, range, inverse, opposite| {
                K::multiply_by_difference(opposite, inverse, &self.y[range.clone()], &term.y[range.clone()]);
                K::third(&mut term.x[range.clone()], opposite, &self.x[range.clone()]);
                term.y[range].copy_from_slice(opposite);
            },
            scratch,
        )?;
        divide::<K, _>(
            (length, Element::small(2)),
            &mut (self, term),
            |(points, term), range, out, by| {
                K::multiply_by_difference(out, by, &points.x[range.clone()], &term.x[range]);
            },
            |(points, term), range, inverse, room| {
                let (x, y) = (&mut points.x[range.clone()], &mut points.y[range.clone()]);
                let slope = &mut term.y[range.clone()];
                K::multiply_and_add(slope, inverse, y);
                K::meet(x, y, slope, Some(&term.x[range]), room);
            },
            scratch,
        )
    }

    /// Adds `other`, or changes nothing if one of the sums is exceptional.
    pub(crate) fn add(&mut self, other: &Self, scratch: &mut Scratch<K>) -> Result<(), Exceptional> {
        add::<K>(&mut self.x, &mut self.y, &other.x, &other.y, scratch)
    }

    /// Each point times its own digits, least significant last: odd digits of four bits, of tables that are read whole.
    pub(crate) fn multiply(&self, digits: &Digits, scratch: &mut Scratch<K>) -> Result<Self, Exceptional> {
        let multiples = Multiples::odd(self, scratch)?;
        let mut sum = Self::empty(self.len());
        let mut term = Self::empty(self.len());
        multiples.select(&mut sum.x, &mut sum.y, digits, digits.count() - 1);
        for position in (0..digits.count() - 1).rev() {
            multiples.select(&mut term.x, &mut term.y, digits, position);
            sum.shift_and_add(&mut term, scratch)?;
        }
        Ok(sum)
    }

    /// Makes room for a digit, and adds what it names.
    fn shift_and_add(&mut self, term: &mut Self, scratch: &mut Scratch<K>) -> Result<(), Exceptional> {
        (1..VARIABLE_WINDOW).for_each(|_| self.double(scratch));
        self.double_and_add(term, scratch)
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
        let multiples = Multiples::odd(self, scratch)?;
        let mut sum = Self::empty(self.len());
        let mut term = Self::empty(self.len());
        for position in (0..a.count()).rev() {
            if position + 1 == a.count() {
                multiples.select(&mut sum.x, &mut sum.y, a, position);
                sum.add_to_second_half(half, offset, scratch)?;
            } else {
                multiples.select(&mut term.x, &mut term.y, a, position);
                sum.shift_and_add(&mut term, scratch)?;
            }
            multiples.select(&mut term.x[..half], &mut term.y[..half], b, position);
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
        Self { x: all(Self::x), y: all(Self::y) }
    }

    /// The opposite of every point.
    pub(crate) fn negate(&mut self) {
        let lanes = vec![0xff; self.len() * K::LANES];
        K::negate_where(&mut self.y, &lanes);
    }
}

/// (x, y) += (other_x, other_y), or nothing.
fn add<K: Kernel>(
    x: &mut [K::Vector],
    y: &mut [K::Vector],
    other_x: &[K::Vector],
    other_y: &[K::Vector],
    scratch: &mut Scratch<K>,
) -> Result<(), Exceptional> {
    let mut slopes = [K::splat(Element::ZERO); BLOCK];
    divide::<K, _>(
        (x.len(), Element::small(1)),
        &mut (x, y),
        |(x, _), range, out, by| K::multiply_by_difference(out, by, &other_x[range.clone()], &x[range]),
        |(x, y), range, inverse, room| {
            let (x, y, slope) = (&mut x[range.clone()], &mut y[range.clone()], &mut slopes[..range.len()]);
            K::multiply_by_difference(slope, inverse, &other_y[range.clone()], y);
            K::meet(x, y, slope, Some(&other_x[range]), room);
        },
        scratch,
    )
}

/// Calls `apply` with `dividend` over each of `length` denominators that points have, block by block, or not at all if one is zero.
/// `multiply(points, range, out, by)` sets out to those of a range times `by`. In `apply` the points of the range may change;
/// it has as much room beside.
///
/// The products of all denominators so far are kept, vector by vector of a block, and one inverse serves all (Montgomery's trick).
fn divide<K: Kernel, P>(
    (length, dividend): (usize, Element),
    points: &mut P,
    multiply: impl Fn(&P, Range<usize>, &mut [K::Vector], &[K::Vector]),
    mut apply: impl FnMut(&mut P, Range<usize>, &mut [K::Vector], &mut [K::Vector]),
    scratch: &mut Scratch<K>,
) -> Result<(), Exceptional> {
    let products = scratch.of(length);
    let ones = [K::splat(Element::small(1)); BLOCK];
    for first in (0..length).step_by(BLOCK) {
        let range = first..length.min(first + BLOCK);
        let (before, rest) = products.split_at_mut(first);
        multiply(points, range.clone(), &mut rest[..range.len()], &last_block(before, &ones)[..range.len()]);
    }
    let used = length.min(BLOCK);
    let (mut these, mut next, mut quotients, mut room) = (ones, ones, ones, ones);
    these[..used].copy_from_slice(&products[length - used..]);
    these[..used].rotate_right(length % BLOCK); // a last block that is not full has the first vectors
    invert::<K>(&mut these[..used], dividend)?;
    let (mut these, mut next) = (&mut these, &mut next);
    for first in (0..length).step_by(BLOCK).rev() {
        let range = first..length.min(first + BLOCK);
        let count = range.len();
        K::multiply(&mut quotients[..count], &these[..count], &last_block(&products[..first], &ones)[..count]);
        multiply(points, range.clone(), &mut next[..count], &these[..count]);
        next[count..].copy_from_slice(&these[count..]);
        std::mem::swap(&mut these, &mut next);
        apply(points, range, &mut quotients[..count], &mut room[..count]);
    }
    Ok(())
}

/// The last BLOCK products, or ones before the first.
fn last_block<'a, V>(products: &'a [V], ones: &'a [V; BLOCK]) -> &'a [V] {
    products.len().checked_sub(BLOCK).map_or(ones, |first| &products[first..])
}

/// `dividend` over every lane of every vector with one inversion; nothing if one is zero.
pub(crate) fn invert<K: Kernel>(values: &mut [K::Vector], dividend: Element) -> Result<(), Exceptional> {
    let last = values.len() - 1;
    let mut products = vec![values[0]; values.len()];
    for i in 1..=last {
        products[i] = values[i];
        let (done, rest) = products.split_at_mut(i);
        K::multiply_by(&mut rest[..1], &done[i - 1..]);
    }
    let mut lanes = vec![Element::ZERO; K::LANES];
    K::store(&products[last..], &mut lanes);
    invert_elements(&mut lanes, dividend)?;
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

fn invert_elements(values: &mut [Element], dividend: Element) -> Result<(), Exceptional> {
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
    let mut inverse = product.inverse().times(dividend.to_montgomery());
    for (value, before) in values.iter_mut().zip(&before).rev() {
        let this = value.to_montgomery();
        *value = inverse.times(*before).to_element();
        inverse = inverse.times(this);
    }
    before.zeroize();
    Ok(())
}
