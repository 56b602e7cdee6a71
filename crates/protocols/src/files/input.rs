//! Several files read in order as one vector of records.

use crate::error::{Error, Result, invalid, require};
use std::fs::File;
use std::io::{ErrorKind, Read, Take};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Files whose concatenation is a vector of records; a record may straddle two files.
pub struct Input {
    /// Every file with the bytes before its end, for messages.
    ends: Vec<(PathBuf, u64)>,
    files: std::vec::IntoIter<(PathBuf, Take<File>)>,
    current: Option<(PathBuf, Take<File>)>,
    record: usize,
    records: u64,
    left: u64,
}

impl Input {
    /// Opens the files; their total length must be a multiple of `record` bytes. `name` is the vector's, for messages, which
    /// name the file that is at fault.
    pub fn open(paths: &[PathBuf], record: usize, name: &str) -> Result<Self> {
        Ok(Self::open_with_tails(paths, record, 0, name)?.0)
    }

    /// The same for files that each end with `tail` bytes which are no record, given back one after the other. With a tail,
    /// every file must have whole records.
    pub fn open_with_tails(paths: &[PathBuf], record: usize, tail: usize, name: &str) -> Result<(Self, Vec<u8>)> {
        let mut files = Vec::with_capacity(paths.len());
        let mut broken = None;
        let mut ends = Vec::with_capacity(paths.len());
        let mut tails = vec![0; paths.len() * tail];
        let mut bytes = 0;
        for (number, path) in paths.iter().enumerate() {
            let failed = |error| Error::file(path, error);
            let file = File::open(path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            let head = length.checked_sub(tail as u64);
            let head = head
                .ok_or_else(|| invalid!("{}: {name} of {length} bytes: at least {tail} are needed", path.display()))?;
            file.read_exact_at(&mut tails[number * tail..][..tail], head).map_err(failed)?;
            bytes += head;
            files.push((path.clone(), file.take(head)));
            ends.push((path.clone(), bytes));
            broken = broken.or((head % record as u64 != 0).then(|| (path.display(), length)));
        }
        if let Some((path, length)) = broken.filter(|_| tail > 0 || bytes % record as u64 != 0) {
            return Err(invalid!("{path}: {name} of {length} bytes: a multiple of {record} is needed"));
        }
        let records = bytes / record as u64;
        Ok((Self { ends, files: files.into_iter(), current: None, record, records, left: records }, tails))
    }

    /// Records in all.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of a record.
    pub fn record(&self) -> usize {
        self.record
    }

    /// Records read so far.
    pub fn position(&self) -> u64 {
        self.records - self.left
    }

    /// An error about a record of this vector, told of the file in which the record begins and counted from there.
    pub fn refusal(&self, error: Error) -> Error {
        let Error::Record { record, fault } = error else { return error };
        let first = record * self.record as u64;
        let file = self.ends.iter().position(|(_, end)| first < *end).unwrap_or_default();
        let before = if file == 0 { 0 } else { self.ends[file - 1].1 };
        let path = self.ends[file].0.display();
        invalid!("{path}: record {} {fault}", (first - before) / self.record as u64)
    }

    /// The same where it is not known any more which record it was.
    pub fn refusal_of_some(&self, error: Error) -> Error {
        let Error::Record { fault, .. } = error else { return error };
        let paths: Vec<_> = self.ends.iter().map(|(path, _)| path.display().to_string()).collect();
        invalid!("{}: a record {fault}", paths.join(" or "))
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
