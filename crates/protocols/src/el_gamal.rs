//! ElGamal over P-256 with additive plaintext points (cryptographic primitives specification, section 3): a key is
//! y = xG, a ciphertext of M is (u, e) = (rG, M + rY). Also the Pohlig-Hellman layer on top of it (section 4).

use crate::error::{Result, invalid, require};
use p256_batch::{Column, FixedBase, POINT_SIZE, Point, Points, Scalars, SecretScalar};
use std::sync::LazyLock;

/// Bytes of a ciphertext: u, then e, both compressed.
pub const CIPHERTEXT_SIZE: usize = 2 * POINT_SIZE;

static GENERATOR: LazyLock<FixedBase> = LazyLock::new(FixedBase::generator);

/// The table of the standard base point.
pub fn generator() -> &'static FixedBase {
    &GENERATOR
}

/// Reads the big-endian bytes of a duchy's secret key.
pub fn secret_key(bytes: &[u8]) -> Result<SecretScalar> {
    SecretScalar::from_be_bytes(bytes).map_err(|error| invalid!("ElGamal secret key: {error}"))
}

/// A public key, ready to encrypt many points.
pub struct PublicKey {
    table: FixedBase,
}

impl PublicKey {
    /// Reads an element (a compressed or uncompressed point); `name` tells which key in the message.
    pub fn decode(element: &[u8], name: &str) -> Result<Self> {
        require!(!element.is_empty(), "{name} is missing");
        let point = Point::decode(element).map_err(|_| invalid!("{name} is not a point of P-256"))?;
        Ok(Self { table: FixedBase::new(point) })
    }

    /// Fresh encryptions of points, one random scalar each.
    pub fn encrypt(&self, plaintexts: &Points, scalars: &Scalars) -> Ciphertexts {
        let zeros = self.encrypt_zeros(scalars);
        Ciphertexts { e: plaintexts.plus(&zeros.e), u: zeros.u }
    }

    /// Fresh encryptions of the point at infinity.
    pub fn encrypt_zeros(&self, scalars: &Scalars) -> Ciphertexts {
        Ciphertexts { u: generator().multiply_by_each(scalars), e: self.table.multiply_by_each(scalars) }
    }
}

/// A batch of ciphertexts.
#[derive(Clone, Default)]
pub struct Ciphertexts {
    /// The random parts rG.
    pub u: Points,
    /// The masked plaintexts M + rY.
    pub e: Points,
}

impl Ciphertexts {
    /// Decodes and validates the ciphertexts at `offset` of each record of `stride` bytes.
    pub fn decode(bytes: &[u8], stride: usize, offset: usize) -> Result<Self> {
        let u = Points::decode(bytes, Column { stride, offset })?;
        Ok(Self { u, e: Points::decode(bytes, Column { stride, offset: offset + POINT_SIZE })? })
    }

    /// Writes them at `offset` of each record.
    pub fn encode_into(&self, bytes: &mut [u8], stride: usize, offset: usize) -> Result<()> {
        self.u.encode_into(bytes, Column { stride, offset })?;
        Ok(self.e.encode_into(bytes, Column { stride, offset: offset + POINT_SIZE })?)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.u.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.u.is_empty()
    }

    /// The same ciphertexts under fresh randomness.
    #[must_use]
    pub fn re_randomise(&self, key: &PublicKey, scalars: &Scalars) -> Self {
        self.plus(&key.encrypt_zeros(scalars))
    }

    /// Encryptions of the sums.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { u: self.u.plus(&other.u), e: self.e.plus(&other.e) }
    }

    /// Encryptions of the differences.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self { u: self.u.minus(&other.u), e: self.e.minus(&other.e) }
    }

    /// Encryptions of each plaintext times its own scalar.
    #[must_use]
    pub fn times_each(&self, scalars: &Scalars) -> Self {
        // Both halves at once: the more points share an inversion, the cheaper each.
        let (u, e) = self.u.chain(&self.e).times_each(&scalars.chain(scalars)).split(self.len());
        Self { u, e }
    }

    /// The ciphertexts of several batches, one after the other.
    #[must_use]
    pub fn chain(batches: &[Self]) -> Self {
        batches.iter().fold(Self::default(), |all, batch| Self { u: all.u.chain(&batch.u), e: all.e.chain(&batch.e) })
    }

    /// The first, and those from `position` on.
    pub fn split(&self, position: usize) -> (Self, Self) {
        let ((first_u, u), (first_e, e)) = (self.u.split(position), self.e.split(position));
        (Self { u: first_u, e: first_e }, Self { u, e })
    }

    /// Those at the given positions.
    #[must_use]
    pub fn gather(&self, positions: impl IntoIterator<Item = usize> + Clone) -> Self {
        Self { u: self.u.gather(positions.clone()), e: self.e.gather(positions) }
    }

    /// Sums of consecutive runs of the given lengths.
    #[must_use]
    pub fn sums(&self, lengths: impl IntoIterator<Item = usize> + Clone) -> Self {
        Self { u: self.u.sums(lengths.clone()), e: self.e.sums(lengths) }
    }

    /// e - x u: what is left when this key's layer is taken off.
    pub fn decrypt(&self, key: &SecretScalar) -> Points {
        self.e.minus(&self.u.times(key))
    }

    /// (u, e - x u).
    #[must_use]
    pub fn partial_decrypt(&self, key: &SecretScalar) -> Self {
        Self { u: self.u.clone(), e: self.decrypt(key) }
    }

    /// Partial decryption, then both halves times the Pohlig-Hellman key: (k u, k (e - x u)).
    #[must_use]
    pub fn blind(&self, key: &SecretScalar, pohlig_hellman: &SecretScalar) -> Self {
        let minus_kx = pohlig_hellman.times(key).negated();
        let (u, e) = Points::combine(&self.u, &self.e, pohlig_hellman, &minus_kx);
        Self { u, e }
    }

    /// Is the plaintext under the last layer the point at infinity?
    pub fn zero_tests(&self, key: &SecretScalar) -> Vec<bool> {
        self.e.equals(&self.u.times(key))
    }
}
