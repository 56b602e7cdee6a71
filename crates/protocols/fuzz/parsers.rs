//! What is done with bytes from outside, a function each. None may panic, whatever the bytes.
//!
//! Both the targets of cargo-fuzz and the test `fuzz` call them, the latter on records of which some points are valid.

use protocols::estimator::Sketch;
use protocols::keys::{check_point, combine_public_keys, public_element};
use protocols::llv2::*;
use protocols::noise::{Mechanism, Privacy, RegisterNoise};
use protocols::progress::Progress;
use protocols::randomness::Randomness;
use protocols::reach_only;
use protocols::share_shuffle;
use protocols::stage::Stage;
use protocols::work::Work;
use std::path::Path;
use std::sync::LazyLock;

/// The secret of the stages' duchy. With so small a one, points that decrypt to infinity are easily made.
pub const SECRET: &[u8] = &[1];
static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| public_element(SECRET).unwrap().to_vec());
static NOISE: LazyLock<RegisterNoise> = LazyLock::new(|| {
    let budget = Privacy { epsilon: 1.0, delta: 1.0 };
    RegisterNoise::new(Mechanism::Geometric, 3, 2, [budget; 3], 1).unwrap()
});
const MAXIMUM_FREQUENCY: i64 = 4;

/// Runs a stage on a file of these bytes; either it refuses them and leaves no output, or there is one.
fn run<T>(bytes: &[u8], stage: impl Fn(Stage<'_>) -> protocols::error::Result<T>) {
    let folder = tempfile::tempdir().unwrap();
    let inputs = [folder.path().join("input")];
    let output = folder.path().join("output");
    std::fs::write(&inputs[0], bytes).unwrap();
    let (randomness, progress) = (Randomness::operating_system(), Progress::default());
    let work = Work::new(1, Some(3), &progress).unwrap();
    let sort_memory = 2 * TUPLE_SIZE as u64;
    let result = stage(Stage { inputs: &inputs, output: output.clone(), randomness: &randomness, work, sort_memory });
    assert_eq!(result.is_ok(), output.exists());
}

/// A requisition of a data provider, in the setup phase.
pub fn sketch(bytes: &[u8]) {
    run(bytes, |stage| setup(&stage, &[], None, MAXIMUM_FREQUENCY, None));
}

/// Registers from another duchy, in each phase that takes some.
pub fn register_vector(bytes: &[u8]) {
    run(bytes, |stage| setup(&Stage { inputs: &[], ..stage }, stage.inputs, None, MAXIMUM_FREQUENCY, None));
    run(bytes, |stage| blind_registers(&stage, SECRET, &KEY));
    run(bytes, |stage| join_registers(&stage, SECRET, &KEY, 2, None));
}

/// Tuples from another duchy.
pub fn tuple_vector(bytes: &[u8]) {
    run(bytes, |stage| decrypt_flags(&stage, SECRET, &KEY, &KEY, None));
    run(bytes, |stage| {
        let sketch = Sketch { decay_rate: 12.0, size: 1000, sampling_width: 1.0 };
        let maximum_frequency = MAXIMUM_FREQUENCY;
        let measurement = Measurement { maximum_frequency, sketch, reach_baseline: None, noise: None };
        estimate_reach(&stage, SECRET, &KEY, &measurement)
    });
}

/// A matrix from another duchy.
pub fn matrix_vector(bytes: &[u8]) {
    run(bytes, |stage| decrypt_counts(&stage, SECRET));
    run(bytes, |stage| {
        estimate_frequency(stage.inputs, &stage.work, SECRET, MAXIMUM_FREQUENCY, None)?;
        std::fs::write(&stage.output, "").unwrap(); // this stage writes nothing itself
        Ok(())
    });
}

/// A requisition of a data provider in the reach-only protocol.
pub fn reach_only_sketch(bytes: &[u8]) {
    run(bytes, |stage| reach_only::setup(&stage, &[], &KEY, None));
}

/// A blob from another duchy in the reach-only protocol: registers, then the excessive noise.
pub fn reach_only_blob(bytes: &[u8]) {
    run(bytes, |stage| reach_only::setup(&Stage { inputs: &[], ..stage }, stage.inputs, &KEY, None));
    run(bytes, |stage| reach_only::blind_registers(&stage, SECRET));
    run(bytes, |stage| {
        let sketch = Sketch { decay_rate: 12.0, size: 1000, sampling_width: 1.0 };
        let measurement = reach_only::Measurement { sketch, reach_baseline: None, noise: Some(&NOISE) };
        let Stage { inputs, work, sort_memory, .. } = &stage;
        reach_only::estimate_reach(inputs, work, SECRET, &measurement, Path::new("."), *sort_memory)?;
        std::fs::write(&stage.output, "").unwrap(); // this stage writes nothing itself
        Ok(())
    });
}

/// A share of a data provider, in the shuffle phase; and what a worker sends, in the aggregation phase.
pub fn share_vector(bytes: &[u8]) {
    for modulus in [5, 251, 65_537] {
        let parameters = share_shuffle::Parameters::new(true, 2, modulus, "NONE", None, None).unwrap();
        for register_count in [1, 5] {
            run(bytes, |stage| {
                let shares = share_shuffle::Shares { files: stage.inputs, seeds: &[], register_count };
                let (seed, first) = ([7; share_shuffle::SEED_SIZE], share_shuffle::Order::First);
                let (output, randomness) = (&stage.output, stage.randomness);
                share_shuffle::shuffle_phase(&parameters, &shares, output, &seed, first, randomness, &stage.work)
            });
        }
        run(bytes, |stage| {
            let inputs = [stage.inputs[0].clone(), stage.inputs[0].clone()];
            share_shuffle::aggregate(&parameters, &inputs, 2, 1.0, &stage.work)?;
            std::fs::write(&stage.output, "").unwrap(); // this stage writes nothing itself
            Ok(())
        });
    }
}

/// Elements of public keys: one, and two to be combined.
pub fn public_key(bytes: &[u8]) {
    if let Ok(point) = check_point(bytes) {
        assert_eq!(check_point(&point).unwrap(), point);
    }
    let _ = combine_public_keys(&[bytes]);
    let _ = combine_public_keys(&[bytes, &KEY]);
    let _ = combine_public_keys(&[&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2..]]);
    run(&[], |stage| blind_registers(&stage, SECRET, bytes));
}

/// A secret scalar.
pub fn scalar(bytes: &[u8]) {
    if let Ok(element) = public_element(bytes) {
        assert_eq!(check_point(&element).unwrap(), element);
    }
    run(&[], |stage| decrypt_counts(&stage, bytes));
}
