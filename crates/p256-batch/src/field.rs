//! Numbers modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1: four 64-bit limbs, least significant first, constant time.

use crate::inverse::inverse;
use zeroize::DefaultIsZeroes;

/// An integer below p.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Element(pub(crate) [u64; 4]);

impl DefaultIsZeroes for Element {}

pub(crate) const P: [u64; 4] = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];
/// 2^512 mod p: a product with it in the Montgomery form with R = 2^256 takes a number into that form.
const R_SQUARED: [u64; 4] = [3, 0xffff_fffb_ffff_ffff, u64::MAX - 1, 0x4_ffff_fffd];
/// 2^768 mod p: a product with it takes the inverse of x 2^256 to that of x, in Montgomery form.
const R_CUBED: [u64; 4] = [0xffff_fffd_0000_000a, 0xffff_ffed_ffff_fff7, 0x5_ffff_fffc, 0x18_0000_0001];
/// 1 in Montgomery form: 2^256 mod p.
const ONE: [u64; 4] = [1, 0xffff_ffff_0000_0000, u64::MAX, 0xffff_fffe];

impl Element {
    pub(crate) const ZERO: Self = Self([0; 4]);

    pub(crate) const fn small(value: u64) -> Self {
        Self([value, 0, 0, 0])
    }

    /// Reads 32 big-endian bytes; `None` for p and above.
    pub(crate) fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        let limbs = limbs_from_be_bytes(bytes);
        let (_, borrow) = subtract(&limbs, &P);
        (borrow == 1).then_some(Self(limbs))
    }

    pub(crate) fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (target, limb) in bytes.chunks_exact_mut(8).zip(self.0.iter().rev()) {
            target.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    pub(crate) fn is_odd(self) -> bool {
        self.0[0] & 1 == 1
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0.iter().fold(0, |any, limb| any | limb) == 0
    }

    /// p minus this, 0 for 0.
    pub(crate) fn opposite(self) -> Self {
        let (difference, _) = subtract(&P, &self.0);
        Self(reduce_once(difference, 0))
    }

    /// `new` where the mask is all ones, this where it is zero.
    pub(crate) fn or_where(self, mask: u64, new: Self) -> Self {
        let mut chosen = self;
        chosen.0.iter_mut().zip(new.0).for_each(|(old, new)| *old = (*old & !mask) | (new & mask));
        chosen
    }

    pub(crate) fn to_montgomery(self) -> Montgomery {
        Montgomery(multiply(&self.0, &R_SQUARED))
    }
}

pub(crate) fn limbs_from_be_bytes(bytes: &[u8]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, part) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_be_bytes(part.try_into().expect("eight bytes"));
    }
    limbs
}

/// A number x as x 2^256 mod p, below p.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Montgomery(pub(crate) [u64; 4]);

impl DefaultIsZeroes for Montgomery {}

impl Montgomery {
    pub(crate) const ONE: Self = Self(ONE);

    pub(crate) fn to_element(self) -> Element {
        Element(multiply(&self.0, &[1, 0, 0, 0]))
    }

    #[inline]
    pub(crate) fn times(self, other: Self) -> Self {
        Self(multiply(&self.0, &other.0))
    }

    #[inline]
    pub(crate) fn plus(self, other: Self) -> Self {
        let (sum, carry) = add(&self.0, &other.0);
        Self(reduce_once(sum, carry))
    }

    #[inline]
    pub(crate) fn minus(self, other: Self) -> Self {
        let (difference, borrow) = subtract(&self.0, &other.0);
        let mask = borrow.wrapping_neg();
        Self(add(&difference, &P.map(|limb| limb & mask)).0)
    }

    /// 1/x; 0 for 0.
    pub(crate) fn inverse(self) -> Self {
        Self(inverse(&self.0)).times(Self(R_CUBED))
    }
}

#[inline]
fn add(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u64) {
    let mut sum = [0; 4];
    let mut carry = 0;
    for (target, (x, y)) in sum.iter_mut().zip(a.iter().zip(b)) {
        let wide = u128::from(*x) + u128::from(*y) + u128::from(carry);
        (*target, carry) = (wide as u64, (wide >> 64) as u64);
    }
    (sum, carry)
}

#[inline]
pub(crate) fn subtract(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u64) {
    let mut difference = [0; 4];
    let mut borrow = 0;
    for (target, (x, y)) in difference.iter_mut().zip(a.iter().zip(b)) {
        let wide = u128::from(*x).wrapping_sub(u128::from(*y)).wrapping_sub(u128::from(borrow));
        (*target, borrow) = (wide as u64, (wide >> 64) as u64 & 1);
    }
    (difference, borrow)
}

/// Subtracts p once from a number below 2p, given with its carry out of 256 bits.
#[inline]
pub(crate) fn reduce_once(value: [u64; 4], carry: u64) -> [u64; 4] {
    let (reduced, borrow) = subtract(&value, &P);
    let keep = (carry.wrapping_sub(borrow) >> 63).wrapping_neg(); // all ones if the value was below p
    let mut selected = [0; 4];
    for (target, (old, new)) in selected.iter_mut().zip(value.iter().zip(&reduced)) {
        *target = (old & keep) | (new & !keep);
    }
    selected
}

/// a b / 2^256 mod p. As p = -1 mod 2^64, a step of the reduction adds the lowest limb times p, whose limbs are powers of two
/// and one 64-bit number.
#[inline]
fn multiply(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut t = [0u64; 8];
    for (i, x) in a.iter().enumerate() {
        let mut carry = 0;
        for (j, y) in b.iter().enumerate() {
            let wide = u128::from(*x) * u128::from(*y) + u128::from(t[i + j]) + u128::from(carry);
            (t[i + j], carry) = (wide as u64, (wide >> 64) as u64);
        }
        t[i + 4] = carry;
    }
    let mut extra = 0u64;
    for i in 0..4 {
        let m = t[i];
        let high = u128::from(m) * u128::from(P[3]);
        let terms = [m << 32, m >> 32, high as u64, (high >> 64) as u64];
        let mut carry = 0;
        for (j, term) in terms.into_iter().enumerate() {
            let wide = u128::from(t[i + 1 + j]) + u128::from(term) + u128::from(carry);
            (t[i + 1 + j], carry) = (wide as u64, (wide >> 64) as u64);
        }
        for limb in t.iter_mut().skip(i + 5) {
            let wide = u128::from(*limb) + u128::from(carry);
            (*limb, carry) = (wide as u64, (wide >> 64) as u64);
        }
        extra += carry;
    }
    reduce_once([t[4], t[5], t[6], t[7]], extra)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_has_no_inverse_and_gives_zero() {
        assert!(Montgomery::default().inverse().to_element().is_zero());
    }

    #[test]
    fn the_constants_are_powers_of_two() {
        let double = |x: Montgomery| x.plus(x);
        let power = |exponent: usize| (0..exponent).fold(Montgomery([1, 0, 0, 0]), |x, _| double(x)).0;
        assert_eq!(power(256), ONE);
        assert_eq!(power(512), R_SQUARED);
        assert_eq!(power(768), R_CUBED);
    }

    proptest! {
        #[test]
        fn a_number_times_its_inverse_is_one(limbs: [u64; 4], few in 0usize..5, minus: bool) {
            let mut limbs = limbs;
            limbs.iter_mut().skip(few).for_each(|limb| *limb = 0);
            limbs[0] |= 1;
            let value = Element(reduce_once(limbs, 0));
            let value = if minus { value.opposite() } else { value }.to_montgomery();
            prop_assert!(value.times(value.inverse()) == Montgomery::ONE);
        }
    }
}
