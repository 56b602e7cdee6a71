//! Share shuffle's primitives against the recorded vectors; no freed buffer holds a seed or a count.

#![allow(unsafe_code)] // an allocator is unsafe to write

use protocols::progress::Progress;
use protocols::randomness::Randomness;
use protocols::share_shuffle::*;
use protocols::work::Work;
use serde_json::Value;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::BufReader;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use zeroize::Zeroizing;

/// A word that must not be found in a freed buffer; 0 is none.
static NEEDLE: AtomicU64 = AtomicU64::new(0);
static FOUND: AtomicUsize = AtomicUsize::new(0);

struct Searching;

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let needle = NEEDLE.load(Relaxed);
        if needle != 0 {
            // SAFETY: the block is still allocated, and was initialised by `alloc`.
            let block = unsafe { std::slice::from_raw_parts(pointer, layout.size()) };
            let found = block.windows(8).any(|word| word == needle.to_ne_bytes());
            FOUND.fetch_add(usize::from(found), Relaxed);
        }
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

fn load(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}.json.xz", env!("CARGO_MANIFEST_DIR"));
    let mut text = Vec::new();
    lzma_rs::xz_decompress(&mut BufReader::new(std::fs::File::open(path).unwrap()), &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<u32> {
    rows(value).iter().map(|number| number.as_u64().unwrap() as u32).collect()
}

fn with_work<T>(threads: i64, operation: impl FnOnce(&Work<'_>) -> T + Send) -> T
where
    T: Send,
{
    let progress = Progress::default();
    let work = Work::new(threads, None, &progress).unwrap();
    operation(&work)
}

/// Values drawn in [0, q), or [1, q), with entries as wide as the modulus needs.
fn drawn(generator: &mut Generator, size: usize, modulus: i64, zero: bool, work: &Work<'_>) -> Vec<u32> {
    fn typed<E: Entry>(generator: &mut Generator, size: usize, q: Modulus, zero: bool, work: &Work<'_>) -> Vec<u32> {
        let mut target = vec![E::default(); size];
        if zero {
            generator.apply(&mut target, Operation::Add, q, work).unwrap();
        } else {
            target.fill(E::new(1));
            generator.apply_nonzero(&mut target, Operation::Multiply, q, work).unwrap();
        }
        target.into_iter().map(Entry::value).collect()
    }
    let q = Modulus::new(modulus).unwrap();
    if modulus <= 256 {
        typed::<u8>(generator, size, q, zero, work)
    } else {
        typed::<u32>(generator, size, q, zero, work)
    }
}

#[test]
fn the_keystream_is_the_recorded_one() {
    for row in rows(&load("hmss_primitives")["prng_bytes"]) {
        let mut generator = Generator::new(&bytes(&row["seed"])).unwrap();
        let fields = ["first_100_bytes", "next_7_bytes", "next_30_bytes", "first_64_bytes_counter_wraps"];
        for expected in fields.iter().filter_map(|field| row.get(*field)).map(bytes) {
            let mut got = vec![0; expected.len()];
            generator.fill(&mut got);
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn values_are_drawn_as_recorded_and_leave_the_stream_there() {
    let recorded = load("hmss_primitives");
    for (table, zero) in [("uniform_range", true), ("nonzero_uniform_range", false)] {
        for row in rows(&recorded[table]) {
            for threads in [1, 2] {
                let (size, modulus) = (row["size"].as_u64().unwrap() as usize, row["modulus"].as_i64().unwrap());
                let mut generator = Generator::new(&bytes(&row["seed"])).unwrap();
                let values = with_work(threads, |work| drawn(&mut generator, size, modulus, zero, work));
                assert_eq!(values, numbers(&row["values"]), "{table}, {size} of {modulus}");
                let mut next = [0; 16];
                generator.fill(&mut next);
                assert_eq!(next.to_vec(), bytes(&row["next_16_bytes"]), "{table}, {size} of {modulus}");
            }
        }
    }
}

#[test]
fn the_stream_goes_on_after_a_call_where_the_specification_says() {
    let prng = &load("formula_examples")["prng"];
    let mut generator = Generator::new(&bytes(&prng["seed_hex"])).unwrap();
    with_work(1, |work| {
        for (first, position) in [
            ("uniform_1000_mod127_first20", "bytes_consumed_after_first"),
            ("second_uniform_1000_first20", "bytes_consumed_after_second"),
        ] {
            let values = drawn(&mut generator, 1000, 127, true, work);
            assert_eq!(values[..20], numbers(&prng[first]));
            assert_eq!(generator.position(), prng[position].as_u64().unwrap());
        }
        let mut next = [0; 48];
        generator.fill(&mut next);
        assert_eq!(next.to_vec(), bytes(&prng["next_48_raw"]));
        for modulus in [3, 5, 33, 97, 128, 127, 200, 251, 256] {
            let example = &prng[format!("uniform_100_mod{modulus}")];
            let mut generator = Generator::new(&bytes(&prng["seed_hex"])).unwrap();
            assert_eq!(drawn(&mut generator, 100, modulus, true, work)[..10], numbers(&example["first10"]));
            assert_eq!(generator.position(), example["consumed"].as_u64().unwrap());
        }
    });
}

#[test]
fn vectors_are_shuffled_as_recorded() {
    for row in rows(&load("hmss_primitives")["shuffle"]) {
        for threads in [1, 3] {
            let mut values: Vec<u32> = (0..row["size"].as_u64().unwrap() as u32).collect();
            with_work(threads, |work| shuffle_vartime(&mut values, &bytes(&row["seed"]), work).unwrap());
            assert_eq!(values, numbers(&row["shuffled_iota"]));
        }
    }
}

#[test]
fn a_long_shuffle_is_the_plain_one_on_any_number_of_threads() {
    const TOTAL: usize = 300_001; // several parts, none of them full at the end
    let seed: Vec<u8> = (0..48).collect();
    let mut expected: Vec<u32> = (0..TOTAL as u32).collect();
    let mut words = vec![0; 16 * TOTAL];
    Generator::new(&seed).unwrap().fill(&mut words);
    for (i, word) in words.chunks_exact(16).take(TOTAL - 1).enumerate() {
        let word = u128::from_le_bytes(word.try_into().unwrap());
        expected.swap(i, i + (word % (TOTAL - i) as u128) as usize);
    }
    for threads in [1, 2, 3] {
        let mut values: Vec<u32> = (0..TOTAL as u32).collect();
        with_work(threads, |work| shuffle_vartime(&mut values, &seed, work).unwrap());
        assert!(values == expected, "{threads} threads");
    }
}

#[test]
fn fewer_than_two_entries_need_no_seed() {
    with_work(1, |work| {
        shuffle_vartime::<u8>(&mut [], &[], work).unwrap();
        shuffle_vartime(&mut [1u8], &[], work).unwrap();
        assert!(shuffle_vartime(&mut [1u8, 2], &[], work).is_err());
    });
}

#[test]
fn freed_buffers_hold_neither_seeds_nor_sums() {
    let folder = tempfile::tempdir().unwrap();
    let seed = |byte: u8| Zeroizing::new(vec![byte; 48]);
    let (seeds, common) = ([seed(0x5a)], seed(0xc3));
    let file = folder.path().join("share");
    let registers = 4000;
    // With the seed's own values every sum is 0x55 (85), and no shuffle hides that.
    let progress = Progress::default();
    let work = Work::new(2, None, &progress).unwrap();
    let modulus = Modulus::new(127).unwrap();
    let mut share = vec![0x55u8; registers];
    Generator::new(&seeds[0]).unwrap().apply(&mut share, Operation::Subtract, modulus, &work).unwrap();
    write(&file, &share, Message::FREQUENCY_VECTOR, &work).unwrap();
    let parameters = Parameters::new(false, 100, 127, "NONE", None, None).unwrap();
    let shares = Shares { files: &[file], seeds: &seeds, register_count: registers as i64 };
    for (name, needle) in [("a seed", [0x5a; 8]), ("the common seed", [0xc3; 8]), ("sums", [0x55; 8])] {
        let output = folder.path().join(name);
        let randomness = Randomness::operating_system();
        FOUND.store(0, Relaxed);
        NEEDLE.store(u64::from_ne_bytes(needle), Relaxed);
        shuffle_phase(&parameters, &shares, &output, &common, Order::First, &randomness, &work).unwrap();
        NEEDLE.store(0, Relaxed);
        assert_eq!(FOUND.load(Relaxed), 0, "{name} left behind");
    }
    // The search does find what is left behind.
    NEEDLE.store(u64::from_ne_bytes([0x55; 8]), Relaxed);
    drop(vec![0x55u8; 16]);
    NEEDLE.store(0, Relaxed);
    assert!(FOUND.load(Relaxed) > 0);
}
