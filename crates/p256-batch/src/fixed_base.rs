//! Many multiples of one public base by tables of small multiples, which every look-up reads whole.

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

/// Tables of the multiples 1..16 of 32^k B, one for every few digit positions k of a scalar.
///
/// With a table for every position a multiplication is additions only; with fewer the table is made faster and the
/// multiplication shares the doublings of the positions in between.
pub struct FixedBase {
    table: Vec<AffinePoint>,
    digits_per_row: usize,
}

impl FixedBase {
    /// A base of thousands of multiplications.
    pub fn new(base: Point) -> Self {
        Self::with_rows(base, DIGITS)
    }

    /// A base of a handful of multiplications.
    pub fn for_few(base: Point) -> Self {
        Self::with_rows(base, 4)
    }

    /// The table of the curve's standard base point.
    pub fn generator() -> Self {
        Self::new(Point::generator())
    }

    fn with_rows(base: Point, rows: usize) -> Self {
        let digits_per_row = DIGITS / rows;
        let mut row = base.0;
        let mut multiples = Vec::with_capacity(rows * ENTRIES);
        for _ in 0..rows {
            multiples.extend(std::iter::successors(Some(row), |multiple| Some(multiple + &row)).take(ENTRIES));
            for _ in 0..WINDOW * digits_per_row {
                row = row.double();
            }
        }
        Self { table: ProjectivePoint::batch_normalize(multiples.as_slice()), digits_per_row }
    }

    /// One multiple of the base.
    pub fn multiply(&self, scalar: &SecretScalar) -> Point {
        Point(self.multiple(&scalar.0))
    }

    /// A multiple of the base for each scalar.
    pub fn multiply_by_each(&self, scalars: &Scalars) -> Points {
        Points::from_iter(scalars.0.iter().map(|scalar| Point(self.multiple(scalar))))
    }

    pub(crate) fn multiple(&self, scalar: &Scalar) -> ProjectivePoint {
        let digits = signed_digits(scalar);
        let mut sum = ProjectivePoint::IDENTITY;
        for step in (0..self.digits_per_row).rev() {
            for (row, multiples) in self.table.chunks_exact(ENTRIES).enumerate() {
                sum += select(multiples, digits[row * self.digits_per_row + step]);
            }
            if step > 0 {
                (0..WINDOW).for_each(|_| sum = sum.double());
            }
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
