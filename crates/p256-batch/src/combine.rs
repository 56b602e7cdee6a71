//! Joint multiples of two batches of points, (a u, a e + b u): what blinding a ciphertext is.

use crate::batch::{Exceptional, Scratch};
use crate::digits::Digits;
use crate::field::Element;
use crate::kernel::{Kernel, dispatch};
use crate::memcheck::make_secret;
use crate::multiples::VARIABLE_WINDOW;
use crate::points::{CHUNK, Point, Points};
use crate::scalars::SecretScalar;
use p256::Scalar;
use p256::elliptic_curve::Group;
use zeroize::Zeroizing;

impl Points {
    /// (a u, a e + b u) of the points u and e, with the doublings and the table of u shared.
    #[must_use]
    pub fn combine(u: &Self, e: &Self, a: &SecretScalar, b: &SecretScalar) -> (Self, Self) {
        assert_eq!(u.len(), e.len(), "batches of equal length");
        let mut results = (Self::zeros(u.len()), Self::zeros(u.len()));
        for first in (0..u.len()).step_by(CHUNK / 2) {
            let range = first..u.len().min(first + CHUNK / 2);
            let (u, e) = (u.part(range.clone()), e.part(range));
            let combined = dispatch!(jointly(&u, &e, [&a.0, &b.0]));
            let (u, e) = combined.unwrap_or_else(|Exceptional| separately(&u, &e, a, b));
            results.0.replace(first, &u);
            results.1.replace(first, &e);
        }
        results
    }
}

fn jointly<K: Kernel>(u: &Points, e: &Points, [a, b]: [&Scalar; 2]) -> Result<(Points, Points), Exceptional> {
    if u.any_infinity() || e.any_infinity() {
        return Err(Exceptional);
    }
    let (halves_u, halves_e) = (u.batch::<K>(), e.batch::<K>());
    let lanes = halves_u.len() * K::LANES;
    let [a, b] = [a, b].map(|scalar| Digits::of_one(scalar, VARIABLE_WINDOW, 2 * lanes));
    let both = halves_u.chain(&halves_e).multiply_jointly(&a, &b, offsets(), &mut Scratch::new())?;
    let half = |vector| Points::of_batch(&both, vector, u.len());
    Ok((half(0), half(halves_u.len())))
}

/// The same by three multiplications, in which no point is exceptional, and sums of any points. It is needed for infinity, or
/// if somebody guessed where the joint one would begin; then it costs less than twice as much.
fn separately(u: &Points, e: &Points, a: &SecretScalar, b: &SecretScalar) -> (Points, Points) {
    (u.times(a), e.times(a).plus(&u.times(b)))
}

/// A secret point T and -2^252 T: 63 times four doublings lie between the first digit of a scalar and the last.
fn offsets() -> [(Element, Element); 2] {
    let offset = offset();
    let back = (0..252).fold(offset.0, |point, _| point.double());
    let mut pair = Points::from_iter([offset, Point(-back)]);
    [0, 1].map(|place| {
        let (x, y) = pair.coordinates(place, 1);
        (x[0], y[0])
    })
}

fn offset() -> Point {
    #[cfg(feature = "fixed-offset")]
    if let Some(fixed) = FIXED.get() {
        return *fixed;
    }
    let mut bytes = Zeroizing::new([0; 64]);
    getrandom::fill(bytes.as_mut()).expect("the operating system gives randomness");
    make_secret(bytes.as_mut());
    Point::generator().times(&SecretScalar::from_uniform_bytes(&bytes).expect("not zero"))
}

#[cfg(feature = "fixed-offset")]
static FIXED: std::sync::OnceLock<Point> = std::sync::OnceLock::new();

/// Lets every joint multiplication of this process begin at the same point, which a test can then aim at.
#[cfg(feature = "fixed-offset")]
pub fn fix_offset(offset: Point) {
    FIXED.set(offset).unwrap_or_else(|_| panic!("the offset is fixed already"));
}
