//! The cryptography of a duchy and of a data provider. One stage of a protocol is one function from files to a file: no
//! clock, no network, randomness only from the source that it is given.

pub mod constants;
pub mod el_gamal;
pub mod error;
pub mod estimator;
pub mod files;
pub mod keys;
pub mod llv2;
pub mod noise;
pub mod progress;
pub mod randomness;
pub mod reach_only;
pub mod share_shuffle;
pub mod sketch;
pub mod sort;
pub mod stage;
pub mod work;

pub use p256_batch::{Choice, Column, KernelError, POINT_SIZE, hash_all_to_curve_vartime, hash_to_curve_vartime};
pub use p256_batch::{Scalars, SecretScalar};
