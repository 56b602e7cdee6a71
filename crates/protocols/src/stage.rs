//! What a stage function is given, and what the stages of several protocols have in common.

use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey};
use crate::error::Result;
use crate::files::{Input, Output};
use crate::noise::NoiseRegisters;
use crate::randomness::{Draws, Randomness};
use crate::sort::Sorter;
use crate::work::Work;
use p256_batch::{Column, POINT_SIZE, SecretScalar};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What every stage is given.
pub struct Stage<'a> {
    /// Input files, read in order as one vector.
    pub inputs: &'a [PathBuf],
    /// The file to be made.
    pub output: PathBuf,
    /// Where random draws come from.
    pub randomness: &'a Randomness,
    /// Threads, blocks, progress.
    pub work: Work<'a>,
    /// Bytes of records held for sorting before they are spilled.
    pub sort_memory: u64,
}

impl Stage<'_> {
    /// Changes the input's records and writes them sorted.
    pub(crate) fn transform_sorted<const N: usize>(
        &self,
        input: &mut Input,
        output: &mut Output,
        operation: impl Fn(u64, &mut [u8]) -> Result<()> + Sync,
    ) -> Result<()> {
        let mut sorter = Sorter::<N>::new(input.records(), output.folder(), self.sort_memory)?;
        self.work.expect(input.records());
        self.work.transform(input, operation, |block| sorter.push(block))?;
        self.write_sorted(sorter, output)
    }

    /// Writes the duchy's own registers, those received, and noise, sorted; returns how many. Every point is validated, the
    /// received ones too: further on nobody could tell who sent it. `rewrite` may change the own ones.
    pub(crate) fn mix_registers<const N: usize>(
        &self,
        [own, received]: [&mut Input; 2],
        noise: Option<(&NoiseRegisters, &PublicKey)>,
        draws: &Draws<'_>,
        output: &mut Output,
        rewrite: impl Fn(u64, &mut [u8]) -> Result<()> + Sync,
    ) -> Result<u64> {
        let total = own.records() + received.records() + noise.map_or(0, |(noise, _)| noise.total());
        self.work.expect(total);
        let mut sorter = Sorter::<N>::new(total, output.folder(), self.sort_memory)?;
        self.work.transform(
            own,
            |first, records| {
                validate(records, N)?;
                rewrite(first, records)
            },
            |block| sorter.push(block),
        )?;
        self.work.transform(received, |_, records| validate(records, N), |block| sorter.push(block))?;
        if let Some((noise, key)) = noise {
            noise.write(&self.work, key, draws, |block| sorter.push(block))?;
        }
        self.write_sorted(sorter, output)?;
        Ok(total)
    }

    /// Writes all records of a sorter.
    pub(crate) fn write_sorted<const N: usize>(&self, sorter: Sorter<N>, output: &mut Output) -> Result<()> {
        let mut sorted = self.work.run(|| sorter.sorted())?;
        let records = self.work.block(N);
        let fetch = || {
            let mut block = Vec::with_capacity(records * N);
            for record in sorted.by_ref().take(records) {
                block.extend_from_slice(&record?);
            }
            Ok((!block.is_empty()).then_some(block))
        };
        self.work.pipeline(fetch, Ok, |block| output.write(&block))
    }
}

/// Refuses registers with anything but points.
fn validate(registers: &[u8], size: usize) -> Result<()> {
    let mut offsets = (0..size).step_by(CIPHERTEXT_SIZE);
    offsets.try_for_each(|offset| Ciphertexts::decode(registers, size, offset).map(drop))
}

/// Takes the last layer off every register's index, with which it begins, and makes a row to sort: that point, and then
/// what `fill(position, register, rest of the row)` puts there.
pub(crate) fn decrypt_indexes<const ROW: usize>(
    work: &Work<'_>,
    input: &mut Input,
    secret: &SecretScalar,
    folder: &Path,
    sort_memory: u64,
    fill: impl Fn(u64, &[u8], &mut [u8]) + Sync,
) -> Result<Sorter<ROW>> {
    let mut sorter = Sorter::<ROW>::new(input.records(), folder, sort_memory)?;
    let size = input.record();
    work.read(
        input,
        |first, mut block| {
            work.in_place(first, &mut block, size, |first, registers| {
                let mut rows = Zeroizing::new(vec![0; registers.len() / size * ROW]);
                let indexes = Ciphertexts::decode(registers, size, 0)?.decrypt(secret);
                indexes.encode_into(&mut rows, Column { stride: ROW, offset: 0 })?;
                let pairs = rows.chunks_exact_mut(ROW).zip(registers.chunks_exact(size));
                pairs.zip(first..).for_each(|((row, register), position)| {
                    fill(position, register, &mut row[POINT_SIZE..]);
                });
                Ok(rows)
            })
        },
        |chunks| chunks.iter().try_for_each(|rows| sorter.push(rows)),
    )?;
    Ok(sorter)
}
