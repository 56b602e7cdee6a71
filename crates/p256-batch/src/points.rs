//! Points and batches of points, with their 33-byte compressed encoding (SEC 1, section 2.3).

use crate::batch::{Batch, Exceptional, Scratch};
use crate::comb::Comb;
use crate::decompress::decompress;
use crate::digits::Digits;
use crate::field::{Element, limbs_from_be_bytes};
use crate::kernel::{Kernel, dispatch};
use crate::memcheck::declassified;
use crate::multiples::VARIABLE_WINDOW;
use crate::scalars::{Scalars, SecretScalar};
use p256::elliptic_curve::group::Group;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use std::ops::Range;
use std::sync::LazyLock;
use zeroize::Zeroize;

/// Bytes of a compressed point.
pub const POINT_SIZE: usize = 33;

/// Points that share an inversion.
pub(crate) const CHUNK: usize = 2048;
/// The same where each has a large table.
const COMB_CHUNK: usize = 512;

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
        match bytes.len() {
            POINT_SIZE => Ok(Points::decode(bytes, Column { stride: POINT_SIZE, offset: 0 })?.get(0)),
            65 if bytes[0] == 4 => {
                let (x, y) = (field_bytes(&bytes[1..33]), field_bytes(&bytes[33..]));
                let point: Option<AffinePoint> = AffinePoint::from_coordinates(&x, &y).into();
                point.map(|point| Self(point.into())).ok_or(error)
            }
            _ => Err(error),
        }
    }

    /// The compressed form.
    pub fn encode(self) -> Result<[u8; POINT_SIZE], EncodeError> {
        let mut bytes = [0; POINT_SIZE];
        Points::from_iter([self]).encode_into(&mut bytes, Column { stride: POINT_SIZE, offset: 0 })?;
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
pub struct Points {
    x: Vec<Element>,
    y: Vec<Element>,
    /// 0xff for the point at infinity, whose coordinates mean nothing; else 0.
    infinite: Vec<u8>,
}

impl Drop for Points {
    fn drop(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.infinite.zeroize();
    }
}

impl FromIterator<Point> for Points {
    fn from_iter<I: IntoIterator<Item = Point>>(points: I) -> Self {
        let projective: Vec<ProjectivePoint> = points.into_iter().map(|point| point.0).collect();
        let mut all = Self::zeros(projective.len());
        all.put(0, projective.into_iter());
        all
    }
}

impl Points {
    /// So many places, which are no points yet.
    pub(crate) fn zeros(count: usize) -> Self {
        Self { x: vec![Element::ZERO; count], y: vec![Element::ZERO; count], infinite: vec![0; count] }
    }

    /// The coordinates of some places.
    pub(crate) fn coordinates(&mut self, first: usize, count: usize) -> (&mut [Element], &mut [Element]) {
        (&mut self.x[first..first + count], &mut self.y[first..first + count])
    }

    /// Writes points from `first` on.
    pub(crate) fn put(&mut self, first: usize, points: impl Iterator<Item = ProjectivePoint>) {
        // One inversion a point: the crate's shared one branches on the product of them all.
        for (place, point) in (first..).zip(points.map(|point| point.to_affine())) {
            let [x, y] = [point.x(), point.y()].map(|bytes| Element(limbs_from_be_bytes(&bytes)));
            (self.x[place], self.y[place]) = (x, y);
            self.infinite[place] = point.is_identity().unwrap_u8().wrapping_neg();
        }
    }

    /// All points as lanes. There must be one at least, and none at infinity.
    pub(crate) fn batch<K: Kernel>(&self) -> Batch<K> {
        Batch::load(&self.x, &self.y)
    }

    /// So many points of a batch, from a vector on.
    pub(crate) fn of_batch<K: Kernel>(batch: &Batch<K>, vector: usize, count: usize) -> Self {
        let mut points = Self::zeros(count);
        batch.store_from(vector, &mut points.x, &mut points.y);
        points
    }

    /// Decodes and validates the points of a column.
    pub fn decode(bytes: &[u8], column: Column) -> Result<Self, DecodeError> {
        let mut points = Self::zeros(bytes.len() / column.stride);
        let mut odd = vec![0; points.len()];
        for (position, record) in bytes.chunks_exact(column.stride).enumerate() {
            let encoding = &record[column.offset..column.offset + POINT_SIZE];
            let x = Element::from_be_bytes(&encoding[1..]).filter(|_| matches!(encoding[0], 2 | 3));
            points.x[position] = x.ok_or(DecodeError { position })?;
            odd[position] = (encoding[0] & 1).wrapping_neg();
        }
        for (first, odd) in (0..).step_by(CHUNK).zip(odd.chunks(CHUNK)) {
            let (x, y) = points.coordinates(first, odd.len());
            let on_curve = dispatch!(decompress(x, odd, y));
            if let Some(position) = on_curve.iter().position(|on_curve| !on_curve) {
                return Err(DecodeError { position: first + position });
            }
        }
        Ok(points)
    }

    /// Writes the compressed points into a column.
    pub fn encode_into(&self, bytes: &mut [u8], column: Column) -> Result<(), EncodeError> {
        // What is encoded leaves, and so does the error.
        if self.any_infinity() {
            let position = self.infinite.iter().position(|infinite| declassified(*infinite != 0)).unwrap_or_default();
            return Err(EncodeError { position });
        }
        for (record, (x, y)) in bytes.chunks_exact_mut(column.stride).zip(self.x.iter().zip(&self.y)) {
            let target = &mut record[column.offset..column.offset + POINT_SIZE];
            target[0] = 2 | u8::from(y.is_odd());
            target[1..].copy_from_slice(&x.to_be_bytes());
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// The point at a position.
    pub fn get(&self, position: usize) -> Point {
        let infinite = Choice::from(self.infinite[position] & 1);
        let [x, y] = [&self.x, &self.y].map(|values| FieldBytes::from(values[position].to_be_bytes()));
        let point = AffinePoint::from_coordinates(&x, &y);
        // Always so.
        assert!(declassified((point.is_some() | infinite).into()), "a point of a batch is on the curve");
        let point = point.unwrap_or(AffinePoint::IDENTITY);
        Point(ProjectivePoint::conditional_select(&point.into(), &ProjectivePoint::IDENTITY, infinite))
    }

    /// Whether there is a point at infinity, which may be known.
    pub(crate) fn any_infinity(&self) -> bool {
        declassified(self.infinite.iter().fold(0, |any, infinite| any | infinite) != 0)
    }

    /// The same point `count` times.
    pub fn repeat(point: Point, count: usize) -> Self {
        Self::from_iter([point]).gather(std::iter::repeat_n(0, count))
    }

    /// The points at the given positions, in that order.
    #[must_use]
    pub fn gather(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        let positions: Vec<usize> = positions.into_iter().collect();
        Self {
            x: positions.iter().map(|position| self.x[*position]).collect(),
            y: positions.iter().map(|position| self.y[*position]).collect(),
            infinite: positions.iter().map(|position| self.infinite[*position]).collect(),
        }
    }

    /// The points of one batch, then those of another.
    #[must_use]
    pub fn chain(&self, other: &Self) -> Self {
        Self {
            x: [&self.x[..], &other.x].concat(),
            y: [&self.y[..], &other.y].concat(),
            infinite: [&self.infinite[..], &other.infinite].concat(),
        }
    }

    /// The first points, and those from `position` on.
    pub fn split(&self, position: usize) -> (Self, Self) {
        (self.part(0..position), self.part(position..self.len()))
    }

    /// For each secret position the point there: every point is read.
    #[must_use]
    pub fn select_each(&self, positions: &[usize]) -> Self {
        let mut selected = Self::zeros(positions.len());
        for (place, position) in positions.iter().enumerate() {
            for (candidate, from) in (0u64..).zip(0..self.len()) {
                let here = candidate.ct_eq(&(*position as u64)).unwrap_u8().wrapping_neg();
                selected.assign_where(here, place, self, from);
            }
        }
        selected
    }

    /// Another point in the places that are marked.
    #[must_use]
    pub fn replaced_where(mut self, marked: &[bool], point: Point) -> Self {
        let point = Self::from_iter([point]);
        for (place, marked) in marked.iter().enumerate() {
            self.assign_where(u8::from(*marked).wrapping_neg(), place, &point, 0);
        }
        self
    }

    /// Takes over a point where the mask is 0xff.
    fn assign_where(&mut self, mask: u8, place: usize, from: &Self, position: usize) {
        let wide = std::hint::black_box((mask as i8) as i64 as u64);
        self.x[place] = self.x[place].or_where(wide, from.x[position]);
        self.y[place] = self.y[place].or_where(wide, from.y[position]);
        self.infinite[place] = (self.infinite[place] & !mask) | (from.infinite[position] & mask);
    }

    /// Point by point sums.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        assert_eq!(self.len(), other.len(), "batches of equal length");
        let mut sums = Self::zeros(self.len());
        for first in (0..self.len()).step_by(CHUNK) {
            let end = self.len().min(first + CHUNK);
            dispatch!(add(&mut sums, self, other, first..end));
        }
        sums
    }

    /// Point by point differences.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.plus(&other.opposite())
    }

    fn opposite(&self) -> Self {
        let mut opposite = self.clone();
        opposite.y.iter_mut().for_each(|y| *y = y.opposite());
        opposite
    }

    /// Sums of consecutive runs of the given lengths; an empty run sums to infinity.
    #[must_use]
    pub fn sums(&self, lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut first = 0;
        let runs: Vec<(usize, usize)> = lengths
            .into_iter()
            .map(|length| {
                first += length;
                (first - length, length)
            })
            .collect();
        let mut sums = Self::repeat(Point::infinity(), runs.len());
        for (place, (first, _)) in runs.iter().enumerate().filter(|(_, (_, length))| *length > 0) {
            sums.assign_where(0xff, place, self, *first);
        }
        let longest = runs.iter().map(|(_, length)| *length).max().unwrap_or_default();
        for round in 1..longest {
            let longer: Vec<usize> = (0..runs.len()).filter(|run| runs[*run].1 > round).collect();
            let next = self.gather(longer.iter().map(|run| runs[*run].0 + round));
            let added = sums.gather(longer.iter().copied()).plus(&next);
            longer.iter().enumerate().for_each(|(position, run)| sums.assign_where(0xff, *run, &added, position));
        }
        sums
    }

    /// Every point times one secret scalar.
    #[must_use]
    pub fn times(&self, scalar: &SecretScalar) -> Self {
        self.in_chunks(|points, _| dispatch!(multiply(points, std::slice::from_ref(&scalar.0))))
    }

    /// Every point times its own scalar.
    #[must_use]
    pub fn times_each(&self, scalars: &Scalars) -> Self {
        assert_eq!(self.len(), scalars.len(), "one scalar a point");
        self.in_chunks(|points, first| dispatch!(multiply(points, &scalars.0[first..first + points.len()])))
    }

    /// Every point times `count` scalars of its own: the products of the first point, then those of the second, ...
    #[must_use]
    pub fn times_several(&self, scalars: &Scalars, count: usize) -> Self {
        assert_eq!(self.len() * count, scalars.len(), "as many scalars a point as said");
        let mut products = Self::zeros(scalars.len());
        for first in (0..self.len()).step_by(COMB_CHUNK) {
            let points = self.part(first..self.len().min(first + COMB_CHUNK));
            let scalars = &scalars.0[first * count..(first + points.len()) * count];
            products.replace(first * count, &dispatch!(multiply_several(&points, scalars, count)));
        }
        products
    }

    /// Position by position: are the two points the same?
    pub fn equals(&self, other: &Self) -> Vec<bool> {
        assert_eq!(self.len(), other.len(), "batches of equal length");
        let same = |place: usize| {
            let finite = !(self.infinite[place] | other.infinite[place]);
            let differences = self.x[place].difference(other.x[place]) | self.y[place].difference(other.y[place]);
            let coordinates = differences & (finite as i8) as i64 as u64;
            (coordinates == 0) & (self.infinite[place] == other.infinite[place])
        };
        (0..self.len()).map(same).collect()
    }

    fn in_chunks(&self, operation: impl Fn(&Self, usize) -> Self) -> Self {
        let mut results = Self::zeros(self.len());
        for first in (0..self.len()).step_by(CHUNK) {
            results.replace(first, &operation(&self.part(first..self.len().min(first + CHUNK)), first));
        }
        results
    }

    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self {
            x: self.x[range.clone()].to_vec(),
            y: self.y[range.clone()].to_vec(),
            infinite: self.infinite[range].to_vec(),
        }
    }

    /// Puts points into the given places.
    fn scatter(&mut self, places: &[usize], points: &Self) {
        for (position, place) in places.iter().enumerate() {
            self.x[*place] = points.x[position];
            self.y[*place] = points.y[position];
            self.infinite[*place] = points.infinite[position];
        }
    }

    pub(crate) fn replace(&mut self, first: usize, points: &Self) {
        let range = first..first + points.len();
        self.x[range.clone()].copy_from_slice(&points.x);
        self.y[range.clone()].copy_from_slice(&points.y);
        self.infinite[range].copy_from_slice(&points.infinite);
    }

    /// Puts another point in the places at infinity, for formulas that know no infinity.
    fn without_infinity(&self) -> Self {
        let mut finite = self.clone();
        for place in 0..self.len() {
            finite.assign_where(self.infinite[place], place, &DUMMIES, 0);
        }
        finite
    }

    fn with_infinity_of(mut self, other: &Self) -> Self {
        self.infinite.copy_from_slice(&other.infinite);
        self
    }
}

/// Two points whose sum is not exceptional.
static DUMMIES: LazyLock<Points> = LazyLock::new(|| {
    let generator = Point::generator();
    Points::from_iter([generator, generator.plus(generator)])
});

/// Points times a scalar each, or one for all.
fn multiply<K: Kernel>(points: &Points, scalars: &[Scalar]) -> Points {
    let batch = points.without_infinity().batch::<K>();
    let lanes = batch.len() * K::LANES;
    let digits = match scalars {
        [scalar] => Digits::of_one(scalar, VARIABLE_WINDOW, lanes),
        _ => Digits::of_each(scalars, VARIABLE_WINDOW, lanes),
    };
    let mut products = Points::zeros(points.len());
    match batch.multiply(&digits, &mut Scratch::new()) {
        Ok(result) => result.store(&mut products.x, &mut products.y),
        Err(Exceptional) => {
            let scalars = scalars.iter().cycle();
            products.put(0, (0..points.len()).zip(scalars).map(|(place, scalar)| points.get(place).0 * scalar));
        }
    }
    products.with_infinity_of(points)
}

fn multiply_several<K: Kernel>(points: &Points, scalars: &[Scalar], count: usize) -> Points {
    let batch = points.without_infinity().batch::<K>();
    let mut products = Points::zeros(scalars.len());
    let lanes = batch.len() * K::LANES;
    let (mut x, mut y) = (vec![Element::ZERO; lanes * count], vec![Element::ZERO; lanes * count]);
    let scratch = &mut Scratch::new();
    let columns = |column| Digits::of_comb(scalars.iter().skip(column).step_by(count), lanes);
    let digits: Vec<Digits> = (0..count).map(columns).collect();
    let computed = Comb::new(&batch, scratch).and_then(|comb| {
        comb.multiply(&digits, scratch)?.store(&mut x, &mut y);
        for (place, row, column) in (0..scalars.len()).map(|place| (place, place / count, place % count)) {
            (products.x[place], products.y[place]) = (x[column * lanes + row], y[column * lanes + row]);
        }
        Ok(())
    });
    if computed.is_err() {
        let product = |(place, scalar): (usize, &Scalar)| points.get(place / count).0 * scalar;
        products.put(0, scalars.iter().enumerate().map(product));
    }
    x.zeroize();
    y.zeroize();
    let places = (0..scalars.len()).map(|place| points.infinite[place / count]);
    products.infinite = places.collect();
    products
}

/// Sums of the points in a range.
fn add<K: Kernel>(sums: &mut Points, a: &Points, b: &Points, range: Range<usize>) {
    let (a, b) = (a.part(range.clone()), b.part(range.clone()));
    let (mut left, mut right) = (a.clone(), b.clone());
    for place in 0..left.len() {
        let either = a.infinite[place] | b.infinite[place];
        left.assign_where(either, place, &DUMMIES, 0);
        right.assign_where(either, place, &DUMMIES, 1);
    }
    let mut results = sums_of_different::<K>(&left, &right).unwrap_or_else(|Exceptional| {
        // A point and itself or its opposite: only what somebody sent to bring it about. Which they are shows.
        let alike = |place: &usize| declassified(left.x[*place].difference(right.x[*place]) == 0);
        let (alike, different): (Vec<usize>, Vec<usize>) = (0..left.len()).partition(alike);
        let two = |places: &[usize]| [&left, &right].map(|points| points.gather(places.iter().copied()));
        let mut results = Points::zeros(left.len());
        let [first, second] = two(&alike);
        results.scatter(&alike, &sums_of_alike::<K>(&first, &second));
        if !different.is_empty() {
            let [first, second] = two(&different);
            let sums = sums_of_different::<K>(&first, &second).expect("the exceptional sums are out");
            results.scatter(&different, &sums);
        }
        results
    });
    for place in 0..results.len() {
        results.assign_where(b.infinite[place], place, &a, place);
        results.assign_where(a.infinite[place], place, &b, place);
    }
    sums.replace(range.start, &results);
}

/// At least one sum; no point and itself, or its opposite.
fn sums_of_different<K: Kernel>(a: &Points, b: &Points) -> Result<Points, Exceptional> {
    let mut batch = a.batch::<K>();
    batch.add(&b.batch::<K>(), &mut Scratch::new())?;
    Ok(Points::of_batch(&batch, 0, a.len()))
}

/// At least one sum, each of a point and itself or its opposite: twice the point, or infinity.
fn sums_of_alike<K: Kernel>(a: &Points, b: &Points) -> Points {
    let mut batch = a.batch::<K>();
    batch.double(&mut Scratch::new());
    let mut sums = Points::of_batch(&batch, 0, a.len());
    for (place, infinite) in sums.infinite.iter_mut().enumerate() {
        let difference = std::hint::black_box(a.y[place].difference(b.y[place]));
        *infinite = ((difference | difference.wrapping_neg()) >> 63) as u8 * 0xff;
    }
    sums
}

fn field_bytes(bytes: &[u8]) -> FieldBytes {
    FieldBytes::try_from(bytes).expect("32 bytes")
}
