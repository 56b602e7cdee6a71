//! Execution phase one, aggregator (LLv2 specification, sections 4.2 and 4.3): registers with one index become one tuple.

use super::merge::{FIRST_GROUP_DRAW, Group, Merge, PER_GROUP, ROW_COUNT, ROW_KEY, ROW_SIZE};
use super::tuple_noise::NoiseTuples;
use super::{COUNT, INDEX, KEY, REGISTER_SIZE, Stage, TUPLE_SIZE, TupleNoise};
use crate::el_gamal::{CIPHERTEXT_SIZE, Ciphertexts, PublicKey, secret_key};
use crate::error::{Result, require};
use crate::files::{Input, Output};
use crate::sort::Sorter;
use crate::work::Work;
use p256_batch::{Column, POINT_SIZE, SecretScalar};

/// Joins the registers by index, drops groups of more members than there are sketches, adds noise, sorts.
pub fn join_registers(
    stage: &Stage<'_>,
    secret: &[u8],
    public_key: &[u8],
    sketches: i64,
    noise: Option<&TupleNoise>,
) -> Result<u64> {
    require!(sketches >= 1, "sketches: {sketches}, at least 1 is needed");
    let (secret, public_key) = (secret_key(secret)?, PublicKey::decode(public_key, "composite public key")?);
    let mut input = Input::open(stage.inputs, REGISTER_SIZE, "combined register vector")?;
    let registers = input.records();
    let draws = stage.randomness.begin()?;
    let counts = noise.map(|noise| noise.draw(&draws)).transpose()?;
    let added = noise.map_or(0, TupleNoise::total);
    stage.work.expect(2 * registers + added); // every register is met twice
    let mut output = Output::create(&stage.output)?;
    let rows = decrypt_indexes(stage, &mut input, &secret, &output)?;

    let at_most = registers + added;
    let mut sorter = Sorter::<TUPLE_SIZE>::new(at_most, output.folder(), stage.sort_memory)?;
    let merge = Merge::new(&public_key, &draws)?;
    let emit = |rows: &[u8], groups: &[Group]| {
        merge.tuples(&stage.work, rows, groups)?.iter().try_for_each(|tuples| sorter.push(tuples))
    };
    let mut collector = Collector::new(sketches as u64, stage.work.block, emit);
    let joined = stage.work.run(|| rows.drain(|rows| collector.push(rows, &stage.work)));
    let (groups, mut position) =
        joined.and_then(|()| collector.finish()).map_err(|error| input.refusal_of_some(error))?;
    let mut tuples = groups;
    if let Some(counts) = counts {
        let noise = NoiseTuples::new(counts, position);
        tuples += noise.total();
        position = noise.write(&stage.work, &public_key, &public_key, &draws, |block| sorter.push(block))?;
    }
    draws.finish(position)?;
    stage.write_sorted(sorter, &mut output)?;
    output.finish()?;
    Ok(tuples)
}

/// Takes the last layer off every index and turns each register into a row to sort.
fn decrypt_indexes(
    stage: &Stage<'_>,
    input: &mut Input,
    secret: &SecretScalar,
    output: &Output,
) -> Result<Sorter<ROW_SIZE>> {
    let mut sorter = Sorter::<ROW_SIZE>::new(input.records(), output.folder(), stage.sort_memory)?;
    stage.work.read(input, |first, mut block| {
        let rows = stage.work.in_place(first, &mut block, REGISTER_SIZE, |first, registers| {
            let mut rows = vec![0; registers.len() / REGISTER_SIZE * ROW_SIZE];
            let indexes = Ciphertexts::decode(registers, REGISTER_SIZE, INDEX)?.decrypt(secret);
            indexes.encode_into(&mut rows, Column { stride: ROW_SIZE, offset: 0 })?;
            for ((row, register), position) in
                rows.chunks_exact_mut(ROW_SIZE).zip(registers.chunks_exact(REGISTER_SIZE)).zip(first..)
            {
                row[POINT_SIZE..ROW_KEY].copy_from_slice(&position.to_be_bytes());
                row[ROW_KEY..ROW_COUNT].copy_from_slice(&register[KEY..KEY + CIPHERTEXT_SIZE]);
                row[ROW_COUNT..].copy_from_slice(&register[COUNT..]);
            }
            Ok(rows)
        })?;
        rows.iter().try_for_each(|rows| sorter.push(rows))
    })?;
    Ok(sorter)
}

/// Finds the groups in sorted rows, forgets those that are too large, and emits the others in batches.
struct Collector<F> {
    limit: u64,
    batch: usize,
    emit: F,
    rows: Vec<u8>,
    groups: Vec<Group>,
    members: u64,
    emitted: u64,
    next_draw: u64,
}

impl<F: FnMut(&[u8], &[Group]) -> Result<()>> Collector<F> {
    fn new(limit: u64, batch: usize, emit: F) -> Self {
        let (rows, groups) = (Vec::new(), Vec::new());
        Self { limit, batch, emit, rows, groups, members: 0, emitted: 0, next_draw: FIRST_GROUP_DRAW }
    }

    fn push(&mut self, rows: &[u8], work: &Work<'_>) -> Result<()> {
        for block in rows.chunks(work.block * ROW_SIZE) {
            for row in block.chunks_exact(ROW_SIZE) {
                self.push_row(row)?;
            }
            work.advance((block.len() / ROW_SIZE) as u64)?;
        }
        Ok(())
    }

    fn push_row(&mut self, row: &[u8]) -> Result<()> {
        let open = self.open_group();
        if self.members > 0 && self.rows[open..open + POINT_SIZE] != row[..POINT_SIZE] {
            self.close()?;
        }
        self.members += 1;
        if self.members <= self.limit {
            self.rows.extend_from_slice(row); // of a group that is too large, as many as the limit are held until it ends
        }
        Ok(())
    }

    /// Where the rows of the group that is being read start.
    fn open_group(&self) -> usize {
        self.groups.last().map_or(0, |group| (group.first + group.members) * ROW_SIZE)
    }

    fn close(&mut self) -> Result<()> {
        let first = self.open_group();
        if self.members > self.limit {
            self.rows.truncate(first);
        } else if self.members > 0 {
            self.groups.push(Group { first: first / ROW_SIZE, members: self.members as usize, draw: self.next_draw });
            self.next_draw += self.members + PER_GROUP;
        }
        self.members = 0;
        if self.rows.len() >= self.batch * ROW_SIZE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        (self.emit)(&self.rows, &self.groups)?;
        self.emitted += self.groups.len() as u64;
        self.rows.clear();
        self.groups.clear();
        Ok(())
    }

    /// The number of groups emitted, and the position after the last draw.
    fn finish(mut self) -> Result<(u64, u64)> {
        self.close()?;
        self.flush()?;
        Ok((self.emitted, self.next_draw))
    }
}
