//! Runs the batch operations under valgrind's memcheck with all secrets marked as undefined, so that a branch or an address that
//! depends on one is an error: `valgrind --error-exitcode=9 constant_time [branch | address]`. The arguments make such an error on
//! purpose.

use p256_batch::memcheck::{declassify, is_secret, make_secret, running};
use p256_batch::{
    CHOICE, Column, FixedBase, POINT_SIZE, Point, Points, Scalars, SecretScalar, hash_all_to_curve_vartime,
};
use std::hint::black_box;

const PACKED: Column = Column { stride: POINT_SIZE, offset: 0 };
const POINTS: usize = 35;
/// Products of one point in `times_several`.
const SEVERAL: usize = 3;

/// Bytes that look random, marked as secret.
fn secret_bytes<const N: usize>(number: usize) -> [u8; N] {
    let mut state = number as u64 + 1;
    let mut bytes = [0; N].map(|_: u8| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    });
    bytes[0] &= 0x7f; // below the order
    make_secret(&mut bytes);
    bytes
}

fn scalar(number: usize) -> SecretScalar {
    SecretScalar::from_be_bytes(&secret_bytes::<32>(number)).expect("a scalar")
}

fn scalars(numbers: std::ops::Range<usize>) -> Scalars {
    let mut all = Scalars::with_capacity(numbers.len());
    numbers.for_each(|number| all.push(&scalar(number)));
    all
}

/// One in three is true, and all are secret.
fn marks() -> [bool; POINTS] {
    let mut marks = std::array::from_fn(|place| place % 3 == 1);
    make_secret(&mut marks);
    marks
}

fn encodings(points: &Points) -> Vec<u8> {
    let mut bytes = vec![0; points.len() * POINT_SIZE];
    points.encode_into(&mut bytes, PACKED).expect("no infinity");
    bytes
}

/// What comes out must still be secret, or the operation has been tested for nothing.
fn finish(what: &str, mut bytes: Vec<u8>) {
    assert!(bytes.chunks_exact(POINT_SIZE).all(|point| is_secret(&point[1..])), "{what}: no secret went in");
    declassify(&mut bytes);
    println!("{what}: {:02x?}", &bytes[..4]);
}

fn multiply(public: &Points, plaintexts: &Points) {
    let key = scalar(1);
    finish("times, public points", encodings(&public.times(&key)));
    finish("times, plaintexts", encodings(&plaintexts.times(&key)));
    finish("times_each", encodings(&plaintexts.times_each(&scalars(100..100 + POINTS))));
    finish("times_several", encodings(&plaintexts.times_several(&scalars(0..SEVERAL * POINTS), SEVERAL)));
    let (u, e) = Points::combine(public, plaintexts, &key, &scalar(2));
    finish("combine, u", encodings(&u));
    finish("combine, e", encodings(&e));
    let base = FixedBase::new(public.get(0));
    finish("multiply_by_each", encodings(&base.multiply_by_each(&scalars(200..200 + POINTS))));
    let single = [base.multiply(&key), public.get(1).times(&key), Point::generator().times(&key).plus(public.get(1))];
    finish("single points", encodings(&Points::from_iter(single)));
}

/// Scalars so small that some make an addition exceptional, and the whole batch is computed another way.
fn multiply_by_small_scalars(plaintexts: &Points) {
    let mut small = Scalars::with_capacity(POINTS);
    for number in 1..=POINTS as u8 {
        let mut bytes = [number];
        make_secret(&mut bytes);
        small.push(&SecretScalar::from_be_bytes(&bytes).expect("a scalar"));
    }
    finish("times_each, small scalars", encodings(&plaintexts.times_each(&small)));
    finish("times_several, small scalars", encodings(&plaintexts.times_several(&small, 1)));
    finish("multiply_by_each, small scalars", encodings(&FixedBase::generator().multiply_by_each(&small)));
}

fn select(public: &Points, plaintexts: &Points) {
    let mut positions: [usize; 8] = std::array::from_fn(|place| (place * 11) % POINTS);
    make_secret(&mut positions);
    finish("select_each", encodings(&public.select_each(&positions)));
    let replaced = public.clone().replaced_where(&marks(), plaintexts.get(0));
    finish("replaced_where", encodings(&replaced));
}

fn sum(public: &Points, plaintexts: &Points) {
    finish("plus", encodings(&plaintexts.plus(public)));
    finish("minus", encodings(&public.minus(plaintexts)));
    finish("sums", encodings(&plaintexts.sums([POINTS - 20, 12, 8])));
    // The first point is also the last: a sum that the affine formulas cannot do.
    let rotated = plaintexts.gather((0..POINTS).map(|place| (place + 1) % POINTS));
    let same = plaintexts.gather(0..1).chain(&rotated.split(1).1);
    finish("plus, one point twice", encodings(&plaintexts.plus(&same)));
}

/// Which points are at infinity is secret. The results are made finite, as infinity has no encoding.
fn infinities(public: &Points, plaintexts: &Points) {
    let marks = marks();
    let some = plaintexts.clone().replaced_where(&marks, Point::infinity());
    let filled = |points: Points| encodings(&points.replaced_where(&marks, public.get(3)));
    finish("plus, with infinities", filled(some.plus(public)));
    finish("minus, with infinities", encodings(&public.minus(&some)));
    let same_where_marked = (0..POINTS).map(|place| if place % 3 == 1 { place } else { (place + 1) % POINTS });
    finish("minus, infinities come out", filled(plaintexts.minus(&plaintexts.gather(same_where_marked))));
    finish("times, with infinities", filled(some.times(&scalar(3))));
    finish("times_each, with infinities", filled(some.times_each(&scalars(0..POINTS))));
    let all = some.times_several(&scalars(0..POINTS), 1);
    finish("times_several, with infinities", filled(all));
    let (u, e) = Points::combine(public, &some, &scalar(4), &scalar(5));
    finish("combine, with infinities, u", encodings(&u));
    finish("combine, with infinities, e", encodings(&e));
}

fn compare(public: &Points, plaintexts: &Points) {
    let marks = marks();
    let some = plaintexts.clone().replaced_where(&marks, Point::infinity());
    for (what, other) in [("public points", public), ("plaintexts", plaintexts), ("some at infinity", &some)] {
        let mut verdicts = plaintexts.equals(other);
        make_bytes_public(&mut verdicts, what);
        println!("equals, {what}: {}", verdicts.iter().filter(|same| **same).count());
    }
}

fn make_bytes_public(verdicts: &mut [bool], what: &str) {
    let bytes: Vec<u8> = verdicts.iter().map(|verdict| u8::from(*verdict)).collect();
    assert!(is_secret(&bytes), "{what}: no secret went in");
    declassify(verdicts);
}

fn compute_with_scalars(public: &Points) {
    let uniform = SecretScalar::from_uniform_bytes(&secret_bytes(5)).expect("not zero");
    let all = scalars(0..POINTS);
    finish("uniform", encodings(&public.times(&uniform.times(&scalar(6)).negated())));
    let products = all.times_each(&scalars(300..300 + POINTS)).scaled((0..POINTS as u64).map(|factor| factor + 1));
    finish("products of scalars", encodings(&public.times_each(&products)));
    let rearranged = all.chain(&products).column(2, 1).gather((0..POINTS).rev());
    finish("scalars rearranged", encodings(&public.times_each(&rearranged)));
}

fn main() {
    assert!(running(), "this means nothing without valgrind");
    println!("kernel: {:?}", *CHOICE);
    let names: Vec<String> = (0..POINTS).map(|number| number.to_string()).collect();
    let public = hash_all_to_curve_vartime(&names);
    let plaintexts = public.times_each(&scalars(400..400 + POINTS));
    match std::env::args().nth(1).as_deref() {
        None => {
            multiply(&public, &plaintexts);
            multiply_by_small_scalars(&plaintexts);
            select(&public, &plaintexts);
            sum(&public, &plaintexts);
            infinities(&public, &plaintexts);
            compare(&public, &plaintexts);
            compute_with_scalars(&public);
        }
        Some("branch") => {
            if encodings(&plaintexts)[0] == 2 {
                println!("even");
            }
        }
        Some("address") => {
            let table = black_box([7u8; 256]);
            black_box(table[usize::from(encodings(&plaintexts)[1])]);
        }
        Some(other) => panic!("{other}: branch or address"),
    }
}
