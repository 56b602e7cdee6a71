//! Montgomery products of vectors, in assembly: the compiler, left to itself, spills the nine sums.
//!
//! A product is taken limb by limb of its first factor. Before each next limb, m times p is added so that the lowest sum's own limb
//! vanishes, and the sums move down by one. As -1/p = 1 modulo 2^29, m is that limb itself; and as p = 2^256 - 2^224 + 2^192 +
//! 2^96 - 1, m p is m 2^9 in the sum 3 above, m 2^18 in the sum 6 above, m (2^29 - 2^21) and m (2^24 - 1) in 7 and 8.
//!
//! Registers: ymm0 to ymm8 sums, ymm9 a limb or m, ymm10 to ymm12 terms, ymm13 to ymm15 constants.

use super::{LANES, LOOSE, REDUCED, TAIL, Vector};
use std::arch::asm;

/// 2^29 - 1, 2^29 - 2^21, 2^24 - 1, 2^29
#[repr(C, align(32))]
struct Constants([[u64; LANES]; 4]);
static CONSTANTS: Constants =
    Constants([[(1 << 29) - 1; LANES], [(1 << 29) - (1 << 21); LANES], [(1 << 24) - 1; LANES], [1 << 29; LANES]]);

macro_rules! limb {
    ($place:literal) => {
        concat!("vmovdqa ymm9, [{a} + 32 * ", $place, "]\n")
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
    ($place:literal: $s0:literal $s1:literal $s2:literal $s3:literal $s4:literal $s5:literal $s6:literal $s7:literal $s8:literal) => {
        concat!(
            limb!($place),
            more!($s0, 0; $s1, 1; $s2, 2; $s3, 3; $s4, 4; $s5, 5; $s6, 6; $s7, 7),
            first!($s8, 8),
            reduce!($s0 $s1 $s2 $s3 $s4 $s5 $s6 $s7 $s8)
        )
    };
}

/// The sums of a b, in ymm0 to ymm7.
macro_rules! rows {
    () => {
        concat!(
            limb!(0),
            first!(0, 0), first!(1, 1), first!(2, 2), first!(3, 3), first!(4, 4), first!(5, 5), first!(6, 6), first!(7, 7),
            first!(8, 8),
            reduce!(0 1 2 3 4 5 6 7 8),
            row!(1: 1 2 3 4 5 6 7 8 0),
            row!(2: 2 3 4 5 6 7 8 0 1),
            row!(3: 3 4 5 6 7 8 0 1 2),
            row!(4: 4 5 6 7 8 0 1 2 3),
            row!(5: 5 6 7 8 0 1 2 3 4),
            row!(6: 6 7 8 0 1 2 3 4 5),
            row!(7: 7 8 0 1 2 3 4 5 6),
            row!(8: 8 0 1 2 3 4 5 6 7)
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

macro_rules! add_tail {
    ($($place:literal)*) => {
        concat!($("vpaddq ymm", $place, ", ymm", $place, ", [{tail} + 32 * ", $place, "]\n",)*)
    };
}

/// Carries; the highest limb comes to ymm8.
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
    ($highest:literal) => {
        concat!($highest, carry!(0 1 1 2 2 3 3 4 4 5 5 6 6 7 7 8))
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

macro_rules! store {
    ($($place:literal)*) => {
        concat!($("vmovdqa [{out} + 32 * ", $place, "], ymm", $place, "\n",)*)
    };
}

/// A function of pointers, out of line so that the processor keeps one decoded copy. `out` is written last.
macro_rules! function {
    ($name:ident($($pointer:ident),*), $($part:expr),*) => {
        /// # Safety
        /// Every pointer must point to a vector, `out` to one that may be written. They may be the same.
        #[target_feature(enable = "avx2")]
        #[inline(never)]
        unsafe fn $name(out: *mut Vector, $($pointer: *const Vector),*) {
            // SAFETY: it reads LIMBS aligned registers behind each pointer and CONSTANTS, and writes LIMBS behind `out`.
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

function!(product_of(a, b), rows!(), carry_all!("vpxor ymm8, ymm8, ymm8\n"));
function!(square_of(a, b), square_rows!(), carry_all!("vpxor ymm8, ymm8, ymm8\n"));
function!(
    product_and_tail(a, b, tail),
    rows!(),
    add_tail!(0 1 2 3 4 5 6 7),
    carry_all!("vmovdqa ymm8, [{tail} + 256]\n"),
    fold!()
);
function!(
    square_and_tail(a, b, tail),
    square_rows!(),
    add_tail!(0 1 2 3 4 5 6 7),
    carry_all!("vmovdqa ymm8, [{tail} + 256]\n"),
    fold!()
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
    /// out = a^2 + tail, reduced, for a reduced and a tail as above.
    #[inline]
    pub(super) fn square_plus(out: &mut Vector, a: &Vector, tail: &Vector) {
        a.check(&REDUCED);
        tail.check(&TAIL.map(|limb| limb + (1 << 31)));
        // SAFETY: the references are valid.
        unsafe { square_and_tail(out, a, a, tail) }
        out.check(&REDUCED);
    }
}
