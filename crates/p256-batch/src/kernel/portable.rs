//! One lane of 64-bit limbs in Montgomery form, always below p.

use super::Kernel;
use crate::field::{Element, Montgomery};
use std::hint::black_box;
use zeroize::Zeroizing;

/// See the module.
pub(crate) struct Portable;

type Numbers = [Montgomery];

#[inline(always)]
fn three(x: Montgomery) -> Montgomery {
    x.plus(x).plus(x)
}

/// `new` where the mask is all ones, `old` where it is zero.
fn choose(mask: u64, new: Montgomery, old: Montgomery) -> Montgomery {
    let mut chosen = [0; 4];
    for (target, (new, old)) in chosen.iter_mut().zip(new.0.iter().zip(&old.0)) {
        *target = (new & mask) | (old & !mask);
    }
    Montgomery(chosen)
}

/// All ones if two bytes are equal, else zero. `ones` is all ones, which the compiler is not to know: else it could branch.
fn equal(a: u8, b: u8, ones: u64) -> u64 {
    let different = u64::from(a ^ b);
    (different.wrapping_sub(1) >> 63).wrapping_neg() & ones
}

/// Adds up, by limbs, the one entry whose number is the index.
fn pick<const N: usize>(entries: impl Iterator<Item = [u64; N]>, index: u8, ones: u64) -> [u64; N] {
    let mut picked = [0; N];
    for (number, entry) in (0u8..).zip(entries) {
        let mask = equal(number, index, ones);
        picked.iter_mut().zip(entry).for_each(|(limb, entry)| *limb |= entry & mask);
    }
    picked
}

impl Kernel for Portable {
    type Vector = Montgomery;
    type Packed = Montgomery;
    /// x, then y.
    type Table = Zeroizing<Vec<[u64; 8]>>;
    const LANES: usize = 1;
    const WINDOW: usize = 5;

    fn splat(value: Element) -> Montgomery {
        value.to_montgomery()
    }

    fn load(values: &[Element], vectors: &mut Numbers) {
        let last = *values.last().expect("at least one number");
        let values = values.iter().copied().chain(std::iter::repeat(last));
        vectors.iter_mut().zip(values).for_each(|(vector, value)| *vector = value.to_montgomery());
    }

    fn store(vectors: &Numbers, values: &mut [Element]) {
        values.iter_mut().zip(vectors).for_each(|(value, vector)| *value = vector.to_element());
    }

    fn multiply(out: &mut Numbers, a: &Numbers, b: &Numbers) {
        out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (a, b))| *out = a.times(*b));
    }

    fn multiply_by(a: &mut Numbers, b: &Numbers) {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = a.times(*b));
    }

    fn square(a: &mut Numbers, count: usize) {
        a.iter_mut().for_each(|a| (0..count).for_each(|_| *a = a.squared()));
    }

    fn multiply_by_difference(out: &mut Numbers, c: &Numbers, a: &Numbers, b: &Numbers) {
        for ((out, c), (a, b)) in out.iter_mut().zip(c).zip(a.iter().zip(b)) {
            *out = c.times(a.minus(*b));
        }
    }

    fn multiply_by_tangent(s: &mut Numbers, x: &Numbers, _: &mut Numbers) {
        s.iter_mut().zip(x).for_each(|(s, x)| *s = s.times(x.squared().minus(Montgomery::ONE)));
    }

    fn multiply_and_add(s: &mut Numbers, a: &Numbers, b: &Numbers) {
        s.iter_mut().zip(a.iter().zip(b)).for_each(|(s, (a, b))| *s = a.times(*b).plus(*s));
    }

    fn third(other: &mut Numbers, s: &Numbers, x: &Numbers) {
        other.iter_mut().zip(s.iter().zip(x)).for_each(|(other, (s, x))| *other = s.squared().minus(*other).minus(*x));
    }

    fn meet(x: &mut Numbers, y: &mut Numbers, s: &Numbers, other: Option<&Numbers>, _: &mut Numbers) {
        for (place, ((x, y), s)) in x.iter_mut().zip(y).zip(s).enumerate() {
            let x3 = s.squared().minus(*x).minus(other.map_or(*x, |other| other[place]));
            *y = s.times(x.minus(x3)).minus(*y);
            *x = x3;
        }
    }

    fn curve(out: &mut Numbers, x: &Numbers, b: &Montgomery) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = x.squared().minus(three(Montgomery::ONE)).times(*x).plus(*b);
        }
    }

    fn negate_where(a: &mut Numbers, lanes: &[u8]) {
        let (zero, ones) = (Montgomery::default(), black_box(u64::MAX));
        a.iter_mut().zip(lanes).for_each(|(a, lane)| *a = choose(equal(*lane, 0xff, ones), zero.minus(*a), *a));
    }

    fn table(x: &[Element], y: &[Element]) -> Self::Table {
        let entry = |(x, y): (&Element, &Element)| {
            let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (x.to_montgomery().0, y.to_montgomery().0);
            [x0, x1, x2, x3, y0, y1, y2, y3]
        };
        Zeroizing::new(x.iter().zip(y).map(entry).collect())
    }

    fn look_up(table: &Self::Table, indices: &[u8], x: &mut Numbers, y: &mut Numbers) {
        let ones = black_box(u64::MAX);
        for (index, (x, y)) in indices.iter().zip(x.iter_mut().zip(y)) {
            let [x0, x1, x2, x3, y0, y1, y2, y3] = pick(table.iter().copied(), *index, ones);
            (*x, *y) = (Montgomery([x0, x1, x2, x3]), Montgomery([y0, y1, y2, y3]));
        }
    }

    fn pack(number: &Montgomery) -> Montgomery {
        *number
    }

    fn select(out: &mut Numbers, entries: &Numbers, indices: &[u8]) {
        let (ones, count) = (black_box(u64::MAX), entries.len() / out.len());
        for (out, (entries, index)) in out.iter_mut().zip(entries.chunks_exact(count).zip(indices)) {
            *out = Montgomery(pick(entries.iter().map(|entry| entry.0), *index, ones));
        }
    }
}
