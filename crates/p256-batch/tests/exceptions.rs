//! Batches with what the affine formulas cannot do, sizes around the kernels' blocks, and scalars at the edges, on every kernel.

use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::group::{Group, GroupEncoding};
use p256::{ProjectivePoint, Scalar};
use p256_batch::{CHOICE, Choice, Column, FixedBase, POINT_SIZE, Point, Points, Scalars, SecretScalar, VARIABLE};
use std::process::Command;

const SIZES: [usize; 12] = [1, 3, 4, 5, 7, 8, 9, 31, 33, 63, 64, 65];

fn secret(scalar: &Scalar) -> SecretScalar {
    SecretScalar::from_be_bytes(&scalar.to_repr()).unwrap()
}

fn secrets<'a>(scalars: impl IntoIterator<Item = &'a Scalar>) -> Scalars {
    let mut all = Scalars::with_capacity(0);
    scalars.into_iter().for_each(|scalar| all.push(&secret(scalar)));
    all
}

/// Points of the crate `p256` as a batch. Infinity is a sum of opposites.
fn batch(points: &[ProjectivePoint]) -> Points {
    let infinity = Point::generator().plus(Point::generator().negated());
    let decode = |point: &ProjectivePoint| match bool::from(point.is_identity()) {
        true => infinity,
        false => Point::decode(&point.to_bytes()).unwrap(),
    };
    points.iter().map(decode).collect()
}

fn assert_same(points: &Points, expected: &[ProjectivePoint], what: &str) {
    assert_eq!(points.len(), expected.len(), "{what}");
    for (place, expected) in expected.iter().enumerate() {
        let point = points.get(place);
        assert_eq!(point.is_infinity(), bool::from(expected.is_identity()), "{what}, place {place}");
        if !point.is_infinity() {
            assert_eq!(point.encode().unwrap()[..], expected.to_bytes()[..], "{what}, place {place}");
        }
    }
}

fn multiples(count: usize) -> Vec<ProjectivePoint> {
    std::iter::successors(Some(ProjectivePoint::GENERATOR), |point| Some(*point + ProjectivePoint::GENERATOR))
        .take(count)
        .collect()
}

/// 1, 2, small even ones, those whose opposites are small, and powers of two up to 2^255.
fn edges() -> Vec<Scalar> {
    let two = Scalar::from(2u64);
    let power = |exponent: usize| (0..exponent).fold(Scalar::ONE, |power, _| power * two);
    let small = [1u64, 2, 3, 4, 6, 8, 15, 16, 17, 30, 32, 128, 254, 256].map(Scalar::from);
    let powers = [52, 63, 64, 128, 208, 251, 252, 255].map(power);
    small
        .iter()
        .chain(&powers)
        .flat_map(|scalar| [*scalar, -scalar, scalar - &Scalar::ONE])
        .filter(|k| *k != Scalar::ZERO)
        .collect()
}

#[test]
fn edge_scalars_multiply_every_way() {
    let edges = edges();
    let points = multiples(edges.len());
    let p = batch(&points);
    let each: Vec<_> = points.iter().zip(&edges).map(|(point, k)| point * k).collect();
    assert_same(&p.times_each(&secrets(&edges)), &each, "a scalar each");
    let of_base: Vec<_> = edges.iter().map(|k| points[4] * k).collect();
    let table = FixedBase::new(p.get(4));
    assert_same(&table.multiply_by_each(&secrets(&edges)), &of_base, "a fixed base");
    assert_same(&batch(&points[4..5]).times_several(&secrets(&edges), edges.len()), &of_base, "a comb");
    for k in &edges {
        let products: Vec<_> = points[..9].iter().map(|point| point * k).collect();
        assert_same(&batch(&points[..9]).times(&secret(k)), &products, "one scalar");
        let q = &points[9..18];
        let (u, e) = Points::combine(&batch(&points[..9]), &batch(q), &secret(k), &secret(&-*k));
        assert_same(&u, &products, "combined, first");
        let sums: Vec<_> = points.iter().zip(q).map(|(u, e)| e * k - u * k).collect();
        assert_same(&e, &sums, "combined, second");
    }
}

#[test]
fn sums_of_equal_and_opposite_points_and_infinity_are_right_at_every_size() {
    for size in SIZES.into_iter().chain([1023, 1024, 1025]) {
        let left = multiples(size);
        let mut right: Vec<_> = left.iter().rev().copied().collect();
        let mut first = left.clone();
        for place in (0..size).rev().step_by(3) {
            match place % 5 {
                0 => right[place] = left[place],
                1 => right[place] = -left[place],
                2 => right[place] = ProjectivePoint::IDENTITY,
                3 => first[place] = ProjectivePoint::IDENTITY,
                _ => (first[place], right[place]) = (ProjectivePoint::IDENTITY, ProjectivePoint::IDENTITY),
            }
        }
        let sums: Vec<_> = first.iter().zip(&right).map(|(a, b)| a + b).collect();
        assert_same(&batch(&first).plus(&batch(&right)), &sums, &format!("{size} sums"));
        let differences: Vec<_> = first.iter().zip(&right).map(|(a, b)| a - b).collect();
        assert_same(&batch(&first).minus(&batch(&right)), &differences, &format!("{size} differences"));
    }
}

#[test]
fn products_are_right_at_every_size_with_infinity_among_the_points() {
    let k = -Scalar::from(77u64);
    for size in SIZES.into_iter().chain([511, 513, 1025]) {
        let mut points = multiples(size);
        (0..size).skip(1).step_by(7).for_each(|place| points[place] = ProjectivePoint::IDENTITY);
        let products: Vec<_> = points.iter().map(|point| point * &k).collect();
        assert_same(&batch(&points).times(&secret(&k)), &products, &format!("{size} products"));
    }
}

#[test]
fn combinations_that_cancel_or_meet_are_right() {
    let (a, b) = (Scalar::from(5u64), -Scalar::from(3u64));
    for size in SIZES {
        let u = multiples(size);
        let factor = -(b * a.invert().unwrap());
        for (what, e) in [
            ("that cancel", u.iter().map(|u| u * &factor).collect::<Vec<_>>()),
            ("of equal points", u.clone()),
            ("of opposite points", u.iter().map(|u| -u).collect()),
            ("with infinity", u.iter().map(|_| ProjectivePoint::IDENTITY).collect()),
        ] {
            let (first, second) = Points::combine(&batch(&u), &batch(&e), &secret(&a), &secret(&b));
            assert_same(&first, &u.iter().map(|u| u * &a).collect::<Vec<_>>(), what);
            let sums: Vec<_> = u.iter().zip(&e).map(|(u, e)| e * &a + u * &b).collect();
            assert_same(&second, &sums, &format!("{size} combinations {what}"));
        }
    }
}

#[test]
fn decoded_batches_are_the_encoded_ones_at_every_size() {
    for size in SIZES.into_iter().chain([1025]) {
        let bytes: Vec<u8> = multiples(size).iter().flat_map(|point| (-point).to_bytes().to_vec()).collect();
        let column = Column { stride: POINT_SIZE, offset: 0 };
        let mut encoded = vec![0; bytes.len()];
        Points::decode(&bytes, column).unwrap().encode_into(&mut encoded, column).unwrap();
        assert_eq!(encoded, bytes);
    }
}

/// The choice of a kernel holds for a process: this one starts another for each.
#[test]
fn all_of_this_holds_on_every_kernel() {
    if std::env::var_os(VARIABLE).is_some() {
        println!("kernel {:?}", *CHOICE);
        return;
    }
    let tests = std::env::current_exe().unwrap();
    for kernel in Choice::available() {
        let status = Command::new(&tests).env(VARIABLE, kernel.name()).status().unwrap();
        assert!(status.success(), "the tests fail on the kernel {kernel:?}");
    }
}
