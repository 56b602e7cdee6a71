//! Errors of the protocols as Python exceptions.

use protocols::error::Error;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyImportError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::fmt::Display;

create_exception!(gristmill._native, InvalidArgument, PyValueError);
create_exception!(gristmill._native, InternalError, PyRuntimeError);
create_exception!(gristmill._native, Cancelled, PyException);

/// The exception for an error.
pub fn raise(error: Error) -> PyErr {
    match error {
        Error::InvalidArgument(text) => InvalidArgument::new_err(text),
        error @ Error::Record { .. } => InvalidArgument::new_err(error.to_string()),
        Error::Internal(text) => InternalError::new_err(text),
        Error::Cancelled => Cancelled::new_err("cancelled"),
        Error::File { path, source } => match source.raw_os_error().or_else(|| no_room(&source)) {
            // With an errno Python chooses FileNotFoundError, FileExistsError and so on.
            Some(code) => PyOSError::new_err((code, source.to_string(), path)),
            None => PyOSError::new_err(format!("{path}: {source}")),
        },
    }
}

/// The error of importing the module where it cannot be used.
pub fn unusable(module: &Bound<'_, PyModule>, error: &impl Display) -> PyErr {
    let raised = PyImportError::new_err(error.to_string());
    let named = raised.value(module.py()).setattr("name", "gristmill._native");
    named.err().unwrap_or(raised)
}

/// The errno of what was refused because it would not fit: an error of our own, which has none.
fn no_room(source: &std::io::Error) -> Option<i32> {
    const ENOSPC: i32 = 28; // on Linux and macOS alike
    (source.kind() == std::io::ErrorKind::StorageFull).then_some(ENOSPC)
}
