//! The batch operations against single operations of the `p256` crate.

use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::group::GroupEncoding;
use p256::elliptic_curve::ops::Reduce;
use p256::{ProjectivePoint, Scalar};
use p256_batch::{
    Choice, Column, FixedBase, POINT_SIZE, Point, Points, Scalars, SecretScalar, VARIABLE, hash_to_curve_vartime,
};
use proptest::prelude::*;

const PACKED: Column = Column { stride: POINT_SIZE, offset: 0 };

fn scalar() -> impl Strategy<Value = Scalar> {
    any::<[u8; 32]>()
        .prop_map(|bytes| <Scalar as Reduce<p256::FieldBytes>>::reduce(&bytes.into()))
        .prop_filter("zero", |scalar| *scalar != Scalar::ZERO)
}

fn secret(scalar: &Scalar) -> SecretScalar {
    SecretScalar::from_be_bytes(&scalar.to_repr()).unwrap()
}

fn secrets(scalars: &[Scalar]) -> Scalars {
    let mut all = Scalars::with_capacity(scalars.len());
    scalars.iter().for_each(|scalar| all.push(&secret(scalar)));
    all
}

fn encoded(points: &Points) -> Vec<u8> {
    let mut bytes = vec![0; points.len() * POINT_SIZE];
    points.encode_into(&mut bytes, PACKED).unwrap();
    bytes
}

fn oracle(points: impl IntoIterator<Item = ProjectivePoint>) -> Vec<u8> {
    points.into_iter().flat_map(|point| point.to_bytes().to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_agree_with_single_operations(pairs in prop::collection::vec((scalar(), scalar()), 1..6), a in scalar(), b in scalar()) {
        let (left, right): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let generator = FixedBase::generator();
        let (p, q) = (generator.multiply_by_each(&secrets(&left)), generator.multiply_by_each(&secrets(&right)));
        let g = ProjectivePoint::GENERATOR;
        prop_assert_eq!(encoded(&p), oracle(left.iter().map(|k| g * *k)));
        prop_assert_eq!(encoded(&p.times(&secret(&a))), oracle(left.iter().map(|k| g * *k * a)));
        prop_assert_eq!(encoded(&p.times_each(&secrets(&right))), oracle(left.iter().zip(&right).map(|(k, l)| g * *k * *l)));
        let (blinded, combined) = Points::combine(&p, &q, &secret(&a), &secret(&b));
        prop_assert_eq!(encoded(&blinded), oracle(left.iter().map(|k| g * *k * a)));
        prop_assert_eq!(encoded(&combined), oracle(left.iter().zip(&right).map(|(k, l)| g * (*l * a + *k * b))));
        let several: Vec<Scalar> = right.iter().flat_map(|k| [*k, a, b]).collect();
        let products = left.iter().flat_map(|k| [*k; 3]).zip(&several).map(|(k, l)| g * k * *l);
        prop_assert_eq!(encoded(&p.times_several(&secrets(&several), 3)), oracle(products));
        let scaled = secrets(&left).scaled([1, 2, 3, 4, 5]);
        prop_assert_eq!(encoded(&generator.multiply_by_each(&scaled)), oracle(left.iter().zip(1u64..).map(|(k, n)| g * (*k * Scalar::from(n)))));
        let decoded = Points::decode(&encoded(&p), PACKED).unwrap();
        prop_assert!(decoded.equals(&p).into_iter().all(|same| same));
    }

    #[test]
    fn a_fixed_base_takes_every_scalar(k in scalar(), small in 1u64..70) {
        let base = ProjectivePoint::GENERATOR * k;
        let base_point = Point::decode(&base.to_bytes()).unwrap();
        let table = FixedBase::new(base_point);
        for scalar in [k, Scalar::from(small), -Scalar::from(small), Scalar::from(1u64 << 63) * Scalar::from(small)] {
            prop_assert_eq!(table.multiply(&secret(&scalar)).encode().unwrap().to_vec(), oracle([base * scalar]));
        }
    }

    #[test]
    fn a_hashed_point_is_on_the_curve_with_even_y(message: Vec<u8>) {
        let bytes = hash_to_curve_vartime(&message).encode().unwrap();
        prop_assert_eq!(bytes[0], 2);
        prop_assert!(Point::decode(&bytes).is_ok());
    }

    #[test]
    fn any_33_bytes_are_refused_or_come_back_unchanged(bytes in prop::collection::vec(any::<u8>(), 33), lead in 0u8..6) {
        let mut bytes = bytes;
        bytes[0] = lead;
        if let Ok(point) = Point::decode(&bytes) {
            prop_assert_eq!(point.encode().unwrap().to_vec(), bytes);
        }
    }
}

#[test]
fn infinity_cannot_be_encoded_and_its_position_is_told() {
    let g = Point::generator();
    let points = Points::from_iter([g, g.plus(g.negated())]);
    let mut bytes = vec![0; 2 * POINT_SIZE];
    assert_eq!(points.encode_into(&mut bytes, PACKED).unwrap_err().position, 1);
}

#[test]
fn the_specification_vectors_of_hash_to_curve_hold() {
    let expected = [
        ("unit_ec_point", "0295eff36ee6834b476823392ce1f31aeda2c10edf2fdb5a4b2a708a600f18876f"),
        ("67", "028cd818366ef4aeb5acc17d7e2f4a0f7a8782ded54fccf430003dabb121c01731"),
        ("137", "02ae8927da9e5ec31b44de9df7ee76da1fc0c5497341062d670fbd3b98746ddff5"),
        ("", "026b51b9d722460e1f8073e65a824ebe2282f2d7d945491f150c1c04e6e553bb23"),
    ];
    for (message, point) in expected {
        let bytes = hash_to_curve_vartime(message.as_bytes()).encode().unwrap();
        assert_eq!(bytes.map(|byte| format!("{byte:02x}")).concat(), point);
    }
}

/// The choice of a kernel holds for a process: this one starts another for each.
#[test]
fn all_of_this_holds_on_every_kernel() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let tests = std::env::current_exe().unwrap();
    for kernel in Choice::available() {
        let status = std::process::Command::new(&tests).env(VARIABLE, kernel.name()).status().unwrap();
        assert!(status.success(), "the tests fail on the kernel {kernel:?}");
    }
}
