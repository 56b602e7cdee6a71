//! Points and batches of points, with their 33-byte compressed encoding (SEC 1, section 2.3).

use crate::fixed_base::FixedBase;
use crate::scalars::{Scalars, SecretScalar};
use p256::elliptic_curve::BatchNormalize;
use p256::elliptic_curve::group::Group;
use p256::elliptic_curve::hazmat::FieldArithmetic;
use p256::elliptic_curve::ops::LinearCombination;
use p256::elliptic_curve::point::{AffineCoordinates, DecompressPoint};
use p256::elliptic_curve::subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use p256::{AffinePoint, FieldBytes, NistP256, ProjectivePoint};
use zeroize::Zeroize;

pub(crate) type FieldElement = <NistP256 as FieldArithmetic>::FieldElement;

/// Bytes of a compressed point.
pub const POINT_SIZE: usize = 33;

/// A byte string that is not a point: wrong form, x out of range, not on the curve, or infinity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a point of P-256 at position {position}")]
pub struct DecodeError {
    /// Which point of the batch.
    pub position: usize,
}

/// The point at infinity, which has no encoding, among the points to be encoded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the point at infinity at position {position} cannot be encoded")]
pub struct EncodeError {
    /// Which point of the batch.
    pub position: usize,
}

/// Where the points of a batch lie in a buffer of fixed-size records: at `offset` of each `stride` bytes.
#[derive(Clone, Copy)]
pub struct Column {
    /// Bytes of a record.
    pub stride: usize,
    /// First byte of the point in its record.
    pub offset: usize,
}

/// One point of the curve, infinity included.
#[derive(Clone, Copy)]
pub struct Point(pub(crate) ProjectivePoint);

impl Point {
    /// The standard base point.
    pub fn generator() -> Self {
        Self(ProjectivePoint::GENERATOR)
    }

    /// Reads a compressed (33 bytes) or uncompressed (65 bytes) point.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let error = DecodeError { position: 0 };
        let point = match bytes.len() {
            POINT_SIZE => decompress(bytes),
            65 if bytes[0] == 4 => {
                let (x, y) = (field_bytes(&bytes[1..33]), field_bytes(&bytes[33..]));
                Option::from(AffinePoint::from_coordinates(&x, &y))
            }
            _ => None,
        };
        point.map(|point| Self(point.into())).ok_or(error)
    }

    /// The compressed form.
    pub fn encode(self) -> Result<[u8; POINT_SIZE], EncodeError> {
        let mut bytes = [0; POINT_SIZE];
        Points(vec![self.0]).encode_into(&mut bytes, Column { stride: POINT_SIZE, offset: 0 })?;
        Ok(bytes)
    }

    /// The sum of two points.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The point's additive inverse.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    /// A multiple by a secret scalar.
    #[must_use]
    pub fn times(self, scalar: &SecretScalar) -> Self {
        Self(self.0 * scalar.0)
    }

    /// Whether this is the point at infinity.
    pub fn is_infinity(self) -> bool {
        self.0.is_identity().into()
    }

    /// The point at infinity.
    pub fn infinity() -> Self {
        Self(ProjectivePoint::IDENTITY)
    }
}

/// A batch of points, wiped when dropped: batches hold plaintexts on the way.
#[derive(Clone, Default)]
pub struct Points(Vec<ProjectivePoint>);

impl Drop for Points {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl FromIterator<Point> for Points {
    fn from_iter<I: IntoIterator<Item = Point>>(points: I) -> Self {
        Self(points.into_iter().map(|point| point.0).collect())
    }
}

impl Points {
    /// Decodes and validates the points of a column.
    pub fn decode(bytes: &[u8], column: Column) -> Result<Self, DecodeError> {
        let mut points = Vec::with_capacity(bytes.len() / column.stride);
        for (position, record) in bytes.chunks_exact(column.stride).enumerate() {
            let point = decompress(&record[column.offset..column.offset + POINT_SIZE]);
            points.push(point.ok_or(DecodeError { position })?.into());
        }
        Ok(Self(points))
    }

    /// Writes the compressed points into a column, with one inversion for the batch.
    pub fn encode_into(&self, bytes: &mut [u8], column: Column) -> Result<(), EncodeError> {
        let infinite = self.0.iter().fold(Choice::from(0), |any, point| any | point.is_identity());
        if infinite.into() {
            let position = self.0.iter().position(|point| point.is_identity().into()).unwrap_or_default();
            return Err(EncodeError { position });
        }
        let affine = ProjectivePoint::batch_normalize(self.0.as_slice());
        for (record, point) in bytes.chunks_exact_mut(column.stride).zip(&affine) {
            let target = &mut record[column.offset..column.offset + POINT_SIZE];
            target[0] = 2 | point.y_is_odd().unwrap_u8();
            target[1..].copy_from_slice(&point.x());
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The point at a position.
    pub fn get(&self, position: usize) -> Point {
        Point(self.0[position])
    }

    /// The same point `count` times.
    pub fn repeat(point: Point, count: usize) -> Self {
        Self(vec![point.0; count])
    }

    /// The points at the given positions, in that order.
    #[must_use]
    pub fn gather(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        Self(positions.into_iter().map(|position| self.0[position]).collect())
    }

    /// The point at a secret position: every point is read.
    pub fn select(&self, position: usize) -> Point {
        let mut selected = ProjectivePoint::IDENTITY;
        for (candidate, point) in (0u64..).zip(&self.0) {
            selected.conditional_assign(point, candidate.ct_eq(&(position as u64)));
        }
        Point(selected)
    }

    /// Point by point sums.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    /// Point by point differences.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    /// Sums of consecutive runs of the given lengths; an empty run sums to infinity.
    #[must_use]
    pub fn sums(&self, lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut left = self.0.as_slice();
        let sum = |length| {
            let (run, rest) = left.split_at(length);
            left = rest;
            run.iter().sum()
        };
        Self(lengths.into_iter().map(sum).collect())
    }

    /// Every point times one secret scalar.
    #[must_use]
    pub fn times(&self, scalar: &SecretScalar) -> Self {
        Self(self.0.iter().map(|point| point * &scalar.0).collect())
    }

    /// Every point times its own scalar.
    #[must_use]
    pub fn times_each(&self, scalars: &Scalars) -> Self {
        assert_eq!(self.len(), scalars.len(), "one scalar a point");
        Self(self.0.iter().zip(scalars.0.iter()).map(|(point, scalar)| point * scalar).collect())
    }

    /// Every point times `count` scalars of its own: the products of the first point, then those of the second, ...
    #[must_use]
    pub fn times_several(&self, scalars: &Scalars, count: usize) -> Self {
        assert_eq!(self.len() * count, scalars.len(), "as many scalars a point as said");
        let products = self.0.iter().zip(scalars.0.chunks(count.max(1))).flat_map(|(point, scalars)| {
            let base = FixedBase::for_few(Point(*point));
            scalars.iter().map(move |scalar| base.multiple(scalar))
        });
        let mut several = Self(Vec::with_capacity(scalars.len()));
        several.0.extend(products);
        several
    }

    /// a * self + b * other, point by point, with the doublings shared.
    #[must_use]
    pub fn combine(&self, a: &SecretScalar, other: &Self, b: &SecretScalar) -> Self {
        self.zip(other, |p, q| ProjectivePoint::lincomb(&[(*p, a.0), (*q, b.0)]))
    }

    /// Position by position: are the two points the same?
    pub fn equals(&self, other: &Self) -> Vec<bool> {
        assert_eq!(self.len(), other.len(), "batches of equal length");
        self.0.iter().zip(&other.0).map(|(p, q)| p.ct_eq(q).into()).collect()
    }

    fn zip(&self, other: &Self, operation: impl Fn(&ProjectivePoint, &ProjectivePoint) -> ProjectivePoint) -> Self {
        assert_eq!(self.len(), other.len(), "batches of equal length");
        Self(self.0.iter().zip(&other.0).map(|(p, q)| operation(p, q)).collect())
    }
}

fn field_bytes(bytes: &[u8]) -> FieldBytes {
    FieldBytes::try_from(bytes).expect("32 bytes")
}

fn decompress(bytes: &[u8]) -> Option<AffinePoint> {
    if !matches!(bytes[0], 2 | 3) {
        return None;
    }
    AffinePoint::decompress(&field_bytes(&bytes[1..]), Choice::from(bytes[0] & 1)).into()
}
