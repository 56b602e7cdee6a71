//! The arithmetic below the batches: vectors of numbers modulo p, a lane a point.
//!
//! A kernel is a set of loops over vectors; the point algorithms in `batch` are written once, over any of them. Each operation
//! of a formula is a loop of its own over a block of vectors: the products of one vector depend on each other, those of
//! different vectors do not, and the processor overlaps them.
//!
//! Bounds: every vector that an operation returns is *reduced* (at most 2p, with limbs as the kernel says), and every one that it
//! takes must be. Differences and sums, which are larger, live only inside an operation.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;
#[cfg(test)]
mod tests;

use crate::field::Element;
use std::sync::LazyLock;
use zeroize::Zeroize;

/// Vectors that one loop of an operation goes through at most.
pub(crate) const BLOCK: usize = 8;

/// Vectors of LANES numbers. Slices of one call have equal lengths.
pub(crate) trait Kernel: Sized + 'static {
    /// LANES numbers, reduced.
    type Vector: Copy + Zeroize;
    /// The same, small, to be kept.
    type Packed: Copy + Zeroize;
    /// Multiples of one point for `look_up`.
    type Table: Send + Sync;
    const LANES: usize;
    /// log2 of twice the entries of a table.
    const WINDOW: usize;

    /// The same number in every lane.
    fn splat(value: Element) -> Self::Vector;
    /// Numbers into lanes; the lanes that remain get the last one. At least one number.
    fn load(values: &[Element], vectors: &mut [Self::Vector]);
    /// Lanes back into numbers, as many as there are.
    fn store(vectors: &[Self::Vector], values: &mut [Element]);

    /// out = a b
    fn multiply(out: &mut [Self::Vector], a: &[Self::Vector], b: &[Self::Vector]);
    /// a = a b
    fn multiply_by(a: &mut [Self::Vector], b: &[Self::Vector]);
    /// a = a^(2^count)
    fn square(a: &mut [Self::Vector], count: usize);
    /// out = c (a - b)
    fn multiply_by_difference(out: &mut [Self::Vector], c: &[Self::Vector], a: &[Self::Vector], b: &[Self::Vector]);
    /// s = s (x^2 - 1): a tangent's slope, if s is 3 / (2 y), as a = -3. `room` is for what comes between.
    fn multiply_by_tangent(s: &mut [Self::Vector], x: &[Self::Vector], room: &mut [Self::Vector]);
    /// s = a b + s
    fn multiply_and_add(s: &mut [Self::Vector], a: &[Self::Vector], b: &[Self::Vector]);
    /// other = s^2 - other - x: where a line of slope s that meets the curve at x and other meets it again
    fn third(other: &mut [Self::Vector], s: &[Self::Vector], x: &[Self::Vector]);
    /// (x, y) becomes the sum of two points on a line of slope s, itself and the one at `other`; without `other`, twice itself:
    /// x3 = s^2 - x - other, y3 = s (x - x3) - y. `room` is for what comes between.
    fn meet(
        x: &mut [Self::Vector],
        y: &mut [Self::Vector],
        s: &[Self::Vector],
        other: Option<&[Self::Vector]>,
        room: &mut [Self::Vector],
    );
    /// out = x^3 - 3 x + b
    fn curve(out: &mut [Self::Vector], x: &[Self::Vector], b: &Self::Vector);
    /// a = -a in the lanes whose byte is 0xff, not in those with 0
    fn negate_where(a: &mut [Self::Vector], lanes: &[u8]);

    /// Packs 2^(WINDOW - 1) points.
    fn table(x: &[Element], y: &[Element]) -> Self::Table;
    /// The point at each lane's index. The time and the addresses do not depend on the indices.
    fn look_up(table: &Self::Table, indices: &[u8], x: &mut [Self::Vector], y: &mut [Self::Vector]);
    /// Makes a vector small.
    fn pack(vector: &Self::Vector) -> Self::Packed;
    /// For each vector the one of its own entries at each lane's index: each is read. As many entries a vector as there are, those of
    /// the first vector before those of the second.
    fn select(out: &mut [Self::Vector], entries: &[Self::Packed], indices: &[u8]);
}

/// The operations of a kernel as calls of its loops, functions of the module for whose processor features it has looked.
#[cfg(target_arch = "x86_64")]
macro_rules! loops {
    () => {
        fn multiply(out: &mut [Vector], a: &[Vector], b: &[Vector]) {
            unsafe { each_product(out, a, b) }
        }

        fn multiply_by(a: &mut [Vector], b: &[Vector]) {
            unsafe { each_product_by(a, b) }
        }

        fn square(a: &mut [Vector], count: usize) {
            unsafe { each_square(a, count) }
        }

        fn multiply_by_difference(out: &mut [Vector], c: &[Vector], a: &[Vector], b: &[Vector]) {
            unsafe { each_product_by_difference(out, c, a, b) }
        }

        fn multiply_by_tangent(s: &mut [Vector], x: &[Vector], room: &mut [Vector]) {
            unsafe { each_product_by_tangent(s, x, room) }
        }

        fn multiply_and_add(s: &mut [Vector], a: &[Vector], b: &[Vector]) {
            unsafe { each_product_and_sum(s, a, b) }
        }

        fn third(other: &mut [Vector], s: &[Vector], x: &[Vector]) {
            unsafe { each_third(other, s, x) }
        }

        fn meet(x: &mut [Vector], y: &mut [Vector], s: &[Vector], other: Option<&[Vector]>, room: &mut [Vector]) {
            unsafe { each_meeting(x, y, s, other, room) }
        }

        fn curve(out: &mut [Vector], x: &[Vector], b: &Vector) {
            unsafe { each_curve(out, x, b) }
        }

        fn negate_where(a: &mut [Vector], lanes: &[u8]) {
            unsafe { each_negation(a, lanes) }
        }

        fn select(out: &mut [Vector], entries: &[Self::Packed], indices: &[u8]) {
            unsafe { each_selection(out, entries, indices) }
        }
    };
}
#[cfg(target_arch = "x86_64")]
use loops;

/// A kernel that a process can use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// 64-bit integers, everywhere.
    Portable,
    /// AVX2, four lanes.
    Avx2,
    /// AVX-512 with 52-bit multiply-add (IFMA), eight lanes.
    Avx512,
}

/// Names the kernel that a process is to use; without it, or if it is empty, that is the fastest.
pub const VARIABLE: &str = "GRISTMILL_P256_KERNEL";

/// The variable does not name a kernel that can be used here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KernelError {
    /// There is none of this name.
    #[error("{variable} is {0:?}, which is no kernel: portable, avx2 or avx512 is one", variable = VARIABLE)]
    Unknown(String),
    /// There is, for other processors.
    #[error("{variable} is {0:?}, which this processor does not have", variable = VARIABLE)]
    Missing(&'static str),
}

impl Choice {
    const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// Those that the processor has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|choice| choice.is_available())
    }

    /// What the variable calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The fastest, or the one that is named: never another than that.
    fn named(name: &str) -> Result<Self, KernelError> {
        let mut usable = Self::available();
        if name.is_empty() {
            return Ok(usable.next().unwrap_or(Self::Portable));
        }
        let Some(wanted) = Self::ALL.into_iter().find(|choice| choice.name() == name) else {
            return Err(KernelError::Unknown(name.to_owned()));
        };
        usable.find(|choice| *choice == wanted).ok_or(KernelError::Missing(wanted.name()))
    }

    /// The one that the environment asks for. Callers who cannot do with a panic of `CHOICE` ask here first.
    pub fn of_environment() -> Result<Self, KernelError> {
        Self::named(&std::env::var_os(VARIABLE).unwrap_or_default().to_string_lossy())
    }
}

/// The kernel that this process uses. Panics at first use if the environment asks for one that there is not.
pub static CHOICE: LazyLock<Choice> =
    LazyLock::new(|| Choice::of_environment().unwrap_or_else(|error| panic!("{error}")));

/// Calls a generic function with the kernel in use.
macro_rules! dispatch {
    ($function:ident ( $($argument:expr),* $(,)? )) => {
        match *$crate::kernel::CHOICE {
            #[cfg(target_arch = "x86_64")]
            $crate::kernel::Choice::Avx2 => $function::<$crate::kernel::avx2::Avx2>($($argument),*),
            #[cfg(target_arch = "x86_64")]
            $crate::kernel::Choice::Avx512 => $function::<$crate::kernel::avx512::Avx512>($($argument),*),
            _ => $function::<$crate::kernel::portable::Portable>($($argument),*),
        }
    };
}
pub(crate) use dispatch;
