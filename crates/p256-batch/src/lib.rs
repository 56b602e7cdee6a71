//! P-256 arithmetic on batches of points. Knows no protocol.
//!
//! Everything works on many points at once, because that is where speed comes from: a batch shares one field inversion,
//! a fixed base shares its table, a secret scalar its digits. Callers see [`Points`], [`Scalars`] and [`FixedBase`]. Below
//! them `batch` has the point formulas, `kernel` the vectors of field elements. Scalars, single points and exceptional sums
//! are the RustCrypto crate `p256`'s.
//!
//! Operations on scalars and points take the same time whatever their values; what does not says `vartime` in its name. What
//! shows all the same: whether bytes are a scalar or a point, whether a batch has an infinity where that has to be known, and
//! which sums are exceptional. `memcheck::declassified` marks these, and valgrind finds others (`examples/constant_time.rs`).

mod batch;
mod comb;
mod combine;
mod decompress;
mod digits;
mod field;
mod fixed_base;
mod hash_to_curve;
mod inverse;
mod kernel;
#[doc(hidden)]
pub mod memcheck;
mod multiples;
mod points;
mod scalars;

#[cfg(feature = "fixed-offset")]
#[doc(hidden)]
pub use combine::fix_offset;
pub use fixed_base::FixedBase;
pub use hash_to_curve::{hash_all_to_curve_vartime, hash_to_curve_vartime};
pub use kernel::{CHOICE, Choice, KernelError, VARIABLE};
pub use points::{Column, DecodeError, EncodeError, POINT_SIZE, Point, Points};
pub use scalars::{InvalidScalar, Scalars, SecretScalar};
