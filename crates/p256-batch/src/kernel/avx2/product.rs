//! Montgomery products of vectors, in assembly: the compiler, left to itself, spills the nine sums.
//!
//! A product is taken limb by limb of its first factor. Before each next limb, m times p is added so that the lowest sum's own limb
//! vanishes, and the sums move down by one. As -1/p = 1 modulo 2^29, m is that limb itself; and as p = 2^256 - 2^224 + 2^192 +
//! 2^96 - 1, m p is m 2^9 in the sum 3 above, m 2^18 in the sum 6 above, m (2^29 - 2^21) and m (2^24 - 1) in 7 and 8.
//!
//! What the formulas add and subtract before and after a product is done on the way, limb by limb, without a pass of its own.
//!
//! Registers: ymm0 to ymm8 sums, ymm9 a limb or m, ymm10 to ymm12 terms, ymm13 to ymm15 constants.

use super::{FOUR_P, LANES, LOOSE, MINUS_ONE, REDUCED, TAIL, Vector};
use std::arch::asm;

/// In the order of the offsets below, which are in registers of 32 bytes.
#[repr(C, align(32))]
struct Constants {
    /// 2^29 - 1, 2^29 - 2^21, 2^24 - 1, 2^29
    words: [[u64; LANES]; 4],
    four_p: Vector,
    tail: Vector,
    minus_one: Vector,
}
static CONSTANTS: Constants = Constants {
    words: [[(1 << 29) - 1; LANES], [(1 << 29) - (1 << 21); LANES], [(1 << 24) - 1; LANES], [1 << 29; LANES]],
    four_p: Vector::constant(&FOUR_P),
    tail: Vector::constant(&TAIL),
    minus_one: Vector::constant(&MINUS_ONE),
};
macro_rules! four_p {
    ($place:literal) => {
        concat!("[{constants} + 32 * (4 + ", $place, ")]")
    };
}
macro_rules! tail {
    ($place:literal) => {
        concat!("[{constants} + 32 * (13 + ", $place, ")]")
    };
}
macro_rules! minus_one {
    ($place:literal) => {
        concat!("[{constants} + 32 * (22 + ", $place, ")]")
    };
}

/// A limb of the first factor.
macro_rules! limb {
    ($place:literal) => {
        concat!("vmovdqa ymm9, [{a} + 32 * ", $place, "]\n")
    };
}

/// The same where the first factor is a - c + 4p.
macro_rules! limb_of_difference {
    ($place:literal) => {
        concat!(
            limb!($place),
            "vpaddq ymm9, ymm9, ",
            four_p!($place),
            "\n",
            "vpsubq ymm9, ymm9, [{c} + 32 * ",
            $place,
            "]\n",
        )
    };
}

/// A new sum.
macro_rules! first {
    ($sum:literal, $place:literal) => {
        concat!("vpmuludq ymm", $sum, ", ymm9, [{b} + 32 * ", $place, "]\n")
    };
}

/// Added to a sum.
macro_rules! more {
    ($($sum:literal, $place:literal);*) => {
        concat!($(
            "vpmuludq ymm10, ymm9, [{b} + 32 * ", $place, "]\n",
            "vpaddq ymm", $sum, ", ymm", $sum, ", ymm10\n",
        )*)
    };
}

macro_rules! square_of_limb {
    ($sum:literal) => {
        concat!(
            "vpmuludq ymm10, ymm9, ymm9\n",
            "vpaddq ymm9, ymm9, ymm9\n",
            "vpaddq ymm",
            $sum,
            ", ymm",
            $sum,
            ", ymm10\n",
        )
    };
}

/// Adds m p to the sums whose registers are given, of which the first is then free.
macro_rules! reduce {
    ($s0:literal $s1:literal $s2:literal $s3:literal $s4:literal $s5:literal $s6:literal $s7:literal $s8:literal) => {
        concat!(
            "vpand ymm9, ymm",
            $s0,
            ", ymm13\n",
            "vpsrlq ymm",
            $s0,
            ", ymm",
            $s0,
            ", 29\n",
            "vpmuludq ymm12, ymm9, ymm14\n",
            "vpaddq ymm",
            $s1,
            ", ymm",
            $s1,
            ", ymm",
            $s0,
            "\n",
            "vpsllq ymm10, ymm9, 9\n",
            "vpsllq ymm11, ymm9, 18\n",
            "vpaddq ymm",
            $s3,
            ", ymm",
            $s3,
            ", ymm10\n",
            "vpmuludq ymm10, ymm9, ymm15\n",
            "vpaddq ymm",
            $s6,
            ", ymm",
            $s6,
            ", ymm11\n",
            "vpaddq ymm",
            $s7,
            ", ymm",
            $s7,
            ", ymm12\n",
            "vpaddq ymm",
            $s8,
            ", ymm",
            $s8,
            ", ymm10\n",
        )
    };
}

macro_rules! row {
    ($limb:ident, $place:literal: $s0:literal $s1:literal $s2:literal $s3:literal $s4:literal $s5:literal $s6:literal $s7:literal $s8:literal) => {
        concat!(
            $limb!($place),
            more!($s0, 0; $s1, 1; $s2, 2; $s3, 3; $s4, 4; $s5, 5; $s6, 6; $s7, 7),
            first!($s8, 8),
            reduce!($s0 $s1 $s2 $s3 $s4 $s5 $s6 $s7 $s8)
        )
    };
}

/// The sums of a b, in ymm0 to ymm7.
macro_rules! rows {
    ($limb:ident) => {
        concat!(
            $limb!(0),
            first!(0, 0), first!(1, 1), first!(2, 2), first!(3, 3), first!(4, 4), first!(5, 5), first!(6, 6), first!(7, 7),
            first!(8, 8),
            reduce!(0 1 2 3 4 5 6 7 8),
            row!($limb, 1: 1 2 3 4 5 6 7 8 0),
            row!($limb, 2: 2 3 4 5 6 7 8 0 1),
            row!($limb, 3: 3 4 5 6 7 8 0 1 2),
            row!($limb, 4: 4 5 6 7 8 0 1 2 3),
            row!($limb, 5: 5 6 7 8 0 1 2 3 4),
            row!($limb, 6: 6 7 8 0 1 2 3 4 5),
            row!($limb, 7: 7 8 0 1 2 3 4 5 6),
            row!($limb, 8: 8 0 1 2 3 4 5 6 7)
        )
    };
}

/// The sums of a^2: each limb meets itself once and those above it twice. `b` is `a`.
macro_rules! square_rows {
    () => {
        concat!(
            limb!(0),
            "vpmuludq ymm0, ymm9, ymm9\n", "vpaddq ymm9, ymm9, ymm9\n",
            first!(1, 1), first!(2, 2), first!(3, 3), first!(4, 4), first!(5, 5), first!(6, 6), first!(7, 7), first!(8, 8),
            reduce!(0 1 2 3 4 5 6 7 8),
            limb!(1), square_of_limb!(2), more!(3, 2; 4, 3; 5, 4; 6, 5; 7, 6; 8, 7), first!(0, 8),
            reduce!(1 2 3 4 5 6 7 8 0),
            limb!(2), square_of_limb!(4), more!(5, 3; 6, 4; 7, 5; 8, 6; 0, 7), first!(1, 8),
            reduce!(2 3 4 5 6 7 8 0 1),
            limb!(3), square_of_limb!(6), more!(7, 4; 8, 5; 0, 6; 1, 7), first!(2, 8),
            reduce!(3 4 5 6 7 8 0 1 2),
            limb!(4), square_of_limb!(8), more!(0, 5; 1, 6; 2, 7), first!(3, 8),
            reduce!(4 5 6 7 8 0 1 2 3),
            limb!(5), square_of_limb!(1), more!(2, 6; 3, 7), first!(4, 8),
            reduce!(5 6 7 8 0 1 2 3 4),
            limb!(6), square_of_limb!(3), more!(4, 7), first!(5, 8),
            reduce!(6 7 8 0 1 2 3 4 5),
            limb!(7), square_of_limb!(5), first!(6, 8),
            reduce!(7 8 0 1 2 3 4 5 6),
            limb!(8), "vpmuludq ymm7, ymm9, ymm9\n",
            reduce!(8 0 1 2 3 4 5 6 7)
        )
    };
}

/// Adds the tail: to the sums in ymm0 to ymm7, and as the highest limb in ymm8.
macro_rules! add_tail {
    ($($place:literal)*) => {
        concat!(
            "vmovdqa ymm8, [{tail} + 256]\n",
            $("vpaddq ymm", $place, ", ymm", $place, ", [{tail} + 32 * ", $place, "]\n",)*
        )
    };
}

/// Adds p less the number 1 in Montgomery form.
macro_rules! add_minus_one {
    ($($place:literal)*) => {
        concat!(
            "vmovdqa ymm8, ", minus_one!(8), "\n",
            $("vpaddq ymm", $place, ", ymm", $place, ", ", minus_one!($place), "\n",)*
        )
    };
}

/// Adds TAIL - y.
macro_rules! subtract {
    ($($place:literal)*) => {
        concat!(
            "vmovdqa ymm8, ", tail!(8), "\n", "vpsubq ymm8, ymm8, [{y} + 256]\n",
            $(
                "vpaddq ymm", $place, ", ymm", $place, ", ", tail!($place), "\n",
                "vpsubq ymm", $place, ", ymm", $place, ", [{y} + 32 * ", $place, "]\n",
            )*
        )
    };
}

/// Adds TAIL - x - other.
macro_rules! subtract_both {
    ($($place:literal)*) => {
        concat!(
            "vmovdqa ymm8, ", tail!(8), "\n", "vpsubq ymm8, ymm8, [{x} + 256]\n", "vpsubq ymm8, ymm8, [{other} + 256]\n",
            $(
                "vpaddq ymm", $place, ", ymm", $place, ", ", tail!($place), "\n",
                "vpsubq ymm", $place, ", ymm", $place, ", [{x} + 32 * ", $place, "]\n",
                "vpsubq ymm", $place, ", ymm", $place, ", [{other} + 32 * ", $place, "]\n",
            )*
        )
    };
}

/// Carries into ymm8, the highest limb.
macro_rules! carry {
    ($($place:literal $next:literal)*) => {
        concat!($(
            "vpsrlq ymm10, ymm", $place, ", 29\n",
            "vpand ymm", $place, ", ymm", $place, ", ymm13\n",
            "vpaddq ymm", $next, ", ymm", $next, ", ymm10\n",
        )*)
    };
}
macro_rules! carry_all {
    () => {
        carry!(0 1 1 2 2 3 3 4 4 5 5 6 6 7 7 8)
    };
}

/// What is above 2^256 goes below, by 2^256 = 2^224 - 2^192 - 2^96 + 1. Limbs 3 and 6 first get a unit of limbs 4 and 7, which the
/// tail has less, so as to stay positive.
macro_rules! fold {
    () => {
        concat!(
            "vpsrlq ymm9, ymm8, 24\n",
            "vpand ymm8, ymm8, ymm15\n",
            "vmovdqa ymm14, [{constants} + 96]\n",
            "vpaddq ymm0, ymm0, ymm9\n",
            "vpsllq ymm10, ymm9, 9\n",
            "vpsllq ymm11, ymm9, 18\n",
            "vpsllq ymm12, ymm9, 21\n",
            "vpaddq ymm3, ymm3, ymm14\n",
            "vpaddq ymm6, ymm6, ymm14\n",
            "vpsubq ymm3, ymm3, ymm10\n",
            "vpsubq ymm6, ymm6, ymm11\n",
            "vpaddq ymm7, ymm7, ymm12\n",
        )
    };
}

/// Stores x - x3 + 4p, where x3 is in ymm0 to ymm8.
macro_rules! store_chord {
    ($($place:literal)*) => {
        concat!($(
            "vmovdqa ymm9, [{x} + 32 * ", $place, "]\n",
            "vpaddq ymm9, ymm9, ", four_p!($place), "\n",
            "vpsubq ymm9, ymm9, ymm", $place, "\n",
            "vmovdqa [{chord} + 32 * ", $place, "], ymm9\n",
        )*)
    };
}

macro_rules! store {
    ($($place:literal)*) => {
        concat!($("vmovdqa [{out} + 32 * ", $place, "], ymm", $place, "\n",)*)
    };
}

/// A function of pointers, out of line so that the processor keeps one decoded copy. `out` is written last.
macro_rules! function {
    ($name:ident($($pointer:ident: $kind:ty),*), $($part:expr),*) => {
        /// # Safety
        /// Every pointer must point to a vector, and those to `mut` to one that may be written. They may be the same.
        #[target_feature(enable = "avx2")]
        #[inline(never)]
        unsafe fn $name(out: *mut Vector, $($pointer: $kind),*) {
            // SAFETY: it reads and writes LIMBS aligned registers behind each pointer, and reads CONSTANTS.
            unsafe {
                asm!(
                    "vmovdqa ymm13, [{constants}]",
                    "vmovdqa ymm14, [{constants} + 32]",
                    "vmovdqa ymm15, [{constants} + 64]",
                    $($part,)*
                    store!(0 1 2 3 4 5 6 7 8),
                    $($pointer = in(reg) $pointer,)*
                    out = in(reg) out,
                    constants = in(reg) &raw const CONSTANTS,
                    out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _, out("ymm6") _,
                    out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _, out("ymm12") _,
                    out("ymm13") _, out("ymm14") _, out("ymm15") _,
                    options(nostack),
                );
            }
        }
    };
}

macro_rules! no_tail {
    () => {
        "vpxor ymm8, ymm8, ymm8\n"
    };
}

type Input = *const Vector;

function!(product_of(a: Input, b: Input), rows!(limb), no_tail!(), carry_all!());
function!(product_of_difference(a: Input, c: Input, b: Input), rows!(limb_of_difference), no_tail!(), carry_all!());
function!(
    product_and_tail(a: Input, b: Input, tail: Input),
    rows!(limb),
    add_tail!(0 1 2 3 4 5 6 7),
    carry_all!(),
    fold!()
);
function!(
    product_less(a: Input, b: Input, y: Input),
    rows!(limb),
    subtract!(0 1 2 3 4 5 6 7),
    carry_all!(),
    fold!()
);
function!(square_of(a: Input, b: Input), square_rows!(), no_tail!(), carry_all!());
function!(square_less_one(a: Input, b: Input), square_rows!(), add_minus_one!(0 1 2 3 4 5 6 7), carry_all!());
function!(
    square_less_both(a: Input, b: Input, x: Input, other: Input),
    square_rows!(),
    subtract_both!(0 1 2 3 4 5 6 7),
    carry_all!(),
    fold!()
);
function!(
    square_less_both_and_chord(a: Input, b: Input, x: Input, other: Input, chord: *mut Vector),
    square_rows!(),
    subtract_both!(0 1 2 3 4 5 6 7),
    carry_all!(),
    fold!(),
    store_chord!(0 1 2 3 4 5 6 7 8)
);

super::features! {
    /// out = a b, for a loose and b reduced.
    #[inline]
    pub(super) fn product(out: &mut Vector, a: &Vector, b: &Vector) {
        a.check(&LOOSE);
        b.check(&REDUCED);
        // SAFETY: the references are valid.
        unsafe { product_of(out, a, b) }
        out.check(&REDUCED);
    }
}

super::features! {
    /// b = a b, for a loose and b reduced.
    #[inline]
    pub(super) fn multiply_by(b: &mut Vector, a: &Vector) {
        a.check(&LOOSE);
        b.check(&REDUCED);
        // SAFETY: the references are valid.
        unsafe { product_of(b, a, b) }
        b.check(&REDUCED);
    }
}

super::features! {
    /// out = (a - b) c, all reduced.
    #[inline]
    pub(super) fn product_with_difference(out: &mut Vector, c: &Vector, a: &Vector, b: &Vector) {
        [a, b, c].into_iter().for_each(|number| number.check(&REDUCED));
        // SAFETY: the references are valid.
        unsafe { product_of_difference(out, a, b, c) }
        out.check(&REDUCED);
    }
}

super::features! {
    /// out = a b + tail, reduced, for a loose, b reduced and a tail made from TAIL, below 14p.
    #[inline]
    pub(super) fn product_plus(out: &mut Vector, a: &Vector, b: &Vector, tail: &Vector) {
        a.check(&LOOSE);
        b.check(&REDUCED);
        tail.check(&TAIL.map(|limb| limb + (1 << 31)));
        // SAFETY: the references are valid.
        unsafe { product_and_tail(out, a, b, tail) }
        out.check(&REDUCED);
    }
}

super::features! {
    /// y = a b - y, for a loose and the others reduced.
    #[inline]
    pub(super) fn product_minus(y: &mut Vector, a: &Vector, b: &Vector) {
        a.check(&LOOSE);
        [b, y].into_iter().for_each(|number| number.check(&REDUCED));
        // SAFETY: the references are valid.
        unsafe { product_less(y, a, b, y) }
        y.check(&REDUCED);
    }
}

super::features! {
    /// out = a^2, for a reduced.
    #[inline]
    pub(super) fn square(out: &mut Vector, a: &Vector) {
        a.check(&REDUCED);
        // SAFETY: the references are valid.
        unsafe { square_of(out, a, a) }
        out.check(&REDUCED);
    }
}

super::features! {
    #[inline]
    pub(super) fn square_in_place(a: &mut Vector) {
        a.check(&REDUCED);
        // SAFETY: the reference is valid.
        unsafe { square_of(a, a, a) }
        a.check(&REDUCED);
    }
}

super::features! {
    /// out = a^2 - 1, at most 3p, loose, for a reduced.
    #[inline]
    pub(super) fn square_minus_one(out: &mut Vector, a: &Vector) {
        a.check(&REDUCED);
        // SAFETY: the references are valid.
        unsafe { square_less_one(out, a, a) }
        out.check(&LOOSE);
    }
}

super::features! {
    /// other = s^2 - other - x, all reduced.
    #[inline]
    pub(super) fn third(other: &mut Vector, s: &Vector, x: &Vector) {
        [&*other, s, x].into_iter().for_each(|number| number.check(&REDUCED));
        // SAFETY: the references are valid.
        unsafe { square_less_both(other, s, s, x, other) }
        other.check(&REDUCED);
    }
}

super::features! {
    /// x = x3 = s^2 - x - other, and chord = x - x3, loose. Without `other` it is x.
    #[inline]
    pub(super) fn third_and_chord(x: &mut Vector, s: &Vector, other: Option<&Vector>, chord: &mut Vector) {
        [&*x, s, other.unwrap_or(x)].into_iter().for_each(|number| number.check(&REDUCED));
        let x: *mut Vector = x;
        let other: *const Vector = other.map_or(x, |other| other);
        // SAFETY: the references are valid, and `other` may be `x`.
        unsafe { square_less_both_and_chord(x, s, s, x, other, chord) }
        chord.check(&LOOSE);
        // SAFETY: as above.
        unsafe { &*x }.check(&REDUCED);
    }
}
