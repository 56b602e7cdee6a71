//! What a stage can fail with.

use p256_batch::{DecodeError, EncodeError, InvalidScalar};
use std::path::Path;

/// Why a function of this crate gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's or a peer's input is wrong (INVALID_ARGUMENT); it stays wrong on a retry.
    #[error("{0}")]
    InvalidArgument(String),
    /// Something that cannot happen with honest input and a sound generator (INTERNAL).
    #[error("{0}")]
    Internal(String),
    /// The progress was told to cancel.
    #[error("cancelled")]
    Cancelled,
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

/// An INVALID_ARGUMENT with a formatted message.
macro_rules! invalid {
    ($($text:tt)*) => { $crate::error::Error::InvalidArgument(format!($($text)*)) };
}
pub(crate) use invalid;

/// Refuses with INVALID_ARGUMENT unless the condition holds.
macro_rules! require {
    ($condition:expr, $($text:tt)*) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::error::invalid!($($text)*));
        }
    };
}
pub(crate) use require;

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::InvalidArgument(error.to_string())
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<InvalidScalar> for Error {
    fn from(error: InvalidScalar) -> Self {
        Self::InvalidArgument(error.to_string())
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::Internal(format!("the operating system gave no randomness: {error}"))
    }
}
