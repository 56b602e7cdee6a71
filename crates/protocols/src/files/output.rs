//! A file that exists only if the stage succeeded.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A new file, removed again unless it is finished.
pub struct Output {
    path: PathBuf,
    file: Option<File>,
}

impl Output {
    /// Creates the file, which must not exist.
    pub fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        Ok(Self { path: path.to_owned(), file: Some(file.map_err(|error| Error::file(path, error))?) })
    }

    /// The folder that it lies in, where spill files go too.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Appends a block.
    pub fn write(&mut self, block: &[u8]) -> Result<()> {
        let file = self.file.as_mut().expect("open until finished");
        file.write_all(block).map_err(|error| Error::file(&self.path, error))
    }

    /// Makes the bytes durable and keeps the file.
    pub fn finish(mut self) -> Result<()> {
        let file = self.file.as_ref().expect("open until finished");
        file.sync_all().map_err(|error| Error::file(&self.path, error))?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Already failing; whoever tries again will be told if the file is still there.
            let _ = fs::remove_file(&self.path);
        }
    }
}
