//! Hashing to the curve by try and increment over SHA-256 (cryptographic primitives specification, section 2).
//!
//! The number of rounds depends on the message, hence `vartime`: the protocols prescribe this map.

use crate::decompress::decompress;
use crate::field::{Element, Montgomery, limbs_from_be_bytes, reduce_once};
use crate::kernel::dispatch;
use crate::points::{CHUNK, Point, Points};
use sha2::{Digest, Sha256};

/// Hashes a message to a point with even y.
pub fn hash_to_curve_vartime(message: &[u8]) -> Point {
    hash_all_to_curve_vartime([message]).get(0)
}

/// Hashes each message.
pub fn hash_all_to_curve_vartime<M: AsRef<[u8]>>(messages: impl IntoIterator<Item = M>) -> Points {
    let candidates: Vec<Element> = messages.into_iter().map(|message| random_oracle(message.as_ref())).collect();
    let mut points = Points::zeros(candidates.len());
    let mut tried: Vec<(usize, Element)> = candidates.into_iter().enumerate().collect();
    while !tried.is_empty() {
        let mut missed = Vec::new();
        for tried in tried.chunks(CHUNK) {
            let x: Vec<Element> = tried.iter().map(|(_, x)| *x).collect();
            let (even, mut y) = (vec![0; x.len()], vec![Element::ZERO; x.len()]);
            // y = 0 never occurs: the order of the group is prime.
            let on_curve = dispatch!(decompress(&x, &even, &mut y));
            for ((place, x), (y, on_curve)) in tried.iter().zip(y.iter().zip(on_curve)) {
                if on_curve {
                    let (target_x, target_y) = points.coordinates(*place, 1);
                    (target_x[0], target_y[0]) = (*x, *y);
                } else {
                    // The next round hashes x without its leading zero bytes.
                    let bytes = x.to_be_bytes();
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    missed.push((*place, random_oracle(&bytes[zeros..])));
                }
            }
        }
        tried = missed;
    }
    points
}

/// (SHA256(1 || m) * 2^256 + SHA256(2 || m)) mod p.
fn random_oracle(message: &[u8]) -> Element {
    let half = |counter: u8| {
        let hash = Sha256::new().chain_update([counter]).chain_update(message).finalize();
        Element(reduce_once(limbs_from_be_bytes(&hash), 0))
    };
    let (high, low) = (half(1), half(2));
    // The Montgomery form of a number is the number times 2^256.
    Element(high.to_montgomery().plus(Montgomery(low.0)).0)
}
