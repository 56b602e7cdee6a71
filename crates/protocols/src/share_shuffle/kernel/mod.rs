//! The loops that are worth a processor's own instructions: the keystream, throwing away what is too large, and the partners
//! of the shuffle. All kernels give the same bytes.

#[cfg(target_arch = "x86_64")]
mod aesni;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vaes;

pub(super) use portable::accept_groups;

use std::sync::LazyLock;
#[cfg(target_arch = "x86_64")]
use zeroize::Zeroizing;

/// Bytes of a block of AES, and of what a partner is drawn from.
pub(super) const BLOCK: usize = 16;

/// Which loops are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// Plain Rust, everywhere. AES is that of the `aes` crate, which itself knows several processors.
    Portable,
    /// AES instructions, a block at a time.
    AesNi,
    /// AES instructions on four blocks at a time, and AVX-512 for the rest.
    Vaes,
}

/// Names the loops that a process is to use; without it, or if it is empty, they are the fastest.
pub const VARIABLE: &str = "GRISTMILL_AES_KERNEL";

/// The variable does not name loops that can be used here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KernelError {
    /// There are none of this name.
    #[error("{variable} is {0:?}, which is no kernel: portable, aesni or vaes is one", variable = VARIABLE)]
    Unknown(String),
    /// There are, for other processors.
    #[error("{variable} is {0:?}, which this processor does not have", variable = VARIABLE)]
    Missing(&'static str),
}

impl Choice {
    const ALL: [Self; 3] = [Self::Vaes, Self::AesNi, Self::Portable];

    /// Those that the processor has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|choice| choice.is_available())
    }

    /// What the variable calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::AesNi => "aesni",
            Self::Vaes => "vaes",
        }
    }

    fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::AesNi => aesni::available(),
            #[cfg(target_arch = "x86_64")]
            Self::Vaes => vaes::available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The one that the environment asks for. Callers who cannot do with a panic of `CHOICE` ask here first.
    pub fn of_environment() -> Result<Self, KernelError> {
        let name = std::env::var_os(VARIABLE).unwrap_or_default().to_string_lossy().into_owned();
        let mut usable = Self::available();
        if name.is_empty() {
            return Ok(usable.next().unwrap_or(Self::Portable));
        }
        let Some(wanted) = Self::ALL.into_iter().find(|choice| choice.name() == name) else {
            return Err(KernelError::Unknown(name));
        };
        usable.find(|choice| *choice == wanted).ok_or(KernelError::Missing(wanted.name()))
    }
}

/// What this process uses. Panics at first use if the environment asks for what there is not.
pub static CHOICE: LazyLock<Choice> =
    LazyLock::new(|| Choice::of_environment().unwrap_or_else(|error| panic!("{error}")));

/// AES-256 under one key, wiped when it is dropped.
pub(super) enum Cipher {
    Portable(Box<portable::Cipher>),
    #[cfg(target_arch = "x86_64")]
    AesNi(Zeroizing<aesni::RoundKeys>),
    #[cfg(target_arch = "x86_64")]
    Vaes(Zeroizing<aesni::RoundKeys>),
}

impl Cipher {
    pub fn new(choice: Choice, key: &[u8; 32]) -> Self {
        match choice {
            #[cfg(target_arch = "x86_64")]
            Choice::AesNi => Self::AesNi(Zeroizing::new(aesni::expand(key))),
            #[cfg(target_arch = "x86_64")]
            Choice::Vaes => Self::Vaes(Zeroizing::new(aesni::expand(key))),
            _ => Self::Portable(Box::new(portable::Cipher::new(key))),
        }
    }

    /// The encryptions of `counter`, `counter` + 1, ..., modulo 2^128, big-endian. Whole blocks.
    pub fn blocks(&self, counter: u128, out: &mut [u8]) {
        match self {
            Self::Portable(cipher) => cipher.blocks(counter, out),
            #[cfg(target_arch = "x86_64")]
            Self::AesNi(keys) => aesni::blocks(keys, counter, out),
            #[cfg(target_arch = "x86_64")]
            Self::Vaes(keys) => vaes::blocks(keys, counter, out),
        }
    }
}

/// Of the bytes, masked, those less than `modulus` (at most 256) to the front of `out`, which is as long; how many they are.
/// The time may depend on which are thrown away; they are independent of those that are kept.
pub(super) fn accept_bytes(choice: Choice, bytes: &[u8], mask: u8, modulus: u32, out: &mut [u8]) -> usize {
    match choice {
        #[cfg(target_arch = "x86_64")]
        Choice::Vaes => vaes::accept_bytes(bytes, mask, modulus, out),
        _ => portable::accept_bytes(bytes, mask, modulus, out),
    }
}

/// For entry `first` + k of `total` (less than 2^32) the one from it on that it is swapped with, from the k-th 16 bytes.
pub(super) fn partners(choice: Choice, words: &[u8], first: u64, total: u64, out: &mut [u32]) {
    match choice {
        #[cfg(target_arch = "x86_64")]
        Choice::Vaes => vaes::partners(words, first, total, out),
        _ => portable::partners(words, first, total, out),
    }
}

/// Asks for the cache line of an entry that will be changed soon.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) fn prefetch<T>(entries: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address, here one computed without overflow checks, has no effect but on the cache.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(entries.as_ptr().wrapping_add(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (entries, at);
}
