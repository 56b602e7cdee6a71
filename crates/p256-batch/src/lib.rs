//! P-256 arithmetic on batches of points. Knows no protocol.
//!
//! Everything works on many points at once, because that is where speed comes from: a batch shares one field inversion,
//! a fixed base shares its table, a secret scalar its digits. The arithmetic inside comes from the RustCrypto crate
//! `p256`; callers see only [`Points`], [`Scalars`] and [`FixedBase`], so that a faster kernel can replace the inside.
//!
//! Operations on scalars and points take the same time whatever their values; what does not says `vartime` in its name.

mod fixed_base;
mod hash_to_curve;
mod points;
mod scalars;

pub use fixed_base::FixedBase;
pub use hash_to_curve::{hash_all_to_curve_vartime, hash_to_curve_vartime};
pub use points::{Column, DecodeError, EncodeError, POINT_SIZE, Point, Points};
pub use scalars::{InvalidScalar, Scalars, SecretScalar};
