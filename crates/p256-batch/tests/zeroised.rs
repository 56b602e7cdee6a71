//! No buffer that is freed has a secret in it: an allocator looks at every one.

#![allow(unsafe_code)] // an allocator is unsafe to write

use p256_batch::{Column, FixedBase, POINT_SIZE, Points, Scalars, SecretScalar, hash_all_to_curve_vartime};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Words that must not be found; 0 is none.
static NEEDLES: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
static FOUND: AtomicUsize = AtomicUsize::new(0);

struct Searching;

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { System.alloc_zeroed(layout) } // what was there before is nobody's fault here
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the block is still allocated, and was initialised by `alloc`.
        let block = unsafe { std::slice::from_raw_parts(pointer, layout.size()) };
        for word in block.chunks_exact(8) {
            let word = u64::from_ne_bytes(word.try_into().unwrap());
            if word != 0 && NEEDLES.iter().any(|needle| needle.load(Relaxed) == word) {
                FOUND.fetch_add(1, Relaxed);
            }
        }
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

/// How often one of these words was freed while the operation ran.
fn freed<T>(words: &[u64], operation: impl FnOnce() -> T) -> usize {
    FOUND.store(0, Relaxed);
    words.iter().zip(&NEEDLES).for_each(|(word, needle)| needle.store(*word, Relaxed));
    drop(operation());
    NEEDLES.iter().for_each(|needle| needle.store(0, Relaxed));
    FOUND.load(Relaxed)
}

/// The limbs of the coordinate x as points keep it: no byte order of an encoding.
fn limbs(points: &Points, position: usize) -> Vec<u64> {
    let encoding = points.get(position).encode().unwrap();
    encoding[1..].chunks_exact(8).map(|limb| u64::from_be_bytes(limb.try_into().unwrap())).collect()
}

fn scalars(count: usize) -> Scalars {
    let mut all = Scalars::with_capacity(count);
    for number in 0..count {
        let mut bytes = [0x5a; 32];
        bytes[24..].copy_from_slice(&(number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        all.push(&SecretScalar::from_be_bytes(&bytes).unwrap());
    }
    all
}

#[test]
fn freed_buffers_hold_neither_scalars_nor_points() {
    const COUNT: usize = 40;
    let texts: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    let (points, each, several) = (hash_all_to_curve_vartime(&texts), scalars(COUNT), scalars(3 * COUNT));
    let (one, other, base) = (each.get(0), each.get(1), FixedBase::generator());
    let others = points.times(&other);
    let marked = [true; COUNT];
    type Operation<'a> = Box<dyn Fn() -> Points + 'a>;
    let operations: [(&str, Operation<'_>); 8] = [
        ("times", Box::new(|| points.times(&one))),
        ("times each", Box::new(|| points.times_each(&each))),
        ("times several", Box::new(|| points.times_several(&several, 3))),
        ("combine", Box::new(|| Points::combine(&points, &others, &one, &other).1)),
        ("fixed base", Box::new(|| base.multiply_by_each(&each))),
        ("plus", Box::new(|| points.plus(&others))),
        ("select each", Box::new(|| others.select_each(&[7; COUNT]))),
        ("replaced where", Box::new(|| points.clone().replaced_where(&marked, others.get(3)))),
    ];
    for (name, operation) in &operations {
        let result = operation();
        let needles: Vec<u64> = [2, COUNT - 1].into_iter().flat_map(|position| limbs(&result, position)).collect();
        drop(result);
        assert_eq!(freed(&needles, operation), 0, "{name} leaves points behind");
        assert_eq!(freed(&[0x5a5a_5a5a_5a5a_5a5a], operation), 0, "{name} leaves scalars behind");
    }
    // The search does find what is left behind.
    let bytes = || {
        let mut bytes = vec![0; COUNT * POINT_SIZE];
        others.encode_into(&mut bytes, Column { stride: POINT_SIZE, offset: 0 }).unwrap();
        let words: Vec<u64> = limbs(&others, 0);
        (bytes, words)
    };
    assert!(freed(&limbs(&others, 0), bytes) > 0);
}
