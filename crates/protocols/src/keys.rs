//! Key pairs and combined public keys (cryptographic primitives specification, sections 3.1 and 4.3).

use crate::el_gamal::{generator, secret_key};
use crate::error::{Result, invalid, require};
use crate::randomness::Randomness;
use p256_batch::{POINT_SIZE, Point};
use zeroize::Zeroizing;

/// A fresh key pair from the operating system: secret (big-endian, no leading zeros) and element.
pub fn generate_key_pair() -> Result<(Zeroizing<Vec<u8>>, [u8; POINT_SIZE])> {
    let secret = Randomness::operating_system().begin()?.scalar(0)?;
    Ok((secret.to_minimal_be_bytes_vartime(), generator().multiply(&secret).encode()?))
}

/// The public element of a secret.
pub fn public_element(secret: &[u8]) -> Result<[u8; POINT_SIZE]> {
    Ok(generator().multiply(&secret_key(secret)?).encode()?)
}

/// The sum of public elements: the key whose secret is the sum of theirs. Every element is validated.
pub fn combine_public_keys<E: AsRef<[u8]>>(elements: &[E]) -> Result<[u8; POINT_SIZE]> {
    require!(!elements.is_empty(), "no public keys to combine");
    let mut sum = Point::infinity();
    for (position, element) in elements.iter().enumerate() {
        let point = Point::decode(element.as_ref());
        sum = sum.plus(point.map_err(|_| invalid!("public key {position} is not a point of P-256"))?);
    }
    require!(!sum.is_infinity(), "the public keys cancel out");
    Ok(sum.encode()?)
}

/// The compressed form of a valid point.
pub fn check_point(encoding: &[u8]) -> Result<[u8; POINT_SIZE]> {
    let point = Point::decode(encoding).map_err(|_| invalid!("not a point of P-256"))?;
    Ok(point.encode()?)
}
