//! Secret scalars: integers modulo the group order n, wiped when dropped, without Debug or Display.

use crate::memcheck::declassified;
use p256::Scalar;
use p256::elliptic_curve::ff::{Field, FromUniformBytes, PrimeField};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The bytes are not a scalar in [1, n-1].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a scalar: 1 to 32 big-endian bytes in [1, n-1] are needed")]
pub struct InvalidScalar;

/// One secret scalar in [1, n-1].
#[derive(Clone)]
pub struct SecretScalar(pub(crate) Scalar);

impl Drop for SecretScalar {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SecretScalar {}

impl SecretScalar {
    /// Reads 1 to 32 big-endian bytes; leading zeros are accepted.
    pub fn from_be_bytes(bytes: &[u8]) -> Result<Self, InvalidScalar> {
        if bytes.is_empty() || bytes.len() > 32 {
            return Err(InvalidScalar);
        }
        let mut padded = Zeroizing::new([0u8; 32]);
        padded[32 - bytes.len()..].copy_from_slice(bytes);
        Self::nonzero(Scalar::from_repr((*padded).into()).unwrap_or(Scalar::ZERO))
    }

    /// Reduces 64 uniform bytes; the distance from uniform is below 2^-255. Zero (probability 2^-256) is refused.
    pub fn from_uniform_bytes(bytes: &[u8; 64]) -> Result<Self, InvalidScalar> {
        Self::nonzero(Scalar::from_uniform_bytes(bytes))
    }

    fn nonzero(scalar: Scalar) -> Result<Self, InvalidScalar> {
        let secret = Self(scalar);
        // Whether a scalar is refused shows to whoever gave it.
        if declassified(secret.0.is_zero().into()) { Err(InvalidScalar) } else { Ok(secret) }
    }

    /// Big-endian bytes without leading zeros. The length shows how many leading bytes are zero.
    pub fn to_minimal_be_bytes_vartime(&self) -> Zeroizing<Vec<u8>> {
        let repr = Zeroizing::new(<[u8; 32]>::from(self.0.to_repr()));
        let zeros = repr.iter().take_while(|byte| **byte == 0).count();
        Zeroizing::new(repr[zeros..].to_vec())
    }

    /// Decimal digits without sign or padding.
    pub fn to_decimal_vartime(&self) -> Zeroizing<String> {
        decimal_vartime(&self.0)
    }

    /// The product of two scalars.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        Self(self.0 * other.0)
    }

    /// n minus this scalar.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self(-self.0)
    }
}

/// Many secret scalars.
#[derive(Clone, Default)]
pub struct Scalars(pub(crate) Zeroizing<Vec<Scalar>>);

impl Scalars {
    /// Room for `capacity` scalars; the memory does not move (and leave a copy behind) below that.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// Appends one scalar.
    pub fn push(&mut self, scalar: &SecretScalar) {
        self.0.push(scalar.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scalar at a position.
    pub fn get(&self, index: usize) -> SecretScalar {
        SecretScalar(self.0[index])
    }

    /// Of rows of `width` scalars, column `column`: scalars column, column + width, column + 2 width, ...
    #[must_use]
    pub fn column(&self, width: usize, column: usize) -> Self {
        Self(Zeroizing::new(self.0.iter().skip(column).step_by(width).copied().collect()))
    }

    /// The scalars at the given positions, in that order.
    #[must_use]
    pub fn gather(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        let positions: Vec<usize> = positions.into_iter().collect();
        let mut gathered = Self::with_capacity(positions.len()); // a vector that grows would leave copies behind
        gathered.0.extend(positions.into_iter().map(|position| self.0[position]));
        gathered
    }

    /// These scalars, then those.
    #[must_use]
    pub fn chain(&self, others: &Self) -> Self {
        let mut all = Self::with_capacity(self.len() + others.len());
        all.0.extend(self.0.iter().chain(others.0.iter()));
        all
    }

    /// Scalar by scalar products.
    #[must_use]
    pub fn times_each(&self, others: &Self) -> Self {
        assert_eq!(self.len(), others.len(), "batches of equal length");
        let mut products = Self::with_capacity(self.len());
        products.0.extend(self.0.iter().zip(others.0.iter()).map(|(scalar, other)| scalar * other));
        products
    }

    /// Each scalar times a public number below n, which must not be zero.
    #[must_use]
    pub fn scaled(&self, factors: impl IntoIterator<Item = u64>) -> Self {
        let mut scaled = Self::with_capacity(self.len());
        scaled.0.extend(self.0.iter().zip(factors).map(|(scalar, factor)| *scalar * Scalar::from(factor)));
        scaled
    }

    /// The decimal text of each scalar.
    pub fn to_decimals_vartime(&self) -> Vec<Zeroizing<String>> {
        self.0.iter().map(decimal_vartime).collect()
    }
}

fn decimal_vartime(scalar: &Scalar) -> Zeroizing<String> {
    const CHUNK: u128 = 10_000_000_000_000_000_000; // 10^19, the largest power of ten below 2^64
    let repr = Zeroizing::new(<[u8; 32]>::from(scalar.to_repr()));
    let mut limbs = Zeroizing::new([0u64; 4]); // most significant first
    for (limb, bytes) in limbs.iter_mut().zip(repr.chunks_exact(8)) {
        *limb = u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    }
    let mut chunks = Zeroizing::new([0u64; 5]); // least significant first; 10^95 > 2^256
    for chunk in chunks.iter_mut() {
        let mut remainder = 0u128;
        for limb in limbs.iter_mut() {
            let value = (remainder << 64) | u128::from(*limb);
            *limb = (value / CHUNK) as u64;
            remainder = value % CHUNK;
        }
        *chunk = remainder as u64;
    }
    let mut text = Zeroizing::new(String::with_capacity(95));
    for chunk in chunks.iter().rev() {
        let digits = Zeroizing::new(format!("{chunk:019}"));
        text.push_str(&digits);
    }
    let leading = text.bytes().take_while(|byte| *byte == b'0').count().min(94);
    Zeroizing::new(text[leading..].to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_has_no_padding() {
        let text = |bytes: &[u8]| SecretScalar::from_be_bytes(bytes).unwrap().to_decimal_vartime().to_string();
        assert_eq!(text(&[1]), "1");
        assert_eq!(text(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), "18446744073709551616");
        let below_order = SecretScalar::from_be_bytes(&[1]).unwrap().negated();
        assert_eq!(
            below_order.to_decimal_vartime().as_str(),
            "115792089210356248762697446949407573529996955224135760342422259061068512044368"
        );
    }

    #[test]
    fn zero_and_the_order_are_refused() {
        let order = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
            0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ];
        for bytes in [&[][..], &[0], &[0; 33], &order] {
            assert!(SecretScalar::from_be_bytes(bytes).is_err());
        }
    }

    #[test]
    fn uniform_bytes_that_reduce_to_zero_are_refused() {
        assert!(SecretScalar::from_uniform_bytes(&[0; 64]).is_err());
        assert!(SecretScalar::from_uniform_bytes(&[1; 64]).is_ok());
    }
}
