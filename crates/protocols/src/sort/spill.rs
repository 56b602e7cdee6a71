//! The spill file: runs one after the other, without a name, encrypted under a key that only this process has.

use super::run::Run;
use crate::error::{Error, Result};
use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The file while it is written.
pub(super) struct Spill {
    file: Unlinked,
    key: Zeroizing<[u8; 32]>,
    /// Where each run ends.
    ends: Vec<u64>,
}

struct Unlinked {
    path: PathBuf,
    file: File,
}

/// What has not been read of a run.
pub(super) struct Spilled {
    file: Arc<Unlinked>,
    cipher: ChaCha20Legacy,
    position: u64,
    end: u64,
}

impl Spill {
    /// Refuses at once if the file system has less than `bytes` left.
    pub(super) fn create(folder: &Path, bytes: u64) -> Result<Self> {
        let space = rustix::fs::statvfs(folder).map_err(|error| Error::file(folder, error.into()))?;
        let free = space.f_bavail * space.f_frsize;
        if free < bytes {
            let text = format!("{free} bytes are free, sorting needs {bytes}");
            return Err(Error::file(folder, std::io::Error::new(std::io::ErrorKind::StorageFull, text)));
        }
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut())?;
        Ok(Self { file: Unlinked::create(folder)?, key, ends: Vec::new() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Writes a run; its bytes are encrypted where they are.
    pub(super) fn append(&mut self, run: &mut [u8]) -> Result<()> {
        self.cipher(self.ends.len()).apply_keystream(run);
        self.file.file.write_all(run).map_err(|error| self.file.failed(error))?;
        self.ends.push(self.ends.last().unwrap_or(&0) + run.len() as u64);
        Ok(())
    }

    /// All runs, which together hold about `records` records in memory.
    pub(super) fn into_runs<const N: usize>(self, records: usize) -> Result<Vec<Run<N>>> {
        let ciphers: Vec<_> = (0..self.ends.len()).map(|number| self.cipher(number)).collect();
        let records_each = (records / self.ends.len().max(1)).max(1);
        let file = Arc::new(self.file);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let runs = starts.zip(&self.ends).zip(ciphers).map(|((position, end), cipher)| {
            Run::spilled(Spilled { file: file.clone(), cipher, position, end: *end }, records_each)
        });
        runs.collect()
    }

    fn cipher(&self, run: usize) -> ChaCha20Legacy {
        ChaCha20Legacy::new(&(*self.key).into(), &(run as u64).to_le_bytes().into())
    }
}

impl Spilled {
    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        (self.end - self.position) as usize
    }

    /// Reads and decrypts the next bytes.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.file.file.read_exact_at(bytes, self.position).map_err(|error| self.file.failed(error))?;
        self.position += bytes.len() as u64;
        self.cipher.apply_keystream(bytes);
        Ok(())
    }
}

impl Unlinked {
    fn create(folder: &Path) -> Result<Self> {
        let path = folder.join(format!(".spill-{:016x}", getrandom::u64()?));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| Error::file(&path, error))?;
        fs::remove_file(&path).map_err(|error| Error::file(&path, error))?;
        Ok(Self { path, file })
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::file(&self.path, error)
    }
}
