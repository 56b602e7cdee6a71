//! What the parts of share shuffle cost: nanoseconds of processor time an entry. `cargo run --release --example shares [ENTRIES [THREADS]]`

use protocols::progress::Progress;
use protocols::share_shuffle::{CHOICE, Generator, Message, Modulus, Operation, PackedReader, shuffle_vartime};
use protocols::work::Work;
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The fastest of a few repetitions: the one that other processes disturbed least.
fn measured(name: &str, entries: usize, mut operation: impl FnMut()) {
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..9 {
        let (cpu, wall) = (processor(), Instant::now());
        operation();
        best = (best.0.min(processor() - cpu), best.1.min(wall.elapsed().as_secs_f64()));
    }
    let each = 1e9 / entries as f64;
    println!("{name:<28}{:>8.2} ns of processor time, {:>8.2} ns", best.0 * each, best.1 * each);
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().expect("a number"));
    let (entries, threads) = (arguments.next().unwrap_or(10_000_000), arguments.next().unwrap_or(1));
    let progress = Progress::default();
    let work = Work::new(threads as i64, None, &progress).expect("threads");
    let modulus = Modulus::new(127).expect("a modulus");
    let mut vector = vec![1u8; entries];
    println!("{:?}, {entries} entries, {threads} threads", *CHOICE);
    work.run(|| {
        measured("keystream, 16 bytes", entries, || {
            let mut generator = Generator::new(&[7; 48]).expect("a seed");
            let mut some = vec![0; 1 << 16];
            (0..entries * 16 / some.len()).for_each(|_| generator.fill(&mut some));
        });
        for operation in [Operation::Add, Operation::Multiply] {
            measured(&format!("{operation:?}"), entries, || {
                let mut generator = Generator::new(&[7; 48]).expect("a seed");
                generator.apply(&mut vector, operation, modulus, &work).expect("not cancelled");
            });
        }
        measured("Multiply, not zero", entries, || {
            let mut generator = Generator::new(&[7; 48]).expect("a seed");
            generator.apply_nonzero(&mut vector, Operation::Multiply, modulus, &work).expect("not cancelled");
        });
        measured("shuffle", entries, || shuffle_vartime(&mut vector, &[7; 48], &work).expect("not cancelled"));
    });
    let folder = std::env::temp_dir();
    let path = folder.join(format!("shares-{}", std::process::id()));
    measured("write", entries, || {
        let _ = std::fs::remove_file(&path);
        protocols::share_shuffle::write(&path, &vector, Message::FREQUENCY_VECTOR, &work).expect("room");
    });
    measured("read", entries, || {
        let mut reader = PackedReader::open(&path, Message::FREQUENCY_VECTOR, modulus).expect("a file");
        while !reader.read::<u8>(1 << 18).expect("a vector").is_empty() {}
    });
    std::fs::remove_file(&path).expect("a file");
}
