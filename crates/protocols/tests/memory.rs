//! Stages whose records do not fit the memory for sorting give the same bytes.

use p256_batch::{Column, FixedBase, POINT_SIZE, Scalars, SecretScalar};
use protocols::estimator::Sketch;
use protocols::llv2::{REGISTER_SIZE, join_registers, setup};
use protocols::progress::Progress;
use protocols::randomness::Randomness;
use protocols::reach_only::{Measurement, estimate_reach};
use protocols::stage::Stage;
use protocols::work::Work;
use std::path::{Path, PathBuf};

/// Registers of distinct points; every third repeats the index ciphertext of the one before.
fn registers(count: usize) -> Vec<u8> {
    let mut scalars = Scalars::with_capacity(6 * count);
    for number in 1..=6 * count as u32 {
        scalars.push(&SecretScalar::from_be_bytes(&number.to_be_bytes()).unwrap());
    }
    let mut bytes = vec![0; count * REGISTER_SIZE];
    let points = FixedBase::generator().multiply_by_each(&scalars);
    points.encode_into(&mut bytes, Column { stride: POINT_SIZE, offset: 0 }).unwrap();
    for register in (2..count).step_by(3) {
        bytes
            .copy_within((register - 1) * REGISTER_SIZE..(register - 1) * REGISTER_SIZE + 66, register * REGISTER_SIZE);
    }
    bytes
}

fn with_memory(folder: &Path, sort_memory: u64, run: impl Fn(&Stage<'_>) -> u64) -> (u64, Vec<u8>) {
    let (randomness, progress) = (Randomness::operating_system(), Progress::default());
    let work = Work::new(2, Some(50), &progress).unwrap();
    let output = folder.join(format!("output {sort_memory}"));
    let inputs = [folder.join("input")];
    let records = run(&Stage { inputs: &inputs, output: output.clone(), randomness: &randomness, work, sort_memory });
    assert_eq!(std::fs::read_dir(folder).unwrap().filter(|entry| entry.as_ref().unwrap().path() != output).count(), 1);
    let bytes = std::fs::read(&output).unwrap();
    std::fs::remove_file(output).unwrap();
    (records, bytes)
}

#[test]
fn the_setup_phase_sorts_alike_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("input"), registers(200)).unwrap();
    let received: [PathBuf; 0] = [];
    let run = |stage: &Stage<'_>| setup(stage, &received, None, 2, None).unwrap();
    let expected = with_memory(folder.path(), 1 << 20, run);
    assert!(expected.1.chunks(REGISTER_SIZE).is_sorted());
    assert_eq!(with_memory(folder.path(), 5_000, run), expected);
}

#[test]
fn the_join_finds_the_same_groups_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("input"), registers(99)).unwrap();
    let key = protocols::keys::public_element(&[77]).unwrap();
    let run = |sketches: i64| move |stage: &Stage<'_>| join_registers(stage, &[77], &key, sketches, None).unwrap();
    for (sketches, groups) in [(1, 33), (2, 66)] {
        assert_eq!(with_memory(folder.path(), 1 << 20, run(sketches)).0, groups);
        assert_eq!(with_memory(folder.path(), 3_000, run(sketches)).0, groups);
    }
}

#[test]
fn the_reach_only_protocol_counts_alike_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut blob = registers(99);
    let zero = [1, 77].map(|secret| protocols::keys::public_element(&[secret]).unwrap());
    blob.extend(zero.as_flattened());
    std::fs::write(folder.path().join("input"), blob).unwrap();
    let sketch = Sketch { decay_rate: 12.0, size: 1_000_000, sampling_width: 1.0 };
    let measurement = Measurement { sketch, reach_baseline: None, noise: None };
    let run = |stage: &Stage<'_>| {
        std::fs::write(&stage.output, "").unwrap(); // this stage writes nothing itself
        let Stage { inputs, work, sort_memory, .. } = stage;
        estimate_reach(inputs, work, &[77], &measurement, folder.path(), *sort_memory).unwrap().distinct
    };
    for sort_memory in [1 << 20, 1_000] {
        assert_eq!(with_memory(folder.path(), sort_memory, run).0, 3 * 99 - 33);
    }
}
