//! Bytes from outside make no parser panic. The same functions are targets of cargo-fuzz, which runs for as long as one likes.

#[path = "../fuzz/parsers.rs"]
mod parsers;

use parsers::SECRET;
use proptest::prelude::*;
use protocols::el_gamal::CIPHERTEXT_SIZE;
use protocols::keys::public_element;
use protocols::llv2::{REGISTER_SIZE, TUPLE_SIZE};

/// Points of which pairs are equal, opposite, or decrypt to infinity; and bytes that are no points.
fn point() -> impl Strategy<Value = Vec<u8>> {
    let multiple = (1u8..4).prop_map(|scalar| public_element(&[scalar]).unwrap().to_vec());
    let opposite = (1u8..4).prop_map(|scalar| {
        let mut point = public_element(&[scalar]).unwrap().to_vec();
        point[0] ^= 1;
        point
    });
    let other = prop::collection::vec(any::<u8>(), 33);
    prop_oneof![200 => multiple, 100 => opposite, 1 => other]
}

/// Whole records, now and then cut short.
fn records(record: usize) -> impl Strategy<Value = Vec<u8>> {
    let points = prop::collection::vec(prop::collection::vec(point(), record / 33), 0..8);
    (points, 0usize..8).prop_map(move |(records, cut)| {
        let mut bytes = records.concat().concat();
        bytes.truncate(if cut == 0 { bytes.len() / 2 } else { bytes.len() });
        bytes
    })
}

fn anything(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

/// Messages of which most are whole: packed parts, single numbers, other fields; now and then cut short.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let number =
        prop_oneof![4 => (0u8..5).prop_map(|small| vec![small]), 1 => Just(vec![0xff, 0x01]), 1 => anything(4)];
    let packed = prop::collection::vec(number.clone(), 0..70).prop_map(|numbers| {
        let numbers = numbers.concat();
        [&[0x0a, (numbers.len() & 0x7f) as u8][..], &numbers].concat()
    });
    let single = number.prop_map(|number| [&[0x08][..], &number].concat());
    let other = prop_oneof![Just(vec![0x10, 5]), Just(vec![0x1a, 2, 9, 9]), Just(vec![0x2d, 1, 2, 3, 4]), anything(5)];
    let fields = prop::collection::vec(prop_oneof![8 => packed, 3 => single, 2 => other], 0..6);
    (fields, 0usize..8).prop_map(|(fields, cut)| {
        let mut bytes = fields.concat();
        bytes.truncate(if cut == 0 { bytes.len() / 2 } else { bytes.len() });
        bytes
    })
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![anything(70), point(), (point(), point()).prop_map(|(one, other)| [one, other].concat())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_sketch_is_taken_or_refused(bytes in prop_oneof![anything(1000), records(REGISTER_SIZE)]) {
        parsers::sketch(&bytes);
    }

    #[test]
    fn a_register_vector_is_taken_or_refused(bytes in prop_oneof![anything(1000), records(REGISTER_SIZE)]) {
        parsers::register_vector(&bytes);
    }

    #[test]
    fn a_tuple_vector_is_taken_or_refused(bytes in prop_oneof![anything(1000), records(TUPLE_SIZE)]) {
        parsers::tuple_vector(&bytes);
    }

    #[test]
    fn a_matrix_is_taken_or_refused(bytes in prop_oneof![anything(1000), records(3 * CIPHERTEXT_SIZE)]) {
        parsers::matrix_vector(&bytes);
    }

    #[test]
    fn a_reach_only_sketch_is_taken_or_refused(bytes in prop_oneof![anything(400), records(CIPHERTEXT_SIZE)]) {
        parsers::reach_only_sketch(&bytes);
    }

    #[test]
    fn a_reach_only_blob_is_taken_or_refused(bytes in prop_oneof![anything(400), records(CIPHERTEXT_SIZE)]) {
        parsers::reach_only_blob(&bytes);
    }

    #[test]
    fn a_share_vector_is_taken_or_refused(bytes in prop_oneof![anything(300), message()]) {
        parsers::share_vector(&bytes);
    }

    #[test]
    fn an_element_of_a_public_key_is_taken_or_refused(bytes in element()) {
        parsers::public_key(&bytes);
    }

    #[test]
    fn a_scalar_is_taken_or_refused(bytes in anything(40)) {
        parsers::scalar(&bytes);
    }
}

#[test]
fn the_duchys_own_secret_is_a_scalar() {
    parsers::scalar(SECRET);
}
