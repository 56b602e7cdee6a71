//! Microseconds of each batch operation, for whoever tunes them: `cargo run --release -p p256-batch --example primitives`.

use p256_batch::{CHOICE, Column, FixedBase, POINT_SIZE, Points, Scalars, SecretScalar, hash_all_to_curve_vartime};
use std::hint::black_box;

const PACKED: Column = Column { stride: POINT_SIZE, offset: 0 };

/// Seconds that this thread has run: others on the machine do not count.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn time<T>(name: &str, items: usize, mut operation: impl FnMut() -> T) {
    let once = |operation: &mut dyn FnMut() -> T| {
        let start = processor_time();
        black_box(operation());
        processor_time() - start
    };
    let best = (0..9).map(|_| once(&mut operation)).fold(f64::INFINITY, f64::min);
    println!("{name:<28} {:8.3} us", best / items as f64 * 1e6);
}

fn main() {
    println!("kernel: {:?}", *CHOICE);
    for count in [64, 512, 2048] {
        println!("{count} points");
        let numbers: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        let p = hash_all_to_curve_vartime(&numbers);
        let mut scalars = Scalars::with_capacity(9 * count);
        for number in 0..9 * count {
            let mut bytes = [0xa5; 32];
            bytes[..8].copy_from_slice(&(number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            bytes[0] &= 0x7f;
            scalars.push(&SecretScalar::from_be_bytes(&bytes).unwrap());
        }
        let (a, b, each) = (scalars.get(0), scalars.get(1), scalars.gather(0..count));
        let base = FixedBase::new(p.get(3));
        let q = p.times(&a);
        let mut bytes = vec![0; count * POINT_SIZE];
        p.encode_into(&mut bytes, PACKED).unwrap();
        time("hash to curve", count, || hash_all_to_curve_vartime(&numbers));
        time("decode", count, || Points::decode(&bytes, PACKED).unwrap());
        time("encode", count, || p.encode_into(&mut bytes.clone(), PACKED).unwrap());
        time("plus", count, || p.plus(&q));
        time("times", count, || p.times(&a));
        time("times each", count, || p.times_each(&each));
        time("combine", count, || Points::combine(&p, &q, &a, &b));
        time("several (9), each", 9 * count, || p.times_several(&scalars, 9));
        time("fixed base", count, || base.multiply_by_each(&each));
        time("scale scalars", count, || each.times_each(&each));
        time("equals", count, || p.equals(&q));
    }
    time("table of a base", 1, || FixedBase::new(p256_batch::Point::generator()));
}
