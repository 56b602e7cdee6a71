//! Hashing to the curve by try and increment over SHA-256 (cryptographic primitives specification, section 2).
//!
//! The number of rounds depends on the message, hence `vartime`: the protocols prescribe this map.

use crate::points::{FieldElement, Point, Points};
use p256::AffinePoint;
use p256::elliptic_curve::ff::PrimeField;
use p256::elliptic_curve::point::DecompressPoint;
use p256::elliptic_curve::subtle::Choice;
use sha2::{Digest, Sha256};

/// Hashes a message to a point with even y.
pub fn hash_to_curve_vartime(message: &[u8]) -> Point {
    let mut x = random_oracle(message);
    loop {
        let bytes = x.to_repr();
        // w = 0 never occurs: the order of the group is prime, so no point has y = 0.
        if let Some(point) = Option::<AffinePoint>::from(AffinePoint::decompress(&bytes, Choice::from(0))) {
            return Point(point.into());
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        x = random_oracle(&bytes[zeros..]); // the next round hashes x without its leading zero bytes
    }
}

/// Hashes each message.
pub fn hash_all_to_curve_vartime<M: AsRef<[u8]>>(messages: impl IntoIterator<Item = M>) -> Points {
    Points::from_iter(messages.into_iter().map(|message| hash_to_curve_vartime(message.as_ref())))
}

/// (SHA256(1 || m) * 2^256 + SHA256(2 || m)) mod p.
fn random_oracle(message: &[u8]) -> FieldElement {
    let two_to_128 = FieldElement::from(u128::MAX) + FieldElement::ONE;
    let half = |counter: u8| Sha256::new().chain_update([counter]).chain_update(message).finalize();
    let (high, low) = (half(1), half(2));
    high.chunks_exact(16).chain(low.chunks_exact(16)).fold(FieldElement::ZERO, |x, limb| {
        x * two_to_128 + FieldElement::from(u128::from_be_bytes(limb.try_into().expect("sixteen bytes")))
    })
}
