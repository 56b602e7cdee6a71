//! What a stage can fail with.

use p256_batch::{DecodeError, EncodeError, InvalidScalar};
use std::path::Path;

/// Why a function of this crate gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's or a peer's input is wrong (INVALID_ARGUMENT); it stays wrong on a retry.
    #[error("{0}")]
    InvalidArgument(String),
    /// A record of an input that no honest party makes (INVALID_ARGUMENT). `Input::refusal` says in which file.
    #[error("record {record} {fault}")]
    Record {
        /// Which one; of the chunk at hand until `after` has added where that begins.
        record: u64,
        /// What is wrong with it.
        fault: &'static str,
    },
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

    /// The same with a record that is counted from an earlier one: `records` lie between the two.
    #[must_use]
    pub(crate) fn after(self, records: u64) -> Self {
        match self {
            Self::Record { record, fault } => Self::Record { record: records + record, fault },
            other => other,
        }
    }

    /// The same with records of `parts` parts each, where parts were counted.
    #[must_use]
    pub(crate) fn of_parts(self, parts: usize) -> Self {
        match self {
            Self::Record { record, fault } => Self::Record { record: record / parts as u64, fault },
            other => other,
        }
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
        Self::Record { record: error.position as u64, fault: "has a point that is not one of P-256" }
    }
}

/// Fresh randomness keeps infinity away from everything but what a sender chose: (G, Y) under the key of Y, for example.
impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Record { record: error.position as u64, fault: "decrypts to the point at infinity" }
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
