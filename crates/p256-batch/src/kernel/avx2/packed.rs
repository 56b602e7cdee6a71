//! Numbers without room between their bits, as tables keep them: less than half as long as limbs, so that less has to be read.

use super::{LIMBS, MASK, P, Vector, normalise};
use std::arch::x86_64::*;
use zeroize::Zeroize;

/// 64-bit words of a number.
pub(super) const WORDS: usize = 4;

/// The words of a number below 2^256 in each lane.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct Packed(pub(super) [__m256i; WORDS]);

impl Zeroize for Packed {
    fn zeroize(&mut self) {
        // SAFETY: `self` is a valid, aligned place, and zero is a valid value. A volatile write is not left out.
        unsafe { std::ptr::write_volatile(self, std::mem::zeroed()) };
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }
}

super::features! {
    /// A reduced number, from which p is taken if it is 2^256 or more: then it is below.
    pub(super) fn packed(vector: &Vector) -> Packed {
        let Vector(mut w) = normalise(*vector);
        let (zero, mask) = (_mm256_setzero_si256(), _mm256_set1_epi64x(MASK as i64));
        let above = _mm256_sub_epi64(zero, _mm256_srli_epi64::<24>(w[LIMBS - 1]));
        let mut borrow = zero;
        for (limb, p) in w.iter_mut().zip(P) {
            let p = _mm256_and_si256(above, _mm256_set1_epi64x(p as i64));
            let difference = _mm256_add_epi64(_mm256_sub_epi64(*limb, p), borrow);
            borrow = _mm256_cmpgt_epi64(zero, difference);
            *limb = _mm256_and_si256(difference, mask);
        }
        Packed([
            _mm256_or_si256(_mm256_or_si256(w[0], _mm256_slli_epi64::<29>(w[1])), _mm256_slli_epi64::<58>(w[2])),
            _mm256_or_si256(
                _mm256_or_si256(_mm256_srli_epi64::<6>(w[2]), _mm256_slli_epi64::<23>(w[3])),
                _mm256_slli_epi64::<52>(w[4]),
            ),
            _mm256_or_si256(
                _mm256_or_si256(_mm256_srli_epi64::<12>(w[4]), _mm256_slli_epi64::<17>(w[5])),
                _mm256_slli_epi64::<46>(w[6]),
            ),
            _mm256_or_si256(
                _mm256_or_si256(_mm256_srli_epi64::<18>(w[6]), _mm256_slli_epi64::<11>(w[7])),
                _mm256_slli_epi64::<40>(w[8]),
            ),
        ])
    }
}

super::features! {
    /// The limbs of four lanes from their words.
    #[inline]
    pub(super) fn unpacked(Packed(w): Packed) -> Vector {
        let mut limbs = [_mm256_setzero_si256(); LIMBS];
        let mask = _mm256_set1_epi64x(MASK as i64);
        limbs[0] = w[0];
        limbs[1] = _mm256_srli_epi64::<29>(w[0]);
        limbs[2] = _mm256_or_si256(_mm256_srli_epi64::<58>(w[0]), _mm256_slli_epi64::<6>(w[1]));
        limbs[3] = _mm256_srli_epi64::<23>(w[1]);
        limbs[4] = _mm256_or_si256(_mm256_srli_epi64::<52>(w[1]), _mm256_slli_epi64::<12>(w[2]));
        limbs[5] = _mm256_srli_epi64::<17>(w[2]);
        limbs[6] = _mm256_or_si256(_mm256_srli_epi64::<46>(w[2]), _mm256_slli_epi64::<18>(w[3]));
        limbs[7] = _mm256_srli_epi64::<11>(w[3]);
        limbs[8] = _mm256_srli_epi64::<40>(w[3]);
        for limb in &mut limbs {
            *limb = _mm256_and_si256(*limb, mask); // not by `map`: what it calls is not inlined here
        }
        Vector(limbs)
    }
}
