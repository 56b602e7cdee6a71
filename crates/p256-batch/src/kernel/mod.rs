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
    /// c = c (a - b)
    fn multiply_by_difference(c: &mut [Self::Vector], a: &[Self::Vector], b: &[Self::Vector]);
    /// c = c 2y
    fn multiply_by_double(c: &mut [Self::Vector], y: &[Self::Vector]);
    /// s = s (3 x^2 - 3): the numerator of the tangent's slope, for a = -3
    fn multiply_by_tangent(s: &mut [Self::Vector], x: &[Self::Vector]);
    /// out = s^2 - a - b
    fn square_minus(out: &mut [Self::Vector], s: &[Self::Vector], a: &[Self::Vector], b: &[Self::Vector]);
    /// y = s (x - x3) - y
    fn reflect(y: &mut [Self::Vector], s: &[Self::Vector], x: &[Self::Vector], x3: &[Self::Vector]);
    /// out = x^3 - 3 x + b
    fn curve(out: &mut [Self::Vector], x: &[Self::Vector], b: &Self::Vector);
    /// a = -a in the lanes whose byte is 0xff, not in those with 0
    fn negate_where(a: &mut [Self::Vector], lanes: &[u8]);

    /// Packs 2^(WINDOW - 1) points.
    fn table(x: &[Element], y: &[Element]) -> Self::Table;
    /// The point at each lane's index. The time and the addresses do not depend on the indices.
    fn look_up(table: &Self::Table, indices: &[u8], x: &mut [Self::Vector], y: &mut [Self::Vector]);
    /// For vector v the one at each lane's index of entries[v], entries[v + stride], entries[v + 2 stride], ...: each is read.
    fn select(out: &mut [Self::Vector], entries: &[Self::Vector], indices: &[u8], stride: usize);
}

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
