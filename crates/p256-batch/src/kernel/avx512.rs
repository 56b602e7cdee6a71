//! Eight lanes of five 52-bit limbs, in Montgomery form with R = 2^260, by the multiply-add of AVX-512 IFMA.
//!
//! A reduced vector has normalised limbs and a value below 2p. A product of a and b comes out below 2p whenever a b <= 16 p^2, so
//! a difference (below 4p) or three times a reduced number (below 7p) may be one of its factors.

#![allow(unsafe_code)] // every unsafe block here calls a function that needs the features that `available` looks for

use super::Kernel;
use crate::field::{Element, reduce_once};
use std::arch::x86_64::*;
use zeroize::Zeroize;

/// See the module.
pub(crate) struct Avx512;

/// Whether this processor can run it.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

const LIMBS: usize = 5;
const LANES: usize = 8;
const BITS: u32 = 52;
const MASK: i64 = (1 << BITS) - 1;
const TWICE_P: [i64; LIMBS] = [0xf_ffff_ffff_fffe, 0x1fff_ffff_ffff, 0, 0x20_0000_0000, 0x1_ffff_fffe_0000];
const FOUR_P: [i64; LIMBS] = [0xf_ffff_ffff_fffc, 0x3fff_ffff_ffff, 0, 0x40_0000_0000, 0x3_ffff_fffc_0000];
/// p - 3 R mod p
const MINUS_THREE: [i64; LIMBS] = [0xf_ffff_ffff_ffcf, 0x3_0fff_ffff_ffff, 0, 0x310_0000_0000, 0xffff_ffcf_0000];
/// p - R mod p
const MINUS_ONE: [i64; LIMBS] = [0xf_ffff_ffff_ffef, 0x1_0fff_ffff_ffff, 0, 0x110_0000_0000, 0xffff_ffef_0000];
/// R^2 mod p
const R_SQUARED: [i64; LIMBS] = [0x300, 0xf_ffff_fff0_0000, 0xf_fffe_ffff_fffb, 0xf_dfff_ffff_ffff, 0x4ff_ffff];
const ONE: [i64; LIMBS] = [1, 0, 0, 0, 0];

/// A limb of each lane, least significant first.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Vector([__m512i; LIMBS]);

/// The same numbers by lane.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Lanes([[u64; LANES]; LIMBS]);

const _: () = assert!(size_of::<Vector>() == size_of::<Lanes>());

impl Vector {
    fn from_lanes(lanes: Lanes) -> Self {
        // SAFETY: both are LIMBS * LANES 64-bit integers in the same order, and every bit pattern is valid.
        unsafe { std::mem::transmute(lanes) }
    }

    fn into_lanes(self) -> Lanes {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self) }
    }
}

impl Zeroize for Vector {
    fn zeroize(&mut self) {
        let zero = Self::from_lanes(Lanes::default());
        // SAFETY: `self` is a valid, aligned place. A volatile write is not left out.
        unsafe { std::ptr::write_volatile(self, zero) };
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }
}

/// 2^(WINDOW - 1) points: each limb of x, then of y, of all entries in a row.
pub(crate) struct Table(Vec<[[u64; LANES]; ENTRIES / LANES]>);

const WINDOW: usize = 8;
const ENTRIES: usize = 1 << (WINDOW - 1);

macro_rules! features {
    ($(#[$attribute:meta])* $(($visibility:vis))? fn $($rest:tt)*) => {
        $(#[$attribute])*
        #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512vl")]
        $($visibility)? fn $($rest)*
    };
}

features! {
    #[inline]
    fn constant(limbs: &[i64; LIMBS]) -> Vector {
        let mut constant = [_mm512_setzero_si512(); LIMBS];
        for (constant, limb) in constant.iter_mut().zip(limbs) {
            *constant = _mm512_set1_epi64(*limb);
        }
        Vector(constant)
    }
}

features! {
    /// Carries between limbs, which may be negative; the value must not be.
    #[inline]
    fn normalise(mut limbs: [__m512i; LIMBS]) -> Vector {
        let mask = _mm512_set1_epi64(MASK);
        for i in 0..LIMBS - 1 {
            limbs[i + 1] = _mm512_add_epi64(limbs[i + 1], _mm512_srai_epi64::<BITS>(limbs[i]));
            limbs[i] = _mm512_and_si512(limbs[i], mask);
        }
        Vector(limbs)
    }
}

features! {
    /// A normalised value below 8p, reduced: as 2^256 = 2^224 - 2^192 - 2^96 + 1 modulo p, what is above goes below.
    #[inline]
    fn reduce(value: Vector) -> Vector {
        let [l0, l1, l2, l3, l4] = value.0;
        let above = _mm512_srli_epi64::<48>(l4);
        normalise([
            _mm512_add_epi64(l0, above),
            _mm512_sub_epi64(l1, _mm512_slli_epi64::<44>(above)),
            l2,
            _mm512_sub_epi64(l3, _mm512_slli_epi64::<36>(above)),
            _mm512_add_epi64(_mm512_and_si512(l4, _mm512_set1_epi64((1 << 48) - 1)), _mm512_slli_epi64::<16>(above)),
        ])
    }
}

features! {
    /// a + constant - b, limb by limb.
    #[inline]
    fn combine(a: &Vector, constant: &Vector, b: &Vector) -> [__m512i; LIMBS] {
        let mut limbs = a.0;
        for (limb, (constant, b)) in limbs.iter_mut().zip(constant.0.into_iter().zip(b.0)) {
            *limb = _mm512_sub_epi64(_mm512_add_epi64(*limb, constant), b);
        }
        limbs
    }
}

features! {
    /// a - b + 2p for reduced numbers: below 4p.
    #[inline]
    fn difference(a: &Vector, b: &Vector) -> Vector {
        normalise(combine(a, &constant(&TWICE_P), b))
    }
}

features! {
    /// a b / R, below 2p if a b <= 16 p^2. Limb by limb of a; -1/p = 1 modulo 2^52, so the lowest limb itself says how often p
    /// is to be added: m p = -m + m 2^96 + m 2^192 + m (2^256 - 2^224).
    #[inline]
    #[allow(clippy::needless_range_loop)] // with iterators the compiler keeps the limbs in memory
    fn product(a: &Vector, b: &Vector) -> Vector {
        let zero = _mm512_setzero_si512();
        let mask = _mm512_set1_epi64(MASK);
        let (p1, p3, p4) = (
            _mm512_set1_epi64(1 << 44),
            _mm512_set1_epi64(1 << 36),
            _mm512_set1_epi64((1 << 48) - (1 << 16)),
        );
        let mut t = [zero; LIMBS];
        let mut top;
        for i in 0..LIMBS {
            let x = a.0[i];
            t[0] = _mm512_madd52lo_epu64(t[0], x, b.0[0]);
            let m = _mm512_and_si512(t[0], mask);
            let carry = _mm512_srli_epi64::<BITS>(t[0]);
            for j in 1..LIMBS {
                t[j] = _mm512_madd52lo_epu64(t[j], x, b.0[j]);
                t[j] = _mm512_madd52hi_epu64(t[j], x, b.0[j - 1]);
            }
            top = _mm512_madd52hi_epu64(zero, x, b.0[LIMBS - 1]);
            t[1] = _mm512_madd52lo_epu64(_mm512_add_epi64(t[1], carry), m, p1);
            t[2] = _mm512_madd52hi_epu64(t[2], m, p1);
            t[3] = _mm512_madd52lo_epu64(t[3], m, p3);
            t[4] = _mm512_madd52lo_epu64(_mm512_madd52hi_epu64(t[4], m, p3), m, p4);
            top = _mm512_madd52hi_epu64(top, m, p4);
            t = [t[1], t[2], t[3], t[4], top];
        }
        normalise(t)
    }
}

features! {
    fn each_product(out: &mut [Vector], a: &[Vector], b: &[Vector]) {
        for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
            *out = product(a, b);
        }
    }
}

features! {
    fn each_product_by(a: &mut [Vector], b: &[Vector]) {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = product(a, b));
    }
}

features! {
    fn each_square(a: &mut [Vector], count: usize) {
        for _ in 0..count {
            a.iter_mut().for_each(|a| *a = product(a, a));
        }
    }
}

features! {
    fn each_product_by_difference(out: &mut [Vector], c: &[Vector], a: &[Vector], b: &[Vector]) {
        for ((out, c), (a, b)) in out.iter_mut().zip(c).zip(a.iter().zip(b)) {
            *out = product(&difference(a, b), c);
        }
    }
}

features! {
    fn each_product_by_tangent(s: &mut [Vector], x: &[Vector], _: &mut [Vector]) {
        let (minus_one, zero) = (constant(&MINUS_ONE), constant(&[0; LIMBS]));
        for (s, x) in s.iter_mut().zip(x) {
            *s = product(&normalise(combine(&product(x, x), &minus_one, &zero)), s);
        }
    }
}

features! {
    fn each_product_and_sum(s: &mut [Vector], a: &[Vector], b: &[Vector]) {
        let zero = constant(&[0; LIMBS]);
        for (s, (a, b)) in s.iter_mut().zip(a.iter().zip(b)) {
            *s = reduce(normalise(combine(&product(a, b), s, &zero)));
        }
    }
}

features! {
    /// s^2 - a - b
    #[inline]
    fn square_minus(s: &Vector, a: &Vector, b: &Vector) -> Vector {
        let limbs = combine(&product(s, s), &constant(&FOUR_P), a);
        reduce(normalise(combine(&Vector(limbs), &constant(&[0; LIMBS]), b)))
    }
}

features! {
    fn each_third(other: &mut [Vector], s: &[Vector], x: &[Vector]) {
        for (other, (s, x)) in other.iter_mut().zip(s.iter().zip(x)) {
            *other = square_minus(s, x, other);
        }
    }
}

features! {
    fn each_meeting(x: &mut [Vector], y: &mut [Vector], s: &[Vector], other: Option<&[Vector]>, chords: &mut [Vector]) {
        for (place, (x, (s, chord))) in x.iter_mut().zip(s.iter().zip(chords.iter_mut())).enumerate() {
            let x3 = square_minus(s, x, other.map_or(x, |other| &other[place]));
            *chord = difference(x, &x3);
            *x = x3;
        }
        for (y, (s, chord)) in y.iter_mut().zip(s.iter().zip(chords)) {
            *y = reduce(difference(&product(chord, s), y));
        }
    }
}

features! {
    fn each_curve(out: &mut [Vector], x: &[Vector], b: &Vector) {
        let minus_three = constant(&MINUS_THREE);
        let zero = constant(&[0; LIMBS]);
        for (out, x) in out.iter_mut().zip(x) {
            let square = normalise(combine(&product(x, x), &minus_three, &zero));
            *out = reduce(normalise(combine(&product(&square, x), b, &zero)));
        }
    }
}

features! {
    /// The bytes of eight lanes as a number each.
    #[inline]
    fn widened(bytes: &[u8]) -> __m512i {
        let bytes: [u8; LANES] = bytes.try_into().expect("a byte a lane");
        _mm512_cvtepi8_epi64(_mm_cvtsi64_si128(i64::from_le_bytes(bytes)))
    }
}

features! {
    fn each_negation(a: &mut [Vector], lanes: &[u8]) {
        let (twice_p, zero) = (constant(&TWICE_P), constant(&[0; LIMBS]));
        for (a, lanes) in a.iter_mut().zip(lanes.chunks_exact(LANES)) {
            let negative = normalise(combine(&zero, &twice_p, a));
            let mask = _mm512_movepi64_mask(widened(lanes));
            for (limb, negative) in a.0.iter_mut().zip(negative.0) {
                *limb = _mm512_mask_mov_epi64(*limb, mask, negative);
            }
        }
    }
}

features! {
    /// Sixteen entries fit two registers, of which one instruction takes any; bits 4 to 6 of an index choose among eight such.
    fn each_look_up(table: &Table, indices: &[u8], x: &mut [Vector], y: &mut [Vector]) {
        for (indices, (x, y)) in indices.chunks_exact(LANES).zip(x.iter_mut().zip(y)) {
            let index = widened(indices);
            let bits = [16, 32, 64].map(|bit| _mm512_test_epi64_mask(index, _mm512_set1_epi64(bit)));
            for (rows, limb) in table.0.iter().zip(x.0.iter_mut().chain(&mut y.0)) {
                let mut found = [_mm512_setzero_si512(); ENTRIES / LANES / 2];
                for (found, pair) in found.iter_mut().zip(rows.chunks_exact(2)) {
                    *found = _mm512_permutex2var_epi64(load(&pair[0]), index, load(&pair[1]));
                }
                let mut left = found.len();
                for mask in bits {
                    left /= 2;
                    for i in 0..left {
                        found[i] = _mm512_mask_blend_epi64(mask, found[2 * i], found[2 * i + 1]);
                    }
                }
                *limb = found[0];
            }
        }
    }
}

features! {
    #[inline]
    fn load(lanes: &[u64; LANES]) -> __m512i {
        // SAFETY: eight 64-bit integers are there, and the instruction takes any alignment.
        unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
    }
}

features! {
    fn each_selection(out: &mut [Vector], entries: &[Vector], indices: &[u8]) {
        let count = entries.len() / out.len();
        for (out, (entries, indices)) in out.iter_mut().zip(entries.chunks_exact(count).zip(indices.chunks_exact(LANES))) {
            let index = widened(indices);
            let mut limbs = [_mm512_setzero_si512(); LIMBS];
            for (number, entry) in (0..).zip(entries) {
                let mask = _mm512_cmpeq_epi64_mask(index, _mm512_set1_epi64(number));
                for (limb, entry) in limbs.iter_mut().zip(entry.0) {
                    *limb = _mm512_mask_mov_epi64(*limb, mask, entry);
                }
            }
            *out = Vector(limbs);
        }
    }
}

features! {
    fn scale(vectors: &mut [Vector], by: &[i64; LIMBS]) {
        let by = constant(by);
        vectors.iter_mut().for_each(|vector| *vector = product(vector, &by));
    }
}

/// The limbs of a number.
fn split(Element(x): Element) -> [u64; LIMBS] {
    const MASK: u64 = (1 << BITS) - 1;
    [
        x[0] & MASK,
        (x[0] >> 52 | x[1] << 12) & MASK,
        (x[1] >> 40 | x[2] << 24) & MASK,
        (x[2] >> 28 | x[3] << 36) & MASK,
        x[3] >> 16,
    ]
}

/// A number below 2p from its limbs.
fn join(w: [u64; LIMBS]) -> Element {
    let value = [w[0] | w[1] << 52, w[1] >> 12 | w[2] << 40, w[2] >> 24 | w[3] << 28, w[3] >> 36 | w[4] << 16];
    Element(reduce_once(value, w[4] >> 48))
}

impl Kernel for Avx512 {
    type Vector = Vector;
    type Packed = Vector;
    type Table = Table;
    const LANES: usize = LANES;
    const WINDOW: usize = WINDOW;

    fn splat(value: Element) -> Vector {
        let mut vectors = [Vector::from_lanes(Lanes::default())];
        Self::load(&[value], &mut vectors);
        vectors[0]
    }

    fn load(values: &[Element], vectors: &mut [Vector]) {
        let last = *values.last().expect("at least one number");
        let mut values = values.iter().copied().chain(std::iter::repeat(last));
        for vector in vectors.iter_mut() {
            let mut lanes = Lanes::default();
            for lane in 0..LANES {
                let number = split(values.next().unwrap_or(last));
                (0..LIMBS).for_each(|limb| lanes.0[limb][lane] = number[limb]);
            }
            *vector = Vector::from_lanes(lanes);
        }
        unsafe { scale(vectors, &R_SQUARED) }
    }

    fn store(vectors: &[Vector], values: &mut [Element]) {
        for (values, vector) in values.chunks_mut(LANES).zip(vectors) {
            let mut plain = [*vector];
            unsafe { scale(&mut plain, &ONE) };
            let lanes = plain[0].into_lanes();
            for (lane, value) in values.iter_mut().enumerate() {
                *value = join(lanes.0.map(|limb| limb[lane]));
            }
        }
    }

    super::loops!();

    fn pack(vector: &Vector) -> Vector {
        *vector
    }

    fn table(x: &[Element], y: &[Element]) -> Table {
        let mut rows = vec![[[0; LANES]; ENTRIES / LANES]; 2 * LIMBS];
        for (coordinate, rows) in [x, y].into_iter().zip(rows.chunks_exact_mut(LIMBS)) {
            let mut vectors = [Vector::from_lanes(Lanes::default()); ENTRIES / LANES];
            Self::load(coordinate, &mut vectors);
            for (place, vector) in vectors.into_iter().enumerate() {
                rows.iter_mut().zip(vector.into_lanes().0).for_each(|(row, limbs)| row[place] = limbs);
            }
        }
        Table(rows)
    }

    fn look_up(table: &Table, indices: &[u8], x: &mut [Vector], y: &mut [Vector]) {
        unsafe { each_look_up(table, indices, x, y) }
    }
}
