//! Errors of the protocols as Python exceptions.

use protocols::error::Error;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(gristmill._native, InvalidArgument, PyValueError);
create_exception!(gristmill._native, InternalError, PyRuntimeError);
create_exception!(gristmill._native, Cancelled, PyException);

/// The exception for an error.
pub fn raise(error: Error) -> PyErr {
    match error {
        Error::InvalidArgument(text) => InvalidArgument::new_err(text),
        Error::Internal(text) => InternalError::new_err(text),
        Error::Cancelled => Cancelled::new_err("cancelled"),
        Error::File { path, source } => match source.raw_os_error() {
            // With an errno Python chooses FileNotFoundError, FileExistsError and so on.
            Some(code) => PyOSError::new_err((code, source.to_string(), path)),
            None => PyOSError::new_err(format!("{path}: {source}")),
        },
    }
}
