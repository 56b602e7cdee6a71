//! Many multiples of one public base: a table of small multiples for each digit position, read whole at every look-up.

use crate::points::{Point, Points};
use crate::scalars::{Scalars, SecretScalar};
use p256::elliptic_curve::ff::PrimeField;
use p256::elliptic_curve::subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use p256::elliptic_curve::{BatchNormalize, Group};
use p256::{AffinePoint, ProjectivePoint, Scalar};
use zeroize::Zeroizing;

const WINDOW: usize = 5;
const DIGITS: usize = 52; // 260 bits: 256 and the carry of the signed form
const ENTRIES: usize = 1 << (WINDOW - 1);

/// The multiples 1..16 of 32^i B for every digit position i of a scalar.
pub struct FixedBase {
    table: Vec<AffinePoint>, // row i: 32^i B, 2 32^i B, ..., 16 32^i B
}

impl FixedBase {
    /// Builds the table; worth it from a handful of multiplications.
    pub fn new(base: Point) -> Self {
        let mut row = base.0;
        let mut multiples = Vec::with_capacity(DIGITS * ENTRIES);
        for _ in 0..DIGITS {
            let mut multiple = ProjectivePoint::IDENTITY;
            for _ in 0..ENTRIES {
                multiple += row;
                multiples.push(multiple);
            }
            row = multiple.double();
        }
        Self { table: ProjectivePoint::batch_normalize(multiples.as_slice()) }
    }

    /// The table of the curve's standard base point.
    pub fn generator() -> Self {
        Self::new(Point::generator())
    }

    /// One multiple of the base.
    pub fn multiply(&self, scalar: &SecretScalar) -> Point {
        Point(self.multiple(&scalar.0))
    }

    /// A multiple of the base for each scalar.
    pub fn multiply_by_each(&self, scalars: &Scalars) -> Points {
        Points::from_iter(scalars.0.iter().map(|scalar| Point(self.multiple(scalar))))
    }

    fn multiple(&self, scalar: &Scalar) -> ProjectivePoint {
        let digits = signed_digits(scalar);
        let mut sum = ProjectivePoint::IDENTITY;
        for (row, digit) in self.table.chunks_exact(ENTRIES).zip(digits.iter()) {
            sum += select(row, *digit);
        }
        sum
    }
}

/// digit * row[0] for -16 <= digit <= 16, touching every entry.
fn select(row: &[AffinePoint], digit: i8) -> AffinePoint {
    let negative = digit >> 7; // 0 or -1
    let magnitude = ((digit ^ negative) - negative) as u8;
    let mut point = AffinePoint::IDENTITY;
    for (entry, multiple) in row.iter().zip(1u8..) {
        point.conditional_assign(entry, magnitude.ct_eq(&multiple));
    }
    AffinePoint::conditional_select(&point, &-point, Choice::from((negative & 1) as u8))
}

/// Digits in [-16, 16), least significant first.
fn signed_digits(scalar: &Scalar) -> Zeroizing<[i8; DIGITS]> {
    let repr = Zeroizing::new(<[u8; 32]>::from(scalar.to_repr()));
    let byte = |index: usize| if index < 32 { u16::from(repr[31 - index]) } else { 0 };
    let mut digits = Zeroizing::new([0i8; DIGITS]);
    let mut carry = 0i8;
    for (index, digit) in digits.iter_mut().enumerate() {
        let bit = index * WINDOW;
        let bits = (byte(bit / 8) | (byte(bit / 8 + 1) << 8)) >> (bit % 8);
        let value = (bits & 31) as i8 + carry;
        carry = (value + 16) >> 5;
        *digit = value - (carry << 5);
    }
    digits
}
