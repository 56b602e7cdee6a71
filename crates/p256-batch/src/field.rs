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

    /// 0 only for equal numbers; `==` may stop at the first limb that differs.
    pub(crate) fn difference(self, other: Self) -> u64 {
        self.0.iter().zip(other.0).fold(0, |any, (a, b)| any | (a ^ b))
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
    pub(crate) fn squared(self) -> Self {
        Self(square(&self.0))
    }

    #[inline]
    pub(crate) fn plus(self, other: Self) -> Self {
        let (sum, carry) = add(&self.0, &other.0);
        Self(reduce_once(sum, carry))
    }

    #[inline]
    pub(crate) fn minus(self, other: Self) -> Self {
        let (difference, borrow) = subtract(&self.0, &other.0);
        Self(add_p_where(borrow.wrapping_neg(), &difference))
    }

    /// 1/x; 0 for 0.
    pub(crate) fn inverse(self) -> Self {
        Self(inverse(&self.0)).times(Self(R_CUBED))
    }
}

/// a + b + carry, in the form that compilers make one instruction of.
#[inline(always)]
fn add_with_carry(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(u64::from(carry));
    (sum, first | second)
}

/// a - b - borrow.
#[inline(always)]
fn subtract_with_borrow(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(u64::from(borrow));
    (difference, first | second)
}

#[inline(always)]
fn add(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u64) {
    let mut sum = [0; 4];
    let mut carry = false;
    for (target, (x, y)) in sum.iter_mut().zip(a.iter().zip(b)) {
        (*target, carry) = add_with_carry(*x, *y, carry);
    }
    (sum, u64::from(carry))
}

#[inline(always)]
pub(crate) fn subtract(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u64) {
    let mut difference = [0; 4];
    let mut borrow = false;
    for (target, (x, y)) in difference.iter_mut().zip(a.iter().zip(b)) {
        (*target, borrow) = subtract_with_borrow(*x, *y, borrow);
    }
    (difference, u64::from(borrow))
}

/// Adds p where the mask is all ones.
#[inline(always)]
fn add_p_where(mask: u64, value: &[u64; 4]) -> [u64; 4] {
    add(value, &P.map(|limb| limb & mask)).0
}

/// Subtracts p once from a number below 2p, given with its carry out of 256 bits.
#[inline(always)]
pub(crate) fn reduce_once(value: [u64; 4], carry: u64) -> [u64; 4] {
    let (reduced, borrow) = subtract(&value, &P);
    add_p_where(carry.wrapping_sub(borrow), &reduced) // all ones if the value was below p
}

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// a b / 2^256 mod p.
#[inline(always)]
fn multiply(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut t = [0u64; 8];
    for (i, x) in a.iter().enumerate() {
        let mut carry = 0;
        for (j, y) in b.iter().enumerate() {
            let sum = wide(*x, *y) + u128::from(t[i + j]) + u128::from(carry);
            (t[i + j], carry) = (sum as u64, (sum >> 64) as u64);
        }
        t[i + 4] = carry;
    }
    reduce(&t)
}

/// a^2 / 2^256 mod p: the products of different limbs are needed twice.
#[inline(always)]
fn square(a: &[u64; 4]) -> [u64; 4] {
    let mut t = [0u64; 8];
    for i in 0..3 {
        let mut carry = 0;
        for j in i + 1..4 {
            let sum = wide(a[i], a[j]) + u128::from(t[i + j]) + u128::from(carry);
            (t[i + j], carry) = (sum as u64, (sum >> 64) as u64);
        }
        t[i + 4] = carry;
    }
    for i in (1..8).rev() {
        t[i] = t[i] << 1 | t[i - 1] >> 63;
    }
    let mut carry = false;
    for (i, x) in a.iter().enumerate() {
        let own = wide(*x, *x);
        (t[2 * i], carry) = add_with_carry(t[2 * i], own as u64, carry);
        (t[2 * i + 1], carry) = add_with_carry(t[2 * i + 1], (own >> 64) as u64, carry);
    }
    reduce(&t)
}

/// t / 2^256 mod p for t below p^2. As p = -1 mod 2^64, a step adds the lowest limb times p, whose limbs are powers of two and one
/// 64-bit number. Only the lower half is needed for that.
#[inline(always)]
fn reduce(t: &[u64; 8]) -> [u64; 4] {
    let [mut low, mut high] = [[t[0], t[1], t[2], t[3]], [t[4], t[5], t[6], t[7]]];
    for _ in 0..4 {
        let m = low[0];
        let top = wide(m, P[3]);
        let (l0, carry) = low[1].overflowing_add(m << 32);
        let (l1, carry) = add_with_carry(low[2], m >> 32, carry);
        let (l2, carry) = add_with_carry(low[3], top as u64, carry);
        low = [l0, l1, l2, (top >> 64) as u64 + u64::from(carry)];
    }
    let carry;
    (high, carry) = add(&high, &low);
    reduce_once(high, carry)
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

    /// Many limbs that are zero or all ones: here of the Montgomery form itself.
    fn number() -> impl Strategy<Value = [u64; 4]> {
        let limb = prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()];
        prop::array::uniform4(limb).prop_map(|limbs| reduce_once(limbs, 0))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn a_number_times_its_inverse_is_one(value in number()) {
            prop_assume!(value != [0; 4]);
            let value = Montgomery(value);
            prop_assert_eq!(value.times(value.inverse()).to_element(), Element::small(1));
        }

        #[test]
        fn a_square_is_a_product(value in number()) {
            prop_assert_eq!(square(&value), multiply(&value, &value));
        }

        #[test]
        fn a_product_is_a_sum_of_doubles(a in number(), b in number()) {
            let bits = (0..256).rev().map(|bit| b[bit / 64] >> (bit % 64) & 1 == 1);
            let sum = bits.fold(Montgomery::default(), |sum, bit| {
                let double = sum.plus(sum);
                if bit { double.plus(Montgomery(a)) } else { double }
            });
            prop_assert_eq!(multiply(&multiply(&a, &R_SQUARED), &b), sum.0);
        }
    }
}
