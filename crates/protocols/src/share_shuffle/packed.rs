//! Vectors as protocol buffers: one `repeated uint32` and perhaps an `int64`, read and written as a stream.
//!
//! Everything that the wire format allows is read: several packed parts, numbers one by one, other fields, which are skipped.
//! A message may be of any length; the libraries of protocol buffers refuse those of 2 GiB and more.

use super::entries::{Entries, Entry, zeroed};
use super::parameters::Modulus;
use crate::error::{Error, Result, invalid};
use crate::files::Output;
use crate::work::Work;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

const BUFFER: usize = 1 << 18;
/// Entries that are written at once.
const BLOCK: usize = 1 << 16;
const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED_32: u32 = 5;
const LONGEST_VARINT: usize = 10;
/// Bytes that one step of the fast loops reads.
const STEP: usize = 64;

/// A kind of message: which field is the vector, and which is the number of registers.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    entries: u32,
    register_count: Option<u32>,
}

impl Message {
    /// `wfa.frequency_count.FrequencyVector`, what a data provider uploads.
    pub const FREQUENCY_VECTOR: Self = Self { entries: 1, register_count: None };
    /// `HonestMajorityShareShuffle.AggregationPhaseInput`, what a worker sends to the aggregator.
    pub const AGGREGATION_PHASE_INPUT: Self = Self { entries: 1, register_count: Some(2) };
}

/// Reads the vector of a message, some entries at a time.
pub struct PackedReader {
    path: PathBuf,
    file: File,
    message: Message,
    modulus: Modulus,
    buffer: Entries<u8>,
    start: usize,
    end: usize,
    /// Bytes of the packed part that are still to come.
    packed: u64,
    /// Bytes that are to be skipped.
    skipped: u64,
    entries: u64,
    register_count: i64,
}

impl PackedReader {
    /// Opens a file of one message.
    pub fn open(path: &Path, message: Message, modulus: Modulus) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        let buffer = zeroed(BUFFER);
        let (path, start, end, packed, skipped) = (path.to_owned(), 0, 0, 0, 0);
        Ok(Self { path, file, message, modulus, buffer, start, end, packed, skipped, entries: 0, register_count: 0 })
    }

    /// Entries read so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The number of registers, once everything has been read; 0 if there was none.
    pub fn register_count(&self) -> i64 {
        self.register_count
    }

    /// An error about this file.
    pub fn refusal(&self, fault: impl std::fmt::Display) -> Error {
        invalid!("{}: {fault}", self.path.display())
    }

    /// The next entries, at most so many; none at the end of the message. Refuses what is not less than the modulus.
    pub fn read<E: Entry>(&mut self, most: usize) -> Result<Entries<E>> {
        let mut entries = Entries::with_capacity(most);
        while entries.len() < most {
            if self.skipped > 0 {
                self.fill(1)?;
                let bytes = self.skipped.min((self.end - self.start) as u64);
                self.start += bytes as usize;
                self.skipped -= bytes;
            } else if self.packed > 0 {
                self.unpack(&mut entries, most)?;
            } else if !self.next_field(&mut entries)? {
                break;
            }
        }
        Ok(entries)
    }

    /// Decodes what the buffer has of a packed part.
    fn unpack<E: Entry>(&mut self, entries: &mut Vec<E>, most: usize) -> Result<()> {
        self.fill(LONGEST_VARINT.min(self.packed as usize))?;
        let available = self.packed.min((self.end - self.start) as u64) as usize;
        let bytes = &self.buffer[self.start..self.start + available];
        let before = entries.len();
        let taken = decode(bytes, entries, most, self.modulus.value());
        let fault = match taken {
            // A number that has no end within the longest one, or within its packed part.
            Some(0) => Some("is no number"),
            Some(taken) => {
                self.start += taken;
                self.packed -= taken as u64;
                None
            }
            None => Some("is not less than the ring modulus"),
        };
        if let Some(fault) = fault {
            return Err(self.refusal(format!("entry {} {fault}", self.entries + (entries.len() - before) as u64)));
        }
        self.entries += (entries.len() - before) as u64;
        Ok(())
    }

    /// Reads up to where a field's bytes begin; false at the end of the message.
    fn next_field<E: Entry>(&mut self, entries: &mut Vec<E>) -> Result<bool> {
        if !self.more()? {
            return Ok(false);
        }
        let tag = self.varint()?;
        let (field, kind) = (tag >> 3, (tag & 7) as u32);
        if field == 0 || field >= 1 << 29 {
            return Err(self.refusal("it is not the expected message"));
        }
        match kind {
            VARINT => {
                let value = self.varint()?;
                if field == u64::from(self.message.entries) {
                    if value >= u64::from(self.modulus.value()) {
                        return Err(self.refusal(format!("entry {} is not less than the ring modulus", self.entries)));
                    }
                    entries.push(E::new(value as u32));
                    self.entries += 1;
                } else if Some(field) == self.message.register_count.map(u64::from) {
                    self.register_count = value as i64;
                }
            }
            LENGTH if field == u64::from(self.message.entries) => self.packed = self.varint()?,
            LENGTH => self.skipped = self.varint()?,
            FIXED_64 => self.skipped = 8,
            FIXED_32 => self.skipped = 4,
            _ => return Err(self.refusal("it is not the expected message")),
        }
        Ok(true)
    }

    /// Whether there is another byte.
    fn more(&mut self) -> Result<bool> {
        self.fill_at_most(1)?;
        Ok(self.start < self.end)
    }

    fn varint(&mut self) -> Result<u64> {
        self.fill_at_most(LONGEST_VARINT)?;
        match varint(&self.buffer[self.start..self.end]) {
            Some((value, bytes)) => {
                self.start += bytes;
                Ok(value)
            }
            None => Err(self.refusal("the message is cut short, or is not the expected one")),
        }
    }

    /// Makes so many bytes available.
    fn fill(&mut self, bytes: usize) -> Result<()> {
        self.fill_at_most(bytes)?;
        if self.end - self.start < bytes {
            return Err(self.refusal("the message is cut short"));
        }
        Ok(())
    }

    /// The same unless the file ends before.
    fn fill_at_most(&mut self, bytes: usize) -> Result<()> {
        if self.end - self.start >= bytes {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < bytes {
            match self.file.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::file(&self.path, error)),
            }
        }
        Ok(())
    }
}

/// The first number and its bytes; none if it does not end within ten bytes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(LONGEST_VARINT).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * at as u32).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// Appends the numbers that lie whole in `bytes`, until there are `most`; the bytes taken, or none where a number is not less than
/// `modulus`: those before it have been appended.
fn decode<E: Entry>(bytes: &[u8], entries: &mut Vec<E>, most: usize, modulus: u32) -> Option<usize> {
    let mut at = 0;
    while entries.len() < most {
        let rest = &bytes[at..];
        if let Some(step) = rest.first_chunk::<STEP>()
            && most - entries.len() >= STEP
        {
            let largest = step.iter().fold(0, |largest: u8, byte| largest.max(*byte));
            if u32::from(largest) < modulus.min(0x80) {
                entries.extend(step.iter().map(|byte| E::new(u32::from(*byte)))); // a byte each
                at += STEP;
                continue;
            }
            let taken = decode_step(step, entries, modulus);
            at += taken;
            if taken > 0 {
                continue;
            }
        }
        let Some((value, taken)) = varint(rest) else { break };
        if value >= u64::from(modulus) {
            return None;
        }
        entries.push(E::new(value as u32));
        at += taken;
    }
    Some(at)
}

/// Appends the numbers that lie whole in these bytes; the bytes taken. Takes none, and appends nothing, where something may be wrong.
/// Branches on no byte: numbers of one and of two bytes follow each other at random.
fn decode_step<E: Entry>(bytes: &[u8; STEP], entries: &mut Vec<E>, modulus: u32) -> usize {
    let before = entries.len();
    entries.resize(before + STEP, E::default());
    let target = &mut entries[before..];
    let (mut value, mut shift, mut count) = (0u64, 0u32, 0);
    let (mut largest, mut longest) = (0, 0);
    for byte in bytes {
        value |= u64::from(byte & 0x7f) << shift;
        target[count] = E::new(value as u32);
        let ends = *byte < 0x80;
        largest = largest.max(if ends { value } else { 0 });
        longest = longest.max(shift);
        count += usize::from(ends);
        value = if ends { 0 } else { value };
        shift = if ends { 0 } else { (shift + 7) % 64 };
    }
    let sound = largest < u64::from(modulus) && longest < 35;
    entries.truncate(before + if sound { count } else { 0 });
    if sound { STEP - shift as usize / 7 } else { 0 }
}

/// Writes a message to a new file, which is removed again unless it is finished.
pub struct PackedWriter {
    output: Output,
    message: Message,
}

impl PackedWriter {
    /// Begins a message whose vector will have these entries, in any order.
    pub fn create<E: Entry>(path: &Path, message: Message, entries: &[E]) -> Result<Self> {
        let mut output = Output::create(path)?;
        let mut bytes = Vec::new();
        append_varint(&mut bytes, u64::from(message.entries << 3 | LENGTH));
        append_varint(&mut bytes, entries.chunks(BLOCK).map(E::varint_bytes).sum());
        output.write(&bytes)?;
        Ok(Self { output, message })
    }

    /// Appends encoded entries.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.write(bytes)
    }

    /// Ends the message, with the number of registers if it has one.
    pub fn finish(mut self, register_count: i64) -> Result<()> {
        if let Some(field) = self.message.register_count {
            let mut bytes = Vec::new();
            append_varint(&mut bytes, u64::from(field << 3 | VARINT));
            append_varint(&mut bytes, register_count as u64);
            self.output.write(&bytes)?;
        }
        self.output.finish()
    }
}

/// Some entries as the message has them.
pub(super) fn encoded<E: Entry>(entries: &[E]) -> Entries<u8> {
    let mut bytes = Entries::with_capacity(E::varint_bytes(entries) as usize);
    E::append_varints(entries, &mut bytes);
    bytes
}

/// Writes a whole message without a number of registers.
pub fn write<E: Entry>(path: &Path, entries: &[E], message: Message, work: &Work<'_>) -> Result<()> {
    let mut writer = PackedWriter::create(path, message, entries)?;
    for block in entries.chunks(BLOCK) {
        writer.write(&encoded(block))?;
        work.advance(block.len() as u64)?;
    }
    writer.finish(0)
}

pub(super) fn append_varint(bytes: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}
