//! Several files read in order as one vector of records.

use crate::error::{Error, Result, require};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

/// Files whose concatenation is a vector of records; a record may straddle two files.
pub struct Input {
    files: std::vec::IntoIter<(PathBuf, File)>,
    current: Option<(PathBuf, File)>,
    record: usize,
    records: u64,
    left: u64,
}

impl Input {
    /// Opens the files; their total length must be a multiple of `record` bytes. `name` is the vector's, for messages.
    pub fn open(paths: &[PathBuf], record: usize, name: &str) -> Result<Self> {
        let mut files = Vec::with_capacity(paths.len());
        let mut bytes = 0;
        for path in paths {
            let file = File::open(path).map_err(|error| Error::file(path, error))?;
            bytes += file.metadata().map_err(|error| Error::file(path, error))?.len();
            files.push((path.clone(), file));
        }
        require!(bytes % record as u64 == 0, "{name} of {bytes} bytes: a multiple of {record} is needed");
        let records = bytes / record as u64;
        Ok(Self { files: files.into_iter(), current: None, record, records, left: records })
    }

    /// Records in all.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The next records, at most `count`; empty at the end.
    pub fn read(&mut self, count: usize) -> Result<Vec<u8>> {
        let count = self.left.min(count as u64);
        let mut block = vec![0; count as usize * self.record];
        let mut filled = 0;
        while filled < block.len() {
            let Some((path, file)) = &mut self.current else {
                self.current = self.files.next();
                require!(self.current.is_some(), "an input file shrank while it was read");
                continue;
            };
            match file.read(&mut block[filled..]) {
                Ok(0) => self.current = None,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::file(path, error)),
            }
        }
        self.left -= count;
        Ok(block)
    }
}
