//! Scalars and points at the edges, against libcrypto's answers (tools/edge_vectors.py).

use p256_batch::{Column, FixedBase, POINT_SIZE, Point, Points, Scalars, SecretScalar};
use serde_json::Value;
use std::sync::LazyLock;

const PACKED: Column = Column { stride: POINT_SIZE, offset: 0 };

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/native/edge_vectors.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
});

fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn scalars() -> Scalars {
    let rows = rows(&VECTORS["scalars"]);
    let mut scalars = Scalars::with_capacity(rows.len());
    rows.iter().for_each(|row| scalars.push(&SecretScalar::from_be_bytes(&bytes(row)).unwrap()));
    scalars
}

/// Each of the points with its products by all scalars, one after the other.
fn products() -> impl Iterator<Item = (Point, Vec<u8>)> {
    let points = rows(&VECTORS["points"]).iter().map(|point| Point::decode(&bytes(point)).unwrap());
    points.zip(rows(&VECTORS["products"])).map(|(point, row)| (point, rows(row).iter().flat_map(bytes).collect()))
}

/// All points, and each scalar with the products of them.
fn columns() -> (Points, Vec<(SecretScalar, Vec<u8>)>) {
    let (points, rows): (Vec<Point>, Vec<_>) = products().unzip();
    let scalars = scalars();
    let column = |number: usize| rows.iter().flat_map(move |row| &row[number * POINT_SIZE..][..POINT_SIZE]).copied();
    let columns = (0..scalars.len()).map(|number| (scalars.get(number), column(number).collect()));
    (Points::from_iter(points), columns.collect())
}

fn encoded(points: &Points) -> Vec<u8> {
    let mut target = vec![0; points.len() * POINT_SIZE];
    points.encode_into(&mut target, PACKED).unwrap();
    target
}

#[test]
fn numbers_out_of_range_are_no_scalars() {
    for row in rows(&VECTORS["not_scalars"]) {
        assert!(SecretScalar::from_be_bytes(&bytes(row)).is_err(), "{row}");
    }
}

#[test]
fn wide_numbers_leave_the_remainder_that_libcrypto_finds() {
    for row in rows(&VECTORS["reductions"]) {
        let (wide, remainder) = (bytes(&row[0]), bytes(&row[1]));
        match SecretScalar::from_uniform_bytes(&wide.try_into().unwrap()) {
            Ok(scalar) => assert_eq!(
                *scalar.to_minimal_be_bytes_vartime(),
                *SecretScalar::from_be_bytes(&remainder).unwrap().to_minimal_be_bytes_vartime()
            ),
            Err(_) => assert_eq!(remainder, [0; 32]),
        }
    }
}

#[test]
fn a_fixed_base_multiplies_as_libcrypto_does() {
    for (point, expected) in products() {
        assert_eq!(encoded(&FixedBase::new(point).multiply_by_each(&scalars())), expected);
    }
}

#[test]
fn every_point_times_its_own_scalar_is_what_libcrypto_finds() {
    for (point, expected) in products() {
        assert_eq!(encoded(&Points::repeat(point, scalars().len()).times_each(&scalars())), expected);
        assert_eq!(encoded(&Points::from_iter([point]).times_several(&scalars(), scalars().len())), expected);
    }
}

#[test]
fn every_point_times_one_scalar_is_what_libcrypto_finds() {
    let (points, expected) = columns();
    for (scalar, expected) in expected {
        assert_eq!(encoded(&points.times(&scalar)), expected);
    }
}

#[test]
fn joint_sums_are_the_products_added_up() {
    let (points, expected) = columns();
    for (scalar, expected) in expected {
        let products = Points::decode(&expected, PACKED).unwrap();
        let (once, twice) = Points::combine(&points, &points, &scalar, &scalar);
        assert_eq!(encoded(&once), expected);
        assert_eq!(encoded(&twice), encoded(&products.plus(&products)));
        let (_, nothing) = Points::combine(&points, &points, &scalar, &scalar.negated());
        assert!((0..points.len()).all(|position| nothing.get(position).is_infinity()));
    }
}

#[test]
fn sums_of_equal_and_opposite_points_are_what_libcrypto_finds() {
    let points: Vec<Point> = products().map(|(point, _)| point).collect();
    for (left, row) in points.iter().zip(rows(&VECTORS["sums"])) {
        for (right, sum) in points.iter().zip(rows(row)) {
            let found = Points::from_iter([*left]).plus(&Points::from_iter([*right]));
            if sum.is_null() {
                assert!(found.get(0).is_infinity());
            } else {
                assert_eq!(encoded(&found), bytes(sum));
            }
        }
    }
}

/// libcrypto takes hybrid encodings and that of infinity too; in this protocol both are refused.
#[test]
fn byte_strings_are_points_where_libcrypto_says_so() {
    let mut refused_alone = 0;
    for row in rows(&VECTORS["decoding"]) {
        let encoding = bytes(&row[0]);
        let expected = Some(&row[1]).filter(|_| matches!(encoding.first(), Some(2..=4)));
        let expected = expected.filter(|point| !point.is_null()).map(bytes);
        refused_alone += usize::from(expected.is_none() && !row[1].is_null());
        assert_eq!(Point::decode(&encoding).ok().map(|point| point.encode().unwrap().to_vec()), expected, "{row}");
        if encoding.len() == POINT_SIZE {
            let batch = [encoding.as_slice(), &encoding].concat();
            assert_eq!(
                Points::decode(&batch, PACKED).ok().map(|points| encoded(&points)),
                expected.map(|p| p.repeat(2))
            );
        }
    }
    assert!(refused_alone > 0);
}
