//! Vectors of numbers modulo q: a byte each up to q = 256, four beyond.

use super::parameters::Modulus;
use zeroize::{Zeroize, Zeroizing};

/// What is done to the entries of a vector with as many random values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// target + value
    Add,
    /// target - value
    Subtract,
    /// target * value
    Multiply,
}

/// A number modulo q.
pub trait Entry: Copy + Default + Ord + Send + Sync + Zeroize + 'static {
    /// The largest number that it can hold.
    const MAXIMUM: u32;

    /// A number that is small enough.
    fn new(value: u32) -> Self;
    /// The number.
    fn value(self) -> u32;
    /// Changes the entries of `target` modulo q by as many of `values`; all are less than q. Takes no branch on them.
    fn apply(operation: Operation, target: &mut [Self], values: &[Self], modulus: Modulus);
}

impl Entry for u8 {
    const MAXIMUM: u32 = u8::MAX as u32;

    fn new(value: u32) -> Self {
        value as u8
    }

    fn value(self) -> u32 {
        u32::from(self)
    }

    fn apply(operation: Operation, target: &mut [u8], values: &[u8], modulus: Modulus) {
        let q = modulus.value();
        let low = q as u8; // 0 for q = 256, which is the same to wrapping sums
        let pairs = target.iter_mut().zip(values);
        match operation {
            Operation::Add => pairs.for_each(|(a, b)| {
                let room = low.wrapping_sub(*b); // q - b
                *a = if *a >= room { a.wrapping_sub(room) } else { a.wrapping_add(*b) };
            }),
            Operation::Subtract => pairs.for_each(|(a, b)| {
                let borrowed = if *a < *b { low } else { 0 };
                *a = a.wrapping_sub(*b).wrapping_add(borrowed);
            }),
            Operation::Multiply => {
                let reciprocal = (1 << 16) / q;
                pairs.for_each(|(a, b)| {
                    let product = u32::from(*a) * u32::from(*b);
                    let rest = product - ((product * reciprocal) >> 16) * q; // less than 2 q
                    *a = rest.min(rest.wrapping_sub(q)) as u8;
                });
            }
        }
    }
}

impl Entry for u32 {
    const MAXIMUM: u32 = u32::MAX;

    fn new(value: u32) -> Self {
        value
    }

    fn value(self) -> u32 {
        self
    }

    fn apply(operation: Operation, target: &mut [u32], values: &[u32], modulus: Modulus) {
        let q = modulus.value(); // less than 2^31, so that sums fit
        let pairs = target.iter_mut().zip(values);
        match operation {
            Operation::Add => pairs.for_each(|(a, b)| {
                let sum = *a + *b;
                *a = sum.min(sum.wrapping_sub(q));
            }),
            Operation::Subtract => pairs.for_each(|(a, b)| {
                let difference = a.wrapping_sub(*b);
                *a = difference.min(difference.wrapping_add(q));
            }),
            Operation::Multiply => pairs.for_each(|(a, b)| {
                *a = (u64::from(*a) * u64::from(*b) % u64::from(q)) as u32;
            }),
        }
    }
}

/// A vector in memory, wiped when it is dropped.
pub type Entries<E> = Zeroizing<Vec<E>>;
