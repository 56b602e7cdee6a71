//! Scalars as digits that are all odd, so that no digit is zero and each costs the same; lane by lane, constant time.
//!
//! An odd k below 2^256 is the sum of (2 v_i - (2^w - 1)) 2^(w i), where the v_i are the w-bit digits of (k + 2^256 - 1) / 2. An even k is
//! replaced by n - k, and every sign turned.

use crate::comb::{TEETH, TEETH_APART};
use crate::field::{limbs_from_be_bytes, subtract};
use p256::Scalar;
use p256::elliptic_curve::ff::PrimeField;
use zeroize::{Zeroize, Zeroizing};

/// The order of the group.
const ORDER: [u64; 4] = [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, u64::MAX, 0xffff_ffff_0000_0000];

/// For each digit, least significant first, and each lane: which odd multiple (2 index + 1), and whether its opposite.
pub(crate) struct Digits {
    count: usize,
    lanes: usize,
    indices: Zeroizing<Vec<u8>>,
    signs: Zeroizing<Vec<u8>>,
}

impl Digits {
    fn new(count: usize, lanes: usize) -> Self {
        let zeros = || Zeroizing::new(vec![0; count * lanes]);
        Self { count, lanes, indices: zeros(), signs: zeros() }
    }

    /// A scalar a lane; the lanes that remain get the last.
    pub(crate) fn of_each(scalars: &[Scalar], window: usize, lanes: usize) -> Self {
        let mut digits = Self::new(256usize.div_ceil(window), lanes);
        let last = scalars.last().expect("at least one scalar");
        for (lane, scalar) in (0..lanes).zip(scalars.iter().chain(std::iter::repeat(last))) {
            let odd = Odd::new(scalar);
            for position in 0..digits.count {
                let (index, sign) = odd.digit(position * window, window);
                digits.indices[position * lanes + lane] = index;
                digits.signs[position * lanes + lane] = sign;
            }
        }
        digits
    }

    /// The same scalar in every lane.
    pub(crate) fn of_one(scalar: &Scalar, window: usize, lanes: usize) -> Self {
        let mut digits = Self::new(256usize.div_ceil(window), lanes);
        let odd = Odd::new(scalar);
        let places = digits.indices.chunks_exact_mut(lanes).zip(digits.signs.chunks_exact_mut(lanes));
        for (position, (indices, signs)) in places.enumerate() {
            let (index, sign) = odd.digit(position * window, window);
            indices.fill(index);
            signs.fill(sign);
        }
        digits
    }

    /// A scalar a lane, as columns of a comb (`crate::comb`): TEETH bits, TEETH_APART from each other, to a digit.
    pub(crate) fn of_comb<'a>(scalars: impl Iterator<Item = &'a Scalar>, lanes: usize) -> Self {
        let mut digits = Self::new(TEETH_APART, lanes);
        let mut scalars = scalars.peekable();
        let mut odd = Odd::new(scalars.peek().expect("at least one scalar"));
        for lane in 0..lanes {
            if let Some(scalar) = scalars.next() {
                odd = Odd::new(scalar);
            }
            for column in 0..TEETH_APART {
                let (index, sign) = odd.column(column);
                digits.indices[column * lanes + lane] = index;
                digits.signs[column * lanes + lane] = sign;
            }
        }
        digits
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Digit `position` of every lane.
    pub(crate) fn indices(&self, position: usize) -> &[u8] {
        &self.indices[position * self.lanes..][..self.lanes]
    }

    /// 0xff where the digit is negative, else 0.
    pub(crate) fn signs(&self, position: usize) -> &[u8] {
        &self.signs[position * self.lanes..][..self.lanes]
    }
}

/// (k - 1) / 2 for an odd k, and all ones if k stands for n - k.
struct Odd {
    bits: [u64; 5],
    flipped: u8,
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.bits.zeroize();
    }
}

impl Odd {
    fn new(scalar: &Scalar) -> Self {
        let bytes = Zeroizing::new(<[u8; 32]>::from(scalar.to_repr()));
        let k = Zeroizing::new(limbs_from_be_bytes(bytes.as_slice()));
        let (opposite, _) = subtract(&ORDER, &k);
        let even = std::hint::black_box((k[0] & 1).wrapping_sub(1)); // all ones if k is even
        let mut bits = [0; 5];
        for ((bits, k), opposite) in bits.iter_mut().zip(k.iter()).zip(&opposite) {
            *bits = (k & !even) | (opposite & even);
        }
        for i in 0..4 {
            bits[i] = bits[i] >> 1 | bits[i + 1] << 63;
        }
        Self { bits, flipped: even as u8 }
    }

    /// Of (k + 2^256 - 1) / 2, whose bit 255 is set.
    fn window(&self, first: usize, width: usize) -> u64 {
        let (limb, shift) = (first / 64, first % 64);
        let bits = |limb: usize| self.bits[limb] | u64::from(limb == 3) << 63;
        let wide = u128::from(bits(limb)) | u128::from(bits(limb + 1)) << 64;
        (wide >> shift) as u64 & ((1 << width) - 1)
    }

    /// Of (k + 2^260 - 1) / 2, whose bit 259 is set: the sign of the highest tooth, and of the others whether they have it.
    fn column(&self, column: usize) -> (u8, u8) {
        let bit = |tooth: usize| {
            let place = column + tooth * TEETH_APART;
            (self.bits[place / 64] >> (place % 64)) as u8 & 1 | u8::from(place == TEETH * TEETH_APART - 1)
        };
        let negative = bit(TEETH - 1).wrapping_sub(1); // all ones if the highest bit is clear
        let others = (0..TEETH - 1).fold(0, |bits, tooth| bits | bit(tooth) << tooth);
        ((others ^ negative) & ((1 << (TEETH - 1)) - 1), negative ^ self.flipped)
    }

    fn digit(&self, first: usize, window: usize) -> (u8, u8) {
        let width = window.min(256 - first);
        let value = self.window(first, width);
        let negative = (value >> (width - 1)).wrapping_sub(1); // all ones if the top bit is clear
        let index = (value ^ negative) & ((1 << (width - 1)) - 1);
        (index as u8, negative as u8 ^ self.flipped)
    }
}
