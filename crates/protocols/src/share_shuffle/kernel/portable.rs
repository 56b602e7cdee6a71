//! Plain Rust.

use super::super::entries::Entry;
use super::BLOCK;
use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// AES-256 under one key.
pub struct Cipher(Aes256);

impl Cipher {
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Aes256::new(&Array::from(*key)))
    }

    /// See `kernel::Cipher`.
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

/// See `kernel`.
pub fn accept_bytes(bytes: &[u8], mask: u8, modulus: u32, out: &mut [u8]) -> usize {
    const STEP: usize = 16;
    let mut accepted = 0;
    for step in bytes.chunks(STEP) {
        // With modulus 127 seven steps of eight are accepted whole.
        if let Ok(step) = <&[u8; STEP]>::try_from(step)
            && step.iter().fold(true, |all, byte| all & (u32::from(byte & mask) < modulus))
        {
            for (value, byte) in out[accepted..accepted + STEP].iter_mut().zip(step) {
                *value = byte & mask;
            }
            accepted += STEP;
            continue;
        }
        for byte in step {
            out[accepted] = byte & mask;
            accepted += usize::from(u32::from(byte & mask) < modulus);
        }
    }
    accepted
}

/// The same for big-endian groups of `width` bytes.
pub fn accept_groups<E: Entry>(groups: &[u8], width: usize, mask: u32, modulus: u32, out: &mut [E]) -> usize {
    let mut accepted = 0;
    for group in groups.chunks_exact(width) {
        let value = group.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)) & mask;
        out[accepted] = E::new(value);
        accepted += usize::from(value < modulus);
    }
    accepted
}

/// See `kernel`. The divisors follow each other downwards, so that the reciprocal of each is had from the one before.
pub fn partners(words: &[u8], first: u64, total: u64, out: &mut [u32]) {
    let mut by = Divisor::new(total - first);
    for ((word, partner), entry) in words.as_chunks::<BLOCK>().0.iter().zip(out).zip(first..) {
        by.decrease_to(total - entry);
        *partner = (entry + by.remainder(u128::from_le_bytes(*word))) as u32;
    }
}

/// Remainders by a number below 2^32, without divisions.
struct Divisor {
    value: u64,
    /// 2^64 = reciprocal * value + rest, rest <= value
    reciprocal: u64,
    rest: u64,
}

impl Divisor {
    fn new(value: u64) -> Self {
        let reciprocal = u64::MAX / value;
        Self { value, reciprocal, rest: 0u64.wrapping_sub(reciprocal.wrapping_mul(value)) }
    }

    /// About what `number` divided by the divisor is, never more.
    fn quotient(&self, number: u64) -> u64 {
        ((u128::from(number) * u128::from(self.reciprocal)) >> 64) as u64
    }

    /// To the same number or the next smaller one.
    fn decrease_to(&mut self, value: u64) {
        if value == self.value {
            return;
        }
        if value == 1 {
            return *self = Self::new(1); // whose exact reciprocal would need 65 bits
        }
        // 2^64 = reciprocal * (value - 1) + rest + reciprocal: what is too much of the rest goes to the reciprocal.
        self.value = value;
        self.rest += self.reciprocal;
        let more = self.quotient(self.rest);
        self.reciprocal += more;
        self.rest -= more * value;
        while self.rest >= value {
            let more = self.quotient(self.rest).max(1);
            self.reciprocal += more;
            self.rest -= more * value;
        }
    }

    fn remainder(&self, word: u128) -> u64 {
        let once = |number: u64| number.min(number.wrapping_sub(self.value));
        let reduced = |number: u64| number - self.quotient(number) * self.value; // at most one divisor too large
        let high = once(reduced((word >> 64) as u64));
        let sum = reduced(high * self.rest) + reduced(word as u64);
        once(sum.min(sum.wrapping_sub(2 * self.value)))
    }
}
