//! Many multiples of one public base by tables of its odd multiples, which every look-up reads whole.

use crate::batch::{Batch, Exceptional, Scratch, vectors};
use crate::digits::Digits;
use crate::field::Element;
use crate::kernel::{Kernel, dispatch};
use crate::points::{CHUNK, Point, Points};
use crate::scalars::{Scalars, SecretScalar};
use p256::elliptic_curve::Group;
use p256::{ProjectivePoint, Scalar};

/// For each digit of a scalar a table of the base's multiples, so that a multiplication is additions only.
pub struct FixedBase {
    base: ProjectivePoint,
    multiplier: Box<dyn Multiplier>,
}

trait Multiplier: Send + Sync {
    fn multiples(&self, scalars: &[Scalar], x: &mut [Element], y: &mut [Element]) -> Result<(), Exceptional>;
}

struct Tables<K: Kernel>(Vec<K::Table>);

impl<K: Kernel> Multiplier for Tables<K> {
    fn multiples(&self, scalars: &[Scalar], x: &mut [Element], y: &mut [Element]) -> Result<(), Exceptional> {
        let digits = Digits::of_each(scalars, K::WINDOW, vectors::<K>(scalars.len()) * K::LANES);
        Batch::<K>::of_base(&self.0, &digits, &mut Scratch::new())?.store(x, y);
        Ok(())
    }
}

impl FixedBase {
    /// The tables of a base. Panics for the point at infinity, which has no multiples to tabulate.
    pub fn new(base: Point) -> Self {
        assert!(!base.is_infinity(), "the point at infinity is no base");
        Self { base: base.0, multiplier: dispatch!(tables(base.0)) }
    }

    /// The table of the curve's standard base point.
    pub fn generator() -> Self {
        Self::new(Point::generator())
    }

    /// One multiple of the base.
    pub fn multiply(&self, scalar: &SecretScalar) -> Point {
        let mut scalars = Scalars::with_capacity(1);
        scalars.push(scalar);
        self.multiply_by_each(&scalars).get(0)
    }

    /// A multiple of the base for each scalar.
    pub fn multiply_by_each(&self, scalars: &Scalars) -> Points {
        let mut points = Points::zeros(scalars.len());
        for (first, scalars) in (0..).step_by(CHUNK).zip(scalars.0.chunks(CHUNK)) {
            let (x, y) = points.coordinates(first, scalars.len());
            if self.multiplier.multiples(scalars, x, y).is_err() {
                // Only for a scalar that was made for it, and never for one that was drawn.
                points.put(first, scalars.iter().map(|scalar| self.base * scalar));
            }
        }
        points
    }
}

fn tables<K: Kernel>(base: ProjectivePoint) -> Box<dyn Multiplier> {
    let positions = 256usize.div_ceil(K::WINDOW);
    let bases = std::iter::successors(Some(base), |base| Some((0..K::WINDOW).fold(*base, |point, _| point.double())));
    let bases = Points::from_iter(bases.take(positions).map(Point));
    let scratch = &mut Scratch::<K>::new();
    // One times every base; then 1 and 3; 1, 3, 5 and 7; and so on: the step between them doubles as their number does.
    let mut multiples = bases.batch::<K>();
    let mut step = multiples.clone();
    step.double(scratch);
    let one = multiples.len();
    for _ in 1..K::WINDOW {
        let mut more = multiples.clone();
        let steps = Batch::concat(&vec![step.clone(); multiples.len() / one]);
        more.add(&steps, scratch).expect("small multiples of a point are all different");
        multiples = Batch::concat(&[multiples, more]);
        step.double(scratch);
    }
    let lanes = one * K::LANES;
    let (mut x, mut y) = (vec![Element::ZERO; lanes << (K::WINDOW - 1)], vec![Element::ZERO; lanes << (K::WINDOW - 1)]);
    multiples.store(&mut x, &mut y);
    let of = |values: &[Element], base| values.iter().skip(base).step_by(lanes).copied().collect::<Vec<_>>();
    Box::new(Tables::<K>((0..positions).map(|base| K::table(&of(&x, base), &of(&y, base))).collect()))
}
