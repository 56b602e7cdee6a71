//! Execution phase one, aggregator (LLv2 specification, sections 4.2 and 4.3): registers with one index become one tuple.

use super::merge::{FIRST_GROUP_DRAW, Group, Merge, PER_GROUP, ROW_KEY, ROW_SIZE};
use super::tuple_noise::NoiseTuples;
use super::{KEY, REGISTER_SIZE, TUPLE_SIZE, TupleNoise};
use crate::el_gamal::{PublicKey, secret_key};
use crate::error::{Result, require};
use crate::files::{Input, Output};
use crate::sort::{Sorted, Sorter};
use crate::stage::{Stage, decrypt_indexes};
use crate::work::Work;
use p256_batch::POINT_SIZE;
use std::iter::Peekable;
use zeroize::Zeroizing;

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
    let folder = output.folder();
    let rows = decrypt_indexes::<ROW_SIZE>(&stage.work, &mut input, &secret, folder, stage.sort_memory, fill_row)?;

    let at_most = registers + added;
    let mut sorter = Sorter::<TUPLE_SIZE>::new(at_most, output.folder(), stage.sort_memory)?;
    let merge = Merge::new(&public_key, &draws)?;
    let rows = stage.work.run(|| rows.sorted())?.peekable();
    let mut groups = Groups { rows, limit: sketches as u64, draw: FIRST_GROUP_DRAW, emitted: 0 };
    let joined = stage.work.pipeline(
        || groups.batch(&stage.work),
        |batch| merge.tuples(&stage.work, &batch.rows, &batch.groups),
        |chunks| chunks.iter().try_for_each(|tuples| sorter.push(tuples)),
    );
    joined.map_err(|error| input.refusal_of_some(error))?;
    let (mut tuples, mut position) = (groups.emitted, groups.draw);
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

/// What a row has besides its index.
fn fill_row(position: u64, register: &[u8], rest: &mut [u8]) {
    let (place, ciphertexts) = rest.split_at_mut(ROW_KEY - POINT_SIZE);
    place.copy_from_slice(&position.to_be_bytes());
    ciphertexts.copy_from_slice(&register[KEY..]);
}

/// The groups of sorted rows that are not too large.
struct Groups {
    rows: Peekable<Sorted<ROW_SIZE>>,
    limit: u64,
    /// Where the draws of the group that comes next start.
    draw: u64,
    emitted: u64,
}

struct Batch {
    rows: Zeroizing<Vec<u8>>,
    groups: Vec<Group>,
}

impl Groups {
    /// Groups of about a block of rows; none when there are no more.
    fn batch(&mut self, work: &Work<'_>) -> Result<Option<Batch>> {
        let records = work.block(ROW_SIZE);
        let room = records + records.min(self.limit as usize); // a vector that grows would leave copies behind
        let mut batch = Batch { rows: Zeroizing::new(Vec::with_capacity(room * ROW_SIZE)), groups: Vec::new() };
        while batch.rows.len() < records * ROW_SIZE {
            let Some(first) = self.rows.next().transpose()? else { break };
            let same_index = |row: &[u8; ROW_SIZE]| row[..POINT_SIZE] == first[..POINT_SIZE];
            let start = batch.rows.len();
            batch.rows.extend_from_slice(&first);
            let mut members = 1;
            while let Some(row) = self.rows.next_if(|row| row.as_ref().is_ok_and(same_index)) {
                members += 1;
                if members <= self.limit {
                    batch.rows.extend_from_slice(&row?); // as many as the limit are held until the group ends
                }
            }
            work.advance(members)?;
            if members > self.limit {
                batch.rows.truncate(start);
            } else {
                batch.groups.push(Group { first: start / ROW_SIZE, members: members as usize, draw: self.draw });
                self.draw += members + PER_GROUP;
            }
        }
        self.emitted += batch.groups.len() as u64;
        Ok((!batch.groups.is_empty()).then_some(batch))
    }
}
