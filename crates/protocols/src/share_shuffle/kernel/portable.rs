//! Plain Rust.

use super::super::entries::Entry;
use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// AES-256 under one key.
pub struct Cipher(Aes256);

impl Cipher {
    /// Expands the key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Aes256::new(&Array::from(*key)))
    }

    /// The encryptions of `counter`, `counter` + 1, ..., modulo 2^128, big-endian. Whole blocks.
    pub fn blocks(&self, counter: u128, out: &mut [u8]) {
        let mut next = counter;
        let (blocks, _) = Array::slice_as_chunks_mut(out);
        for block in blocks.iter_mut() {
            *block = Array::from(next.to_be_bytes());
            next = next.wrapping_add(1);
        }
        self.0.encrypt_blocks(blocks);
    }
}

/// Big-endian groups of `width` bytes, masked; those less than `modulus` go to the front of `out`, which is as long as there are
/// groups. How many they are.
pub fn accept<E: Entry>(groups: &[u8], width: usize, mask: u32, modulus: u32, out: &mut [E]) -> usize {
    let mut accepted = 0;
    for group in groups.chunks_exact(width) {
        let value = group.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)) & mask;
        out[accepted] = E::new(value);
        accepted += usize::from(value < modulus);
    }
    accepted
}

/// For entry `first` + k of `total` the one that it is swapped with, from the k-th 16 bytes.
pub fn targets(words: &[u8], first: u64, total: u64, out: &mut [u32]) {
    for ((word, target), entry) in words.chunks_exact(16).zip(out).zip(first..) {
        let word = u128::from_le_bytes(word.try_into().expect("16 bytes"));
        *target = (entry + (word % u128::from(total - entry)) as u64) as u32;
    }
}
