//! Multiples of a fixed base, byte by byte: an instruction that shuffles 16 bytes looks one byte up for 32 lanes.

use super::packed::{Packed, unpacked};
use super::{LANES, R_SQUARED_VECTOR, Vector, each_scaled, gather, join};
use crate::field::Element;
use std::arch::x86_64::*;
use zeroize::Zeroizing;

pub(super) const WINDOW: usize = 8;
const ENTRIES: usize = 1 << (WINDOW - 1);
const PARTS: usize = ENTRIES / 16;
/// Lanes of one look-up.
const GROUP: usize = 32;
const VECTORS: usize = GROUP / LANES;
const COORDINATE: usize = 32;

/// A byte of 16 entries after each other, PARTS times.
type Plane = [[u8; 16]; PARTS];

/// For each byte of x, then of y, in Montgomery form below p, that byte of every entry.
pub(crate) struct Table(Zeroizing<Vec<Plane>>);

impl Table {
    pub(super) fn new(x: &[Element], y: &[Element]) -> Self {
        let mut planes = vec![[[0; 16]; PARTS]; 2 * COORDINATE];
        for (values, planes) in [x, y].into_iter().zip(planes.chunks_exact_mut(COORDINATE)) {
            let mut vectors = [Vector::from_lanes(super::Lanes::default()); ENTRIES / LANES];
            gather(values, &mut vectors);
            // SAFETY: only a processor with AVX2 comes here.
            unsafe { each_scaled(&mut vectors, &R_SQUARED_VECTOR) };
            for entry in 0..ENTRIES {
                let lanes = vectors[entry / LANES].into_lanes().0;
                let Element(words) = join(lanes.map(|limb| limb[entry % LANES]));
                for (plane, byte) in planes.iter_mut().zip(words.iter().flat_map(|word| word.to_le_bytes())) {
                    plane[entry / 16][entry % 16] = byte;
                }
            }
        }
        Self(Zeroizing::new(planes))
    }
}

super::features! {
    /// The point at each lane's index.
    pub(super) fn look_up(table: &Table, indices: &[u8], x: &mut [Vector], y: &mut [Vector]) {
        let groups = x.chunks_mut(VECTORS).zip(y.chunks_mut(VECTORS));
        for (indices, (x, y)) in indices.chunks(GROUP).zip(groups) {
            let selectors = selectors(indices);
            for (planes, out) in table.0.chunks_exact(COORDINATE).zip([x, y]) {
                let mut words = [[_mm256_setzero_si256(); VECTORS]; 4];
                for (words, planes) in words.iter_mut().zip(planes.chunks_exact(8)) {
                    let mut bytes = [_mm256_setzero_si256(); 8];
                    for (byte, plane) in bytes.iter_mut().zip(planes) {
                        *byte = pick(plane, &selectors);
                    }
                    *words = transpose(bytes);
                }
                for (vector, out) in out.iter_mut().enumerate() {
                    let [w0, w1, w2, w3] = &words;
                    *out = unpacked(Packed([w0[vector], w1[vector], w2[vector], w3[vector]]));
                }
            }
        }
    }
}

super::features! {
    /// For each part of a plane the places in it, with the high bit set where an index is in another part. The lanes are in the order
    /// that `transpose` puts right.
    #[inline]
    fn selectors(indices: &[u8]) -> [__m256i; PARTS] {
        let mut padded = [0; GROUP];
        padded[..indices.len()].copy_from_slice(indices);
        // SAFETY: 32 bytes are there, and the instruction takes any alignment.
        let index = unsafe { _mm256_loadu_si256(padded.as_ptr().cast()) };
        // The first two lanes of each vector to the lower half, the others to the upper.
        let pairs = _mm256_setr_epi8(
            0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15,
        );
        let index = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_shuffle_epi8(index, pairs));
        let part = _mm256_and_si256(index, _mm256_set1_epi8(0x70));
        let place = _mm256_and_si256(index, _mm256_set1_epi8(0x0f));
        let mut selectors = [place; PARTS];
        for (number, selector) in (0i8..).zip(selectors.iter_mut()) {
            let here = _mm256_cmpeq_epi8(part, _mm256_set1_epi8(number << 4));
            *selector = _mm256_or_si256(*selector, _mm256_andnot_si256(here, _mm256_set1_epi8(-128)));
        }
        selectors
    }
}

super::features! {
    #[inline]
    fn pick(plane: &Plane, selectors: &[__m256i; PARTS]) -> __m256i {
        let mut picked = _mm256_setzero_si256();
        for (part, selector) in plane.iter().zip(selectors) {
            // SAFETY: 16 bytes are there, and the instruction takes any alignment.
            let part = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(part.as_ptr().cast()) });
            picked = _mm256_or_si256(picked, _mm256_shuffle_epi8(part, *selector));
        }
        picked
    }
}

super::features! {
    #[inline]
    fn bytes(a: __m256i, b: __m256i) -> [__m256i; 2] {
        [_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)]
    }
}

super::features! {
    /// Eight bytes of 32 lanes to a 64-bit word of four lanes, eight times.
    #[inline]
    fn transpose([b0, b1, b2, b3, b4, b5, b6, b7]: [__m256i; 8]) -> [__m256i; VECTORS] {
        let ([l0, h0], [l1, h1], [l2, h2], [l3, h3]) = (bytes(b0, b1), bytes(b2, b3), bytes(b4, b5), bytes(b6, b7));
        let ([v0, v1, v2, v3], [v4, v5, v6, v7]) = (words([l0, l1, l2, l3]), words([h0, h1, h2, h3]));
        [v0, v1, v2, v3, v4, v5, v6, v7]
    }
}

super::features! {
    /// Two bytes each to words.
    #[inline]
    fn words([p0, p1, p2, p3]: [__m256i; 4]) -> [__m256i; 4] {
        let (lower, upper) = (_mm256_unpacklo_epi16(p0, p1), _mm256_unpacklo_epi16(p2, p3));
        let (next_lower, next_upper) = (_mm256_unpackhi_epi16(p0, p1), _mm256_unpackhi_epi16(p2, p3));
        [
            _mm256_unpacklo_epi32(lower, upper),
            _mm256_unpackhi_epi32(lower, upper),
            _mm256_unpacklo_epi32(next_lower, next_upper),
            _mm256_unpackhi_epi32(next_lower, next_upper),
        ]
    }
}
