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

impl Choice {
    /// Those that this processor has, the slowest first.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        found.extend(
            aesni::available().then_some(Self::AesNi).into_iter().chain(vaes::available().then_some(Self::Vaes)),
        );
        found
    }
}

/// The fastest that the processor has, or the one that the variable `GRISTMILL_AES_KERNEL` names (portable, aesni, vaes), if the
/// processor has it.
pub static CHOICE: LazyLock<Choice> = LazyLock::new(|| {
    let found = Choice::available();
    let wanted = match std::env::var("GRISTMILL_AES_KERNEL").as_deref() {
        Ok("portable") => Some(Choice::Portable),
        Ok("aesni") => Some(Choice::AesNi),
        Ok("vaes") => Some(Choice::Vaes),
        _ => None,
    };
    let named = wanted.filter(|wanted| found.contains(wanted));
    named.or(found.last().copied()).unwrap_or(Choice::Portable)
});

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
