//! Spill files: one a bucket, without a name, encrypted under a key that only this process has.

use crate::error::{Error, Result, invalid};
use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, Zeroizing};

/// Bytes that a bucket gathers before it writes.
const BUFFER: usize = 64 << 10;

/// The buckets while they are filled.
pub(super) struct Spill {
    buckets: Vec<Bucket>,
    key: Zeroizing<[u8; 32]>,
}

/// A file that has been unlinked, and what is still to be appended to it.
struct Bucket {
    path: PathBuf,
    file: File,
    cipher: ChaCha20Legacy,
    buffer: Vec<u8>,
    bytes: u64,
}

/// A filled bucket.
pub(super) struct Filled {
    path: PathBuf,
    file: File,
    cipher: ChaCha20Legacy,
    bytes: u64,
}

impl Spill {
    /// Refuses at once if the file system has less than `bytes` left.
    pub(super) fn create(folder: &Path, buckets: usize, bytes: u64) -> Result<Self> {
        let space = rustix::fs::statvfs(folder).map_err(|error| Error::file(folder, error.into()))?;
        let free = space.f_bavail * space.f_frsize;
        if free < bytes {
            let text = format!("{free} bytes are free, sorting needs {bytes}");
            return Err(Error::file(folder, std::io::Error::new(std::io::ErrorKind::StorageFull, text)));
        }
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut())?;
        let buckets = (0..buckets).map(|number| Bucket::create(folder, number, &key)).collect::<Result<_>>()?;
        Ok(Self { buckets, key })
    }

    pub(super) fn push(&mut self, bucket: usize, record: &[u8]) -> Result<()> {
        let bucket = &mut self.buckets[bucket];
        bucket.buffer.extend_from_slice(record);
        if bucket.buffer.len() >= BUFFER { bucket.flush() } else { Ok(()) }
    }

    pub(super) fn into_buckets(self) -> Result<Vec<Filled>> {
        let Self { buckets, key } = self;
        buckets.into_iter().enumerate().map(|(number, bucket)| bucket.fill(cipher(&key, number))).collect()
    }
}

fn cipher(key: &[u8; 32], number: usize) -> ChaCha20Legacy {
    ChaCha20Legacy::new(&(*key).into(), &(number as u64).to_le_bytes().into())
}

impl Bucket {
    fn create(folder: &Path, number: usize, key: &[u8; 32]) -> Result<Self> {
        let path = folder.join(format!(".spill-{:016x}", getrandom::u64()?));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| Error::file(&path, error))?;
        fs::remove_file(&path).map_err(|error| Error::file(&path, error))?;
        Ok(Self { path, file, cipher: cipher(key, number), buffer: Vec::with_capacity(2 * BUFFER), bytes: 0 })
    }

    fn flush(&mut self) -> Result<()> {
        self.cipher.try_apply_keystream(&mut self.buffer).map_err(|_| invalid!("a bucket is too large to sort"))?;
        self.file.write_all(&self.buffer).map_err(|error| Error::file(&self.path, error))?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.zeroize();
        Ok(())
    }

    fn fill(mut self, cipher: ChaCha20Legacy) -> Result<Filled> {
        self.flush()?;
        Ok(Filled { path: self.path, file: self.file, cipher, bytes: self.bytes })
    }
}

impl Filled {
    pub(super) fn read_into<const N: usize>(mut self, records: &mut Vec<[u8; N]>) -> Result<()> {
        records.resize((self.bytes / N as u64) as usize, [0; N]);
        let bytes = records.as_flattened_mut();
        let read = self.file.rewind().and_then(|()| self.file.read_exact(bytes));
        read.map_err(|error| Error::file(&self.path, error))?;
        self.cipher.try_apply_keystream(bytes).map_err(|_| invalid!("a bucket is too large to sort"))
    }
}
