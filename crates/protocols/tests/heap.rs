//! The memory of a stage does not grow with its input. Everything is a five-hundredth of what it is in service: the memory
//! for sorting, the blocks, 100,000 and a million registers, and the 16 MiB that the one may take more than the other.

use peak_alloc::PeakAlloc;
use protocols::estimator::Sketch;
use protocols::keys::{combine_public_keys, public_element};
use protocols::llv2::*;
use protocols::noise::RegisterNoise;
use protocols::progress::Progress;
use protocols::randomness::Randomness;
use protocols::reach_only;
use protocols::sketch::{Register, encrypt_reach_only_sketch, encrypt_sketch};
use protocols::sort::DEFAULT_MEMORY;
use protocols::stage::Stage;
use protocols::work::Work;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;
static ALONE: Mutex<()> = Mutex::new(());

const SCALE: u64 = 500;
const FEW: u64 = 100_000 / SCALE;
const MANY: u64 = 1_000_000 / SCALE;
const GROWTH: usize = (16 << 20) / SCALE as usize;
const SECRETS: [&[u8]; 3] = [&[5], &[7], &[11]];
const SKETCHES: i64 = 2;
const MAXIMUM_FREQUENCY: i64 = 3;

/// Runs stages in a folder and keeps the peak of each.
struct Measured<'a> {
    folder: &'a Path,
    randomness: Randomness,
    progress: Progress,
    peaks: BTreeMap<&'static str, usize>,
}

impl<'a> Measured<'a> {
    fn new(folder: &'a Path) -> Self {
        let (randomness, progress) = (Randomness::operating_system(), Progress::default());
        Self { folder, randomness, progress, peaks: BTreeMap::new() }
    }

    fn work(&self) -> Work<'_> {
        Work::new(2, Some(16), &self.progress).unwrap()
    }

    fn encrypt(&self, registers: impl Iterator<Item = u64>, key: &[u8]) {
        let registers = registers.map(|index| Register { index: index as i64, stored_key: 1, frequency: 2 });
        let registers: Vec<_> = registers.collect();
        let output = self.folder.join("registers");
        encrypt_sketch(&registers, &output, key, MAXIMUM_FREQUENCY, &self.randomness, &self.work()).unwrap();
    }

    fn run<T>(&mut self, name: &'static str, input: &str, operation: impl Fn(&Stage<'_>) -> T) -> T {
        let inputs = [self.folder.join(input)];
        let output = self.folder.join(name);
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let (randomness, sort_memory) = (&self.randomness, DEFAULT_MEMORY / SCALE);
        let result = operation(&Stage { inputs: &inputs, output, randomness, work: self.work(), sort_memory });
        self.peaks.insert(name, HEAP.peak_usage() - before);
        result
    }
}

/// The public key of the duchies from `first` on.
fn composite(first: usize) -> Vec<u8> {
    let elements: Vec<_> = SECRETS[first..].iter().map(|secret| public_element(secret).unwrap()).collect();
    combine_public_keys(&elements).unwrap().to_vec()
}

fn noise(group_floor: u64) -> RegisterNoise {
    let budget = protocols::noise::Privacy { epsilon: 1.0, delta: 0.1 };
    RegisterNoise::new("GEOMETRIC".parse().unwrap(), 3, 1, [budget; 3], group_floor).unwrap()
}

/// Every stage of LLv2 with so many registers, each index twice.
fn whole_measurement(registers: u64) -> BTreeMap<&'static str, usize> {
    let folder = tempfile::tempdir().unwrap();
    let mut measured = Measured::new(folder.path());
    let (key, received) = (composite(0), Vec::<PathBuf>::new());
    measured.encrypt((0..registers).map(|register| register / 2), &key);
    let noise = noise(0);
    measured.run("setup", "registers", |stage| {
        setup(stage, &received, Some(&key), MAXIMUM_FREQUENCY, Some(&noise)).unwrap()
    });
    measured.run("one", "setup", |stage| blind_registers(stage, SECRETS[0], &key).unwrap());
    measured.run("two", "one", |stage| blind_registers(stage, SECRETS[1], &key).unwrap());
    let tuples = measured.run("join", "two", |stage| join_registers(stage, SECRETS[2], &key, SKETCHES, None).unwrap());
    assert!(tuples >= registers / 2);
    for (name, input, duchy) in [("three", "join", 0), ("four", "three", 1)] {
        let partial = composite(duchy + 1);
        measured.run(name, input, |stage| decrypt_flags(stage, SECRETS[duchy], &key, &partial, None).unwrap());
    }
    let sketch = Sketch { decay_rate: 12.0, size: 1_000_000, sampling_width: 1.0 };
    let measurement = Measurement { maximum_frequency: MAXIMUM_FREQUENCY, sketch, reach_baseline: None, noise: None };
    let figures = measured.run("reach", "four", |stage| estimate_reach(stage, SECRETS[2], &key, &measurement).unwrap());
    assert!(figures.kept >= registers / 2);
    measured.run("five", "reach", |stage| decrypt_counts(stage, SECRETS[0]).unwrap());
    measured.run("six", "five", |stage| decrypt_counts(stage, SECRETS[1]).unwrap());
    measured.run("frequency", "six", |stage| {
        estimate_frequency(stage.inputs, &stage.work, SECRETS[2], MAXIMUM_FREQUENCY, None).unwrap()
    });
    measured.peaks
}

/// Every stage of the reach-only protocol with so many registers, each index twice.
fn whole_reach_only_measurement(registers: u64) -> BTreeMap<&'static str, usize> {
    let folder = tempfile::tempdir().unwrap();
    let mut measured = Measured::new(folder.path());
    let key = composite(0);
    let indexes: Vec<_> = (0..registers as i64).map(|register| register / 2).collect();
    let output = folder.path().join("registers");
    encrypt_reach_only_sketch(&indexes, &output, &key, &measured.randomness, &measured.work()).unwrap();
    let noise = noise(1);
    let setup =
        |stage: &Stage<'_>, received: &[PathBuf]| reach_only::setup(stage, received, &key, Some(&noise)).unwrap();
    measured.run("setup", "registers", |stage| setup(stage, &[]));
    let received = [folder.path().join("setup")];
    measured.run("merge", "registers", |stage| setup(stage, &received));
    measured.run("one", "merge", |stage| reach_only::blind_registers(stage, SECRETS[0]).unwrap());
    measured.run("two", "one", |stage| reach_only::blind_registers(stage, SECRETS[1]).unwrap());
    let sketch = Sketch { decay_rate: 12.0, size: 1_000_000, sampling_width: 1.0 };
    let measurement = reach_only::Measurement { sketch, reach_baseline: None, noise: Some(&noise) };
    let figures = measured.run("reach", "two", |stage| {
        let Stage { inputs, work, sort_memory, .. } = stage;
        reach_only::estimate_reach(inputs, work, SECRETS[2], &measurement, folder.path(), *sort_memory).unwrap()
    });
    assert!(figures.active >= registers / 2);
    measured.peaks
}

#[test]
fn no_stage_takes_more_memory_for_more_registers() {
    let _alone = ALONE.lock();
    for measurement in [whole_measurement, whole_reach_only_measurement] {
        let (few, many) = (measurement(FEW), measurement(MANY));
        println!("{few:?}\n{many:?}");
        for (name, peak) in many {
            assert!(peak <= few[name] + GROWTH, "{name}: {} bytes of heap, then {peak}", few[name]);
        }
    }
}

#[test]
fn registers_that_all_have_one_index_take_no_more_memory() {
    let _alone = ALONE.lock();
    let join = |registers: u64| {
        let folder = tempfile::tempdir().unwrap();
        let mut measured = Measured::new(folder.path());
        let key = composite(2); // no other duchy's layer is on it, so that the indexes are the same
        measured.encrypt((0..registers).map(|_| 1), &key);
        let tuples =
            measured.run("join", "registers", |stage| join_registers(stage, SECRETS[2], &key, SKETCHES, None).unwrap());
        assert_eq!(tuples, 0, "the group is too large");
        measured.peaks["join"]
    };
    assert!(join(MANY) <= join(FEW) + GROWTH);
}
