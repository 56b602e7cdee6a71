//! Vectors of numbers modulo q: a byte each up to q = 256, four beyond.

use super::kernel::{self, Choice};
use super::packed::append_varint;
use super::parameters::Modulus;
use std::ops::{Deref, DerefMut};
use zeroize::optimization_barrier;

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
pub trait Entry: Copy + Default + Ord + Send + Sync + 'static {
    /// A number that is small enough.
    fn new(value: u32) -> Self;
    /// The number.
    fn value(self) -> u32;
    /// Of big-endian groups of `width` bytes, masked, those less than `modulus` to the front of `out`, which is as long as there
    /// are groups; how many they are.
    fn accept(choice: Choice, groups: &[u8], width: usize, mask: u32, modulus: u32, out: &mut [Self]) -> usize;
    /// Bytes of all of them as numbers of a protocol buffer.
    fn varint_bytes(entries: &[Self]) -> u64;
    /// Appends each as a number of a protocol buffer.
    fn append_varints(entries: &[Self], bytes: &mut Vec<u8>);
    /// How often each value occurs: calls `record(value, times)`, perhaps several times for a value.
    fn tally_vartime(entries: &[Self], record: impl FnMut(u32, u64));
    /// Changes the entries of `target` modulo q by as many of `values`; all are less than q. Takes no branch on them.
    fn apply(operation: Operation, target: &mut [Self], values: &[Self], modulus: Modulus);
}

impl Entry for u8 {
    #[inline]
    fn new(value: u32) -> Self {
        value as u8
    }

    #[inline]
    fn value(self) -> u32 {
        u32::from(self)
    }

    fn accept(choice: Choice, groups: &[u8], _: usize, mask: u32, modulus: u32, out: &mut [u8]) -> usize {
        kernel::accept_bytes(choice, groups, mask as u8, modulus, out) // a byte each, since the modulus is at most 256
    }

    fn varint_bytes(entries: &[u8]) -> u64 {
        entries.iter().map(|entry| 1 + u64::from(entry >> 7)).sum()
    }

    fn append_varints(entries: &[u8], bytes: &mut Vec<u8>) {
        if entries.iter().fold(0, |all, entry| all | entry) < 0x80 {
            return bytes.extend_from_slice(entries);
        }
        for entry in entries {
            append_varint(bytes, u64::from(*entry));
        }
    }

    fn tally_vartime(entries: &[u8], mut record: impl FnMut(u32, u64)) {
        // Four tables, so that equal entries that follow each other do not wait for each other.
        let mut counts = [[0u64; 256]; 4];
        let (fours, rest) = entries.as_chunks::<4>();
        for four in fours {
            for (counts, entry) in counts.iter_mut().zip(four) {
                counts[usize::from(*entry)] += 1;
            }
        }
        for entry in rest {
            counts[0][usize::from(*entry)] += 1;
        }
        for value in 0..=u8::MAX {
            record(u32::from(value), counts.iter().map(|counts| counts[usize::from(value)]).sum());
        }
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
    #[inline]
    fn new(value: u32) -> Self {
        value
    }

    #[inline]
    fn value(self) -> u32 {
        self
    }

    fn accept(_: Choice, groups: &[u8], width: usize, mask: u32, modulus: u32, out: &mut [u32]) -> usize {
        kernel::accept_groups(groups, width, mask, modulus, out)
    }

    fn varint_bytes(entries: &[u32]) -> u64 {
        entries.iter().map(|entry| u64::from((entry | 1).ilog2() / 7 + 1)).sum()
    }

    fn append_varints(entries: &[u32], bytes: &mut Vec<u8>) {
        for entry in entries {
            append_varint(bytes, u64::from(*entry));
        }
    }

    fn tally_vartime(entries: &[u32], mut record: impl FnMut(u32, u64)) {
        for entry in entries {
            record(*entry, 1);
        }
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

/// A vector in memory, wiped when it is dropped: all at once, where `Zeroizing` would wipe entry by entry.
pub struct Entries<E: Entry>(Vec<E>);

impl<E: Entry> Entries<E> {
    /// Room for so many, none yet.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }
}

impl<E: Entry> Deref for Entries<E> {
    type Target = Vec<E>;

    #[inline]
    fn deref(&self) -> &Vec<E> {
        &self.0
    }
}

impl<E: Entry> DerefMut for Entries<E> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<E> {
        &mut self.0
    }
}

impl<E: Entry> Drop for Entries<E> {
    fn drop(&mut self) {
        self.0.clear();
        self.0.resize(self.0.capacity(), E::default());
        optimization_barrier(self.0.as_slice());
    }
}

/// Vectors of at least so many bytes ask for huge pages: the shuffle touches all of one at random.
const HUGE: usize = 4 << 20;

/// A vector of zeros.
pub(super) fn zeroed<E: Entry>(count: usize) -> Entries<E> {
    let mut entries = Entries(vec![E::default(); count]);
    if size_of_val(entries.as_slice()) >= HUGE {
        ask_for_huge_pages(&mut entries);
    }
    entries
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn ask_for_huge_pages<E>(entries: &mut [E]) {
    use rustix::mm::{Advice, madvise};
    const PAGE: usize = 1 << 16; // a multiple of what a page may be
    let range = entries.as_mut_ptr_range();
    let first = range.start.addr().next_multiple_of(PAGE);
    let bytes = (range.end.addr() - first) / PAGE * PAGE;
    // SAFETY: the pages lie within the vector, and this advice changes nothing of what they hold.
    let advised = unsafe { madvise(range.start.with_addr(first).cast(), bytes, Advice::LinuxHugepage) };
    let _ = advised; // without them it is only slower
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages<E>(_: &mut [E]) {}
