//! AES on four blocks at a time, and AVX-512 for the rest.

#![allow(unsafe_code)] // every unsafe block here calls a function that needs what `available` looks for, or says why

use super::aesni::{self, RoundKeys};
use super::{BLOCK, portable};
use std::arch::x86_64::*;

/// Blocks in a vector.
const LANES: usize = BYTES / BLOCK;
/// Bytes of a vector.
const BYTES: usize = 64;
/// Vectors of blocks that are computed side by side.
const SIDE_BY_SIDE: usize = 8;
/// Partners in a vector of 64-bit integers.
const PARTNERS: usize = 8;

/// Whether this processor has it.
pub fn available() -> bool {
    aesni::available()
        && is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// See `kernel::Cipher`.
pub fn blocks(keys: &RoundKeys, counter: u128, out: &mut [u8]) {
    let mut rest = out;
    let mut next = counter;
    while !rest.is_empty() {
        // Within a run the low half of the counter does not overflow.
        let until_overflow = u128::from(u64::MAX - next as u64) + 1;
        let run = until_overflow.min((rest.len() / BLOCK) as u128);
        let (part, after) = rest.split_at_mut(run as usize * BLOCK);
        // SAFETY: see the top.
        unsafe { run_of_blocks(keys, next, part) };
        (next, rest) = (next.wrapping_add(run), after);
    }
}

/// See `kernel`.
pub fn accept_bytes(bytes: &[u8], mask: u8, modulus: u32, out: &mut [u8]) -> usize {
    // SAFETY: see the top.
    unsafe { accepted_bytes(bytes, mask, modulus, out) }
}

/// See `kernel`.
pub fn partners(words: &[u8], first: u64, total: u64, out: &mut [u32]) {
    // The last entry has no choice; its divisor of 1 has no reciprocal below 2^52.
    let vectors = out.len().min((total - 1 - first) as usize) / PARTNERS * PARTNERS;
    let (some, rest) = out.split_at_mut(vectors);
    let (some_words, rest_words) = words.split_at(vectors * BLOCK);
    // SAFETY: see the top.
    unsafe {
        // How many bits may follow a remainder below 2 (total - first) so that it still has 52.
        if total - first < 1 << 24 {
            vectors_of_partners::<27>(some_words, first, total, some);
        } else {
            vectors_of_partners::<19>(some_words, first, total, some);
        }
    }
    portable::partners(rest_words, first + vectors as u64, total, rest);
}

fn load(bytes: &[u8; BYTES]) -> __m512i {
    // SAFETY: 64 bytes are read, from any address.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

fn store(bytes: &mut [u8; BYTES], value: __m512i) {
    // SAFETY: the same, written.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), value) }
}

#[target_feature(enable = "vaes,avx512f,avx512bw")]
fn run_of_blocks(keys: &RoundKeys, counter: u128, out: &mut [u8]) {
    let keys = keys.map(|key| _mm512_broadcast_i32x4(aesni::load(&key)));
    let (high, low) = ((counter >> 64) as i64, counter as i64);
    let reversed = _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    let four = _mm512_set_epi64(0, LANES as i64, 0, LANES as i64, 0, LANES as i64, 0, LANES as i64);
    let first = _mm512_set_epi64(high, low, high, low, high, low, high, low);
    let mut next = _mm512_add_epi64(first, _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0));
    let (steps, rest) = out.as_chunks_mut::<{ SIDE_BY_SIDE * BYTES }>();
    for step in steps {
        let mut state = [_mm512_setzero_si512(); SIDE_BY_SIDE];
        for block in &mut state {
            *block = _mm512_xor_si512(_mm512_shuffle_epi8(next, reversed), keys[0]);
            next = _mm512_add_epi64(next, four);
        }
        for key in &keys[1..14] {
            for block in &mut state {
                *block = _mm512_aesenc_epi128(*block, *key);
            }
        }
        for (bytes, block) in step.as_chunks_mut::<BYTES>().0.iter_mut().zip(state) {
            store(bytes, _mm512_aesenclast_epi128(block, keys[14]));
        }
    }
    for bytes in rest.chunks_mut(BYTES) {
        let mut block = _mm512_xor_si512(_mm512_shuffle_epi8(next, reversed), keys[0]);
        next = _mm512_add_epi64(next, four);
        for key in &keys[1..14] {
            block = _mm512_aesenc_epi128(block, *key);
        }
        let mut whole = [0; BYTES];
        store(&mut whole, _mm512_aesenclast_epi128(block, keys[14]));
        bytes.copy_from_slice(&whole[..bytes.len()]);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
fn accepted_bytes(bytes: &[u8], mask: u8, modulus: u32, out: &mut [u8]) -> usize {
    let (mask_vector, largest) = (_mm512_set1_epi8(mask as i8), _mm512_set1_epi8((modulus - 1) as u8 as i8));
    let (vectors, rest) = bytes.as_chunks::<BYTES>();
    let mut accepted = 0;
    for vector in vectors {
        let values = _mm512_and_si512(load(vector), mask_vector);
        let kept = _mm512_cmple_epu8_mask(values, largest);
        let values = _mm512_maskz_compress_epi8(kept, values);
        let target = &mut out[accepted..];
        if let Some(target) = target.first_chunk_mut::<BYTES>() {
            store(target, values);
        } else {
            let mut whole = [0; BYTES];
            store(&mut whole, values);
            target[..kept.count_ones() as usize].copy_from_slice(&whole[..kept.count_ones() as usize]);
        }
        accepted += kept.count_ones() as usize;
    }
    accepted + portable::accept_bytes(rest, mask, modulus, &mut out[accepted..])
}

/// Divides 128-bit numbers digit by digit: 52 bits, then `DIGIT` at a time. Every divisor is at least 2 and less than
/// 2^(51 - DIGIT); whole vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512ifma,avx512vbmi2")]
fn vectors_of_partners<const DIGIT: u32>(words: &[u8], first: u64, total: u64, out: &mut [u32]) {
    let zero = _mm512_setzero_si512();
    let power = _mm512_set1_pd((1u64 << 52) as f64);
    let order = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0); // entries, as the halves of words are gathered below
    let in_order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
    let mut entry = _mm512_add_epi64(_mm512_set1_epi64(first as i64), order);
    let total = _mm512_set1_epi64(total as i64);
    let (pairs, _) = words.as_chunks::<{ 2 * BYTES }>();
    for (pair, partners) in pairs.iter().zip(out.as_chunks_mut::<PARTNERS>().0) {
        let halves = pair.as_chunks::<BYTES>().0;
        let (one, other) = (load(&halves[0]), load(&halves[1]));
        let (low, high) = (_mm512_unpacklo_epi64(one, other), _mm512_unpackhi_epi64(one, other));
        let divisor = _mm512_sub_epi64(total, entry);
        // floor(2^52 / divisor): the rounded quotient of doubles never reaches the next integer, since it has 53 bits.
        let reciprocal = _mm512_cvttpd_epu64(_mm512_div_pd(power, _mm512_cvtepu64_pd(divisor)));
        // For less than 2^52 a remainder that may be one divisor too large.
        let reduced = |value: __m512i| {
            let quotient = _mm512_madd52hi_epu64(zero, value, reciprocal);
            _mm512_sub_epi64(value, _mm512_madd52lo_epu64(zero, quotient, divisor))
        };
        let mut rest = reduced(_mm512_srli_epi64::<12>(high));
        // 76 bits are left: 12 of the high half and all of the low one.
        if DIGIT == 27 {
            rest = reduced(_mm512_shldi_epi64::<27>(rest, _mm512_shldi_epi64::<52>(high, low)));
            rest = reduced(_mm512_shldi_epi64::<27>(rest, _mm512_slli_epi64::<15>(low)));
            rest = reduced(_mm512_shldi_epi64::<22>(rest, _mm512_slli_epi64::<42>(low)));
        } else {
            rest = reduced(_mm512_shldi_epi64::<19>(rest, _mm512_shldi_epi64::<52>(high, low)));
            rest = reduced(_mm512_shldi_epi64::<19>(rest, _mm512_slli_epi64::<7>(low)));
            rest = reduced(_mm512_shldi_epi64::<19>(rest, _mm512_slli_epi64::<26>(low)));
            rest = reduced(_mm512_shldi_epi64::<19>(rest, _mm512_slli_epi64::<45>(low)));
        }
        rest = _mm512_min_epu64(rest, _mm512_sub_epi64(rest, divisor));
        let partner = _mm512_permutexvar_epi64(in_order, _mm512_add_epi64(entry, rest));
        let partner = _mm512_cvtepi64_epi32(partner);
        // SAFETY: eight 32-bit integers are written, to any address.
        unsafe { _mm256_storeu_si256(partners.as_mut_ptr().cast(), partner) };
        entry = _mm512_add_epi64(entry, _mm512_set1_epi64(PARTNERS as i64));
    }
}
