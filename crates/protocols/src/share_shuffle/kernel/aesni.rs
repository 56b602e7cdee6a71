//! The processor's AES instructions.

#![allow(unsafe_code)] // every unsafe block here calls a function that needs what `available` looks for, or says why

use super::BLOCK;
use std::arch::x86_64::*;

/// Of AES-256, in the order of the rounds.
pub type RoundKeys = [[u8; BLOCK]; 15];
/// Blocks that are computed side by side.
const SIDE_BY_SIDE: usize = 8;

/// Whether this processor has them.
pub fn available() -> bool {
    is_x86_feature_detected!("aes") && is_x86_feature_detected!("sse2")
}

/// The key schedule.
pub fn expand(key: &[u8; 32]) -> RoundKeys {
    // SAFETY: see the top.
    unsafe { expanded(key) }
}

/// See `kernel::Cipher`.
pub fn blocks(keys: &RoundKeys, counter: u128, out: &mut [u8]) {
    // SAFETY: see the top.
    unsafe { all_blocks(keys, counter, out) }
}

pub fn load(bytes: &[u8; BLOCK]) -> __m128i {
    // SAFETY: 16 bytes are read, from any address; SSE2 is part of the architecture.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

fn store(bytes: &mut [u8; BLOCK], value: __m128i) {
    // SAFETY: the same, written.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), value) }
}

#[target_feature(enable = "aes,sse2")]
fn expanded(key: &[u8; 32]) -> RoundKeys {
    let mut keys = [[0; BLOCK]; 15];
    let halves = key.as_chunks::<BLOCK>().0;
    let (mut even, mut odd) = (load(&halves[0]), load(&halves[1]));
    let spread = |key: __m128i, word: __m128i| {
        let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
        _mm_xor_si128(_mm_xor_si128(key, _mm_slli_si128::<8>(key)), word)
    };
    keys[..2].copy_from_slice(halves);
    macro_rules! next_even {
        ($round:literal, $constant:literal) => {
            even = spread(even, _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(odd)));
            store(&mut keys[$round], even);
        };
    }
    macro_rules! next_two {
        ($round:literal, $constant:literal) => {
            next_even!($round, $constant);
            odd = spread(odd, _mm_shuffle_epi32::<0xaa>(_mm_aeskeygenassist_si128::<0>(even)));
            store(&mut keys[$round + 1], odd);
        };
    }
    next_two!(2, 1);
    next_two!(4, 2);
    next_two!(6, 4);
    next_two!(8, 8);
    next_two!(10, 16);
    next_two!(12, 32);
    next_even!(14, 64);
    keys
}

#[target_feature(enable = "aes,sse2")]
fn all_blocks(keys: &RoundKeys, counter: u128, out: &mut [u8]) {
    let keys = keys.map(|key| load(&key));
    let mut next = counter;
    let mut encrypt = |blocks: &mut [[u8; BLOCK]]| {
        let mut state = [_mm_setzero_si128(); SIDE_BY_SIDE];
        for block in &mut state {
            *block = _mm_xor_si128(load(&next.to_be_bytes()), keys[0]);
            next = next.wrapping_add(1);
        }
        for key in &keys[1..14] {
            for block in &mut state {
                *block = _mm_aesenc_si128(*block, *key);
            }
        }
        for (bytes, block) in blocks.iter_mut().zip(state) {
            store(bytes, _mm_aesenclast_si128(block, keys[14]));
        }
    };
    for blocks in out.as_chunks_mut::<BLOCK>().0.chunks_mut(SIDE_BY_SIDE) {
        encrypt(blocks);
    }
}
