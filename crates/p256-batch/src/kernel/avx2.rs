//! Four lanes of nine 29-bit limbs, in Montgomery form with R = 2^261, by the 32-bit multiplications of AVX2.
//!
//! A reduced vector has a value of at most 2p and limbs below `REDUCED`; a loose one has limbs below `LOOSE` and may be one factor
//! of a product. A product of a and b comes out below 2p whenever a b <= 32 p^2, so a difference (at most 6p) or three times a
//! reduced number and p (at most 7p) may be the loose factor.

#![allow(unsafe_code)] // every unsafe block here calls a function that needs AVX2, which `available` looks for, or says why

mod look_up;
mod packed;
mod product;

use super::Kernel;
use crate::field::{Element, reduce_once};
use look_up::Table;
use packed::{Packed, WORDS, packed, unpacked};
use product::{
    multiply_by, product, product_minus, product_plus, product_with_difference, square, square_in_place,
    square_minus_one, third, third_and_chord,
};
use std::arch::x86_64::*;
use zeroize::Zeroize;

/// See the module.
pub(crate) struct Avx2;

/// Whether this processor can run it.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx2")
}

const LIMBS: usize = 9;
const LANES: usize = 4;
const BITS: u32 = 29;
const MASK: u64 = (1 << BITS) - 1;
type Limbs = [u64; LIMBS];

/// `product_plus` leaves a bit more in the limbs where it subtracts and adds multiples of p.
const REDUCED: Limbs =
    [(1 << 29) + 16, 1 << 29, 1 << 29, 1 << 30, 1 << 29, 1 << 29, 1 << 30, (1 << 29) + (1 << 25), (1 << 25) + 1];
const LOOSE: Limbs = [5 << 29; LIMBS];

const P: Limbs = [0x1fff_ffff, 0x1fff_ffff, 0x1fff_ffff, 0x1ff, 0, 0, 0x4_0000, 0x1fe0_0000, 0xff_ffff];
/// p - 3 R mod p
const MINUS_THREE: Limbs = [0x1fff_ff9f, 0x1fff_ffff, 0x1fff_ffff, 0xc1ff, 0, 0, 0x184_0000, 0x13e0_0000, 0xff_ffff];
/// p - R mod p
const MINUS_ONE: Limbs = [0x1fff_ffdf, 0x1fff_ffff, 0x1fff_ffff, 0x41ff, 0, 0, 0x84_0000, 0x1be0_0000, 0xff_ffff];
/// R^2 mod p
const R_SQUARED: Limbs = [0xc00, 0, 0x1fff_0000, 0x1fdf_ffff, 0x1fbf_ffff, 0x1fff_ffff, 0x1fff_ffff, 0x1fff_fffe, 0x13];
const ONE: Limbs = [1, 0, 0, 0, 0, 0, 0, 0, 0];

/// A multiple of p in other limbs: `from_above[i]` of the units of limb i + 1 are in limb i instead.
const fn spread(multiple: u64, from_above: [u64; LIMBS]) -> Limbs {
    let mut limbs = [0; LIMBS];
    let mut carry = 0;
    let mut i = 0;
    while i < LIMBS {
        let value = multiple * P[i] + carry;
        let own = if i + 1 < LIMBS { value & MASK } else { value };
        let given = if i > 0 { from_above[i - 1] } else { 0 };
        limbs[i] = own + (from_above[i] << BITS) - given;
        carry = value >> BITS;
        i += 1;
    }
    limbs
}

/// 4p, and no limb of a reduced number is larger than the same limb here.
const FOUR_P: Limbs = spread(4, [1, 1, 1, 2, 2, 2, 2, 1, 0]);
/// 2p, and no limb but the highest.
const TWICE_P: Limbs = spread(2, [1, 1, 1, 2, 2, 2, 2, 2, 0]);
/// 8p, less the units of limbs 4 and 7 that `product_plus` adds, and no limb of a sum of two reduced numbers is larger.
const TAIL: Limbs = {
    let mut limbs = spread(8, [4, 4, 4, 4, 4, 4, 4, 4, 0]);
    limbs[4] -= 1;
    limbs[7] -= 1;
    limbs
};

const _: () = {
    let mut i = 0;
    while i < LIMBS {
        assert!(FOUR_P[i] + 1 >= REDUCED[i] && FOUR_P[i] + REDUCED[i] <= LOOSE[i]);
        assert!(TWICE_P[i] + 1 >= REDUCED[i] || i == LIMBS - 1);
        assert!(TAIL[i] + 2 >= 2 * REDUCED[i]);
        assert!(2 * REDUCED[i] <= LOOSE[i]);
        i += 1;
    }
    // The limbs of one factor meet each limb of the other at most once in a sum; the multiples of p, the carry and a tail come to
    // less than 2^60.
    let mut sum = 0;
    i = 0;
    while i < LIMBS {
        sum += LOOSE[i] as u128 * REDUCED[i] as u128;
        i += 1;
    }
    assert!(sum + (1 << 60) < 1 << 64);
};

/// A limb of each lane, least significant first.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct Vector([__m256i; LIMBS]);

/// The same numbers by lane.
#[derive(Clone, Copy, Default)]
#[repr(C, align(32))]
struct Lanes([[u64; LANES]; LIMBS]);

const _: () = assert!(size_of::<Vector>() == size_of::<Lanes>());

impl Vector {
    const fn from_lanes(lanes: Lanes) -> Self {
        // SAFETY: both are LIMBS * LANES 64-bit integers in the same order, and every bit pattern is valid.
        unsafe { std::mem::transmute(lanes) }
    }

    fn into_lanes(self) -> Lanes {
        // SAFETY: as above.
        unsafe { std::mem::transmute(self) }
    }

    const fn constant(limbs: &Limbs) -> Self {
        let mut lanes = [[0; LANES]; LIMBS];
        let mut i = 0;
        while i < LIMBS {
            lanes[i] = [limbs[i]; LANES];
            i += 1;
        }
        Self::from_lanes(Lanes(lanes))
    }

    /// In debug builds: is every limb below its limit?
    fn check(&self, limits: &Limbs) {
        if cfg!(debug_assertions) {
            let lanes = self.into_lanes().0;
            let within = lanes.iter().zip(limits).all(|(limb, limit)| limb.iter().all(|value| value < limit));
            assert!(within, "limbs {lanes:x?} beyond {limits:x?}");
        }
    }
}

static TWICE_P_VECTOR: Vector = Vector::constant(&TWICE_P);
static TAIL_VECTOR: Vector = Vector::constant(&TAIL);
static MINUS_THREE_VECTOR: Vector = Vector::constant(&MINUS_THREE);
static R_SQUARED_VECTOR: Vector = Vector::constant(&R_SQUARED);
static ONE_VECTOR: Vector = Vector::constant(&ONE);

impl Zeroize for Vector {
    fn zeroize(&mut self) {
        let zero = Self::from_lanes(Lanes::default());
        // SAFETY: `self` is a valid, aligned place. A volatile write is not left out.
        unsafe { std::ptr::write_volatile(self, zero) };
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }
}

macro_rules! features {
    ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => {
        $(#[$attribute])*
        #[target_feature(enable = "avx2")]
        $visibility fn $($rest)*
    };
}
use features;

features! {
    #[inline]
    fn zero() -> Vector {
        Vector([_mm256_setzero_si256(); LIMBS])
    }
}

features! {
    #[inline]
    fn sum(a: &Vector, b: &Vector) -> Vector {
        let mut sum = *a;
        for (limb, b) in sum.0.iter_mut().zip(b.0) {
            *limb = _mm256_add_epi64(*limb, b);
        }
        sum
    }
}

features! {
    /// Limb by limb: none of b may be larger.
    #[inline]
    fn limb_differences(a: &Vector, b: &Vector) -> Vector {
        let mut difference = *a;
        for (limb, b) in difference.0.iter_mut().zip(b.0) {
            *limb = _mm256_sub_epi64(*limb, b);
        }
        difference
    }
}

features! {
    /// Carries between limbs. What is negative of the highest must be made up for by the carries.
    #[inline]
    fn normalise(mut vector: Vector) -> Vector {
        let mask = _mm256_set1_epi64x(MASK as i64);
        for i in 0..LIMBS - 1 {
            vector.0[i + 1] = _mm256_add_epi64(vector.0[i + 1], _mm256_srli_epi64::<{ BITS as i32 }>(vector.0[i]));
            vector.0[i] = _mm256_and_si256(vector.0[i], mask);
        }
        vector
    }
}

features! {
    fn each_product(out: &mut [Vector], a: &[Vector], b: &[Vector]) {
        for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
            product(out, a, b);
        }
    }
}

features! {
    fn each_product_by(a: &mut [Vector], b: &[Vector]) {
        for (a, b) in a.iter_mut().zip(b) {
            multiply_by(a, b);
        }
    }
}

features! {
    fn each_square(a: &mut [Vector], count: usize) {
        for _ in 0..count {
            for a in a.iter_mut() {
                square_in_place(a);
            }
        }
    }
}

features! {
    fn each_product_by_difference(out: &mut [Vector], c: &[Vector], a: &[Vector], b: &[Vector]) {
        for ((out, c), (a, b)) in out.iter_mut().zip(c).zip(a.iter().zip(b)) {
            product_with_difference(out, c, a, b);
        }
    }
}

features! {
    fn each_product_by_tangent(s: &mut [Vector], x: &[Vector], numerators: &mut [Vector]) {
        for (numerator, x) in numerators.iter_mut().zip(x) {
            square_minus_one(numerator, x);
        }
        for (s, numerator) in s.iter_mut().zip(numerators) {
            multiply_by(s, numerator);
        }
    }
}

features! {
    fn each_product_and_sum(s: &mut [Vector], a: &[Vector], b: &[Vector]) {
        for (s, (a, b)) in s.iter_mut().zip(a.iter().zip(b)) {
            let tail = sum(&TAIL_VECTOR, s);
            product_plus(s, a, b, &tail);
        }
    }
}

features! {
    fn each_third(other: &mut [Vector], s: &[Vector], x: &[Vector]) {
        for (other, (s, x)) in other.iter_mut().zip(s.iter().zip(x)) {
            third(other, s, x);
        }
    }
}

features! {
    fn each_meeting(x: &mut [Vector], y: &mut [Vector], s: &[Vector], other: Option<&[Vector]>, chords: &mut [Vector]) {
        for (place, (x, (s, chord))) in x.iter_mut().zip(s.iter().zip(chords.iter_mut())).enumerate() {
            third_and_chord(x, s, other.map(|other| &other[place]), chord);
        }
        for (y, (s, chord)) in y.iter_mut().zip(s.iter().zip(chords)) {
            product_minus(y, chord, s);
        }
    }
}

features! {
    fn each_curve(out: &mut [Vector], x: &[Vector], b: &Vector) {
        let tail = sum(&TAIL_VECTOR, b);
        for (out, x) in out.iter_mut().zip(x) {
            let mut factor = zero();
            square(&mut factor, x);
            product_plus(out, &sum(&factor, &MINUS_THREE_VECTOR), x, &tail);
        }
    }
}

features! {
    /// The bytes of four lanes as a number each, with their sign.
    #[inline]
    fn widened(bytes: &[u8]) -> __m256i {
        let bytes: [u8; LANES] = bytes.try_into().expect("a byte a lane");
        _mm256_cvtepi8_epi64(_mm_cvtsi32_si128(i32::from_le_bytes(bytes)))
    }
}

features! {
    fn each_negation(a: &mut [Vector], lanes: &[u8]) {
        for (a, lanes) in a.iter_mut().zip(lanes.chunks_exact(LANES)) {
            let negative = normalise(limb_differences(&TWICE_P_VECTOR, a));
            let mask = widened(lanes);
            for (limb, negative) in a.0.iter_mut().zip(negative.0) {
                *limb = _mm256_blendv_epi8(*limb, negative, mask);
            }
        }
    }
}

features! {
    fn each_selection(out: &mut [Vector], entries: &[Packed], indices: &[u8]) {
        let count = entries.len() / out.len();
        for (out, (entries, indices)) in out.iter_mut().zip(entries.chunks_exact(count).zip(indices.chunks_exact(LANES))) {
            let index = widened(indices);
            let mut found = [_mm256_setzero_si256(); WORDS];
            for (number, entry) in (0..).zip(entries) {
                let mask = _mm256_cmpeq_epi64(index, _mm256_set1_epi64x(number));
                for (word, entry) in found.iter_mut().zip(entry.0) {
                    *word = _mm256_or_si256(*word, _mm256_and_si256(entry, mask));
                }
            }
            *out = unpacked(Packed(found));
        }
    }
}

/// The limbs of a number.
fn split(Element(x): Element) -> Limbs {
    [
        x[0] & MASK,
        x[0] >> 29 & MASK,
        (x[0] >> 58 | x[1] << 6) & MASK,
        x[1] >> 23 & MASK,
        (x[1] >> 52 | x[2] << 12) & MASK,
        x[2] >> 17 & MASK,
        (x[2] >> 46 | x[3] << 18) & MASK,
        x[3] >> 11 & MASK,
        x[3] >> 40,
    ]
}

/// A number below 2p from its limbs, carried.
fn join(w: Limbs) -> Element {
    let value = [
        w[0] | w[1] << 29 | w[2] << 58,
        w[2] >> 6 | w[3] << 23 | w[4] << 52,
        w[4] >> 12 | w[5] << 17 | w[6] << 46,
        w[6] >> 18 | w[7] << 11 | w[8] << 40,
    ];
    Element(reduce_once(value, w[8] >> 24))
}

/// Numbers by lane, not yet in Montgomery form.
fn gather(values: &[Element], vectors: &mut [Vector]) {
    let last = *values.last().expect("at least one number");
    let mut values = values.iter().copied();
    for vector in vectors.iter_mut() {
        let mut lanes = Lanes::default();
        for lane in 0..LANES {
            let number = split(values.next().unwrap_or(last));
            (0..LIMBS).for_each(|limb| lanes.0[limb][lane] = number[limb]);
        }
        *vector = Vector::from_lanes(lanes);
    }
}

features! {
    fn each_scaled(vectors: &mut [Vector], by: &Vector) {
        for vector in vectors {
            multiply_by(vector, by);
        }
    }
}

impl Kernel for Avx2 {
    type Vector = Vector;
    type Packed = Packed;
    type Table = Table;
    const LANES: usize = LANES;
    const WINDOW: usize = look_up::WINDOW;

    fn splat(value: Element) -> Vector {
        let mut vectors = [Vector::from_lanes(Lanes::default())];
        Self::load(&[value], &mut vectors);
        vectors[0]
    }

    fn load(values: &[Element], vectors: &mut [Vector]) {
        gather(values, vectors);
        unsafe { each_scaled(vectors, &R_SQUARED_VECTOR) }
    }

    fn store(vectors: &[Vector], values: &mut [Element]) {
        for (values, vector) in values.chunks_mut(LANES).zip(vectors) {
            let mut plain = [*vector];
            unsafe { each_scaled(&mut plain, &ONE_VECTOR) };
            let lanes = plain[0].into_lanes();
            for (lane, value) in values.iter_mut().enumerate() {
                *value = join(lanes.0.map(|limb| limb[lane]));
            }
        }
    }

    super::loops!();

    fn pack(vector: &Vector) -> Packed {
        unsafe { packed(vector) }
    }

    fn table(x: &[Element], y: &[Element]) -> Table {
        Table::new(x, y)
    }

    fn look_up(table: &Table, indices: &[u8], x: &mut [Vector], y: &mut [Vector]) {
        unsafe { look_up::look_up(table, indices, x, y) }
    }
}
