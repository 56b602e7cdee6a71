//! What data providers cost at most that make as many sums exceptional as they can. Here they know all keys, every random
//! draw and the point at which blinding begins; in service these are secret, and only the aggregator's sums that decrypt
//! indexes can be aimed at.
//!
//! Points are written as their discrete logarithms.

use p256::Scalar;
use p256::elliptic_curve::PrimeField;
use p256_batch::{CHOICE, Choice, Column, FixedBase, POINT_SIZE, Points, Scalars, SecretScalar, VARIABLE, fix_offset};
use protocols::llv2::{REGISTER_SIZE, blind_registers, join_registers, setup};
use protocols::progress::Progress;
use protocols::randomness::Randomness;
use protocols::sort::DEFAULT_MEMORY;
use protocols::stage::Stage;
use protocols::work::Work;
use std::process::Command;
use std::sync::LazyLock;

const REGISTERS: usize = 1024;
const GROUPS: usize = REGISTERS / 2;
const PACKED: Column = Column { stride: POINT_SIZE, offset: 0 };
/// A register's points: u and e of index, key and count.
type Register = [Scalar; 6];

/// The duchy's key, that of all duchies, and the point at which blinding begins.
const SECRET: u64 = 0x1234_5678_9abc_def1;
const COMPOSITE: u64 = 0xfedc_ba98_7654_3211;
const OFFSET: u64 = 0x0f1e_2d3c_4b5a_6978;
static GENERATOR: LazyLock<FixedBase> = LazyLock::new(FixedBase::generator);

fn scalar(number: u64) -> Scalar {
    Scalar::from(number)
}

/// Numbers that look random.
fn numbers() -> impl Iterator<Item = Scalar> {
    std::iter::successors(Some(scalar(7)), |number| Some(number * number * scalar(0x9e37_79b9_7f4a_7c15) + Scalar::ONE))
}

fn secret(scalar: &Scalar) -> SecretScalar {
    SecretScalar::from_be_bytes(&scalar.to_repr()).unwrap()
}

fn secrets<'a>(scalars: impl IntoIterator<Item = &'a Scalar>) -> Scalars {
    let mut all = Scalars::with_capacity(0);
    scalars.into_iter().for_each(|scalar| all.push(&secret(scalar)));
    all
}

fn points<'a>(logarithms: impl IntoIterator<Item = &'a Scalar>) -> Points {
    GENERATOR.multiply_by_each(&secrets(logarithms))
}

fn encodings<'a>(logarithms: impl IntoIterator<Item = &'a Scalar>) -> Vec<u8> {
    let points = points(logarithms);
    let mut bytes = vec![0; points.len() * POINT_SIZE];
    points.encode_into(&mut bytes, PACKED).unwrap();
    bytes
}

/// Seconds that this process has computed: others on the machine do not count. The least of some.
fn seconds(mut operation: impl FnMut()) -> f64 {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let once = |_| {
        let start = now();
        operation();
        now() - start
    };
    (0..3).map(once).fold(f64::INFINITY, f64::min)
}

fn assert_bounded(what: &str, honest: f64, hostile: f64) {
    let [honest, hostile] = [honest, hostile].map(|seconds| seconds / REGISTERS as f64 * 1e6);
    println!("{:?}, {what}: {honest:.2} us, hostile {hostile:.2} us, {:.2} times", *CHOICE, hostile / honest);
    assert!(hostile <= 3.0 * honest, "{what}: {hostile:.2} us against {honest:.2} us");
}

/// Seconds of a stage with one thread.
fn stage(registers: &[Register], draws: &[Scalar], operation: impl Fn(&Stage<'_>)) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input"), folder.path().join("output"));
    let bytes = encodings(registers.iter().flatten());
    assert_eq!(bytes.len(), registers.len() * REGISTER_SIZE);
    std::fs::write(&input, bytes).unwrap();
    let (inputs, progress) = ([input], Progress::default());
    seconds(|| {
        let randomness = Randomness::replay(secrets(draws), Vec::new());
        let work = Work::new(1, None, &progress).unwrap();
        let stage = Stage {
            inputs: &inputs,
            output: output.clone(),
            randomness: &randomness,
            work,
            sort_memory: DEFAULT_MEMORY,
        };
        operation(&stage);
        std::fs::remove_file(&output).unwrap();
    })
}

fn secret_key() -> Vec<u8> {
    scalar(SECRET).to_repr().to_vec()
}

fn public_key() -> Vec<u8> {
    encodings(&[scalar(COMPOSITE)])
}

fn honest_registers() -> Vec<Register> {
    let mut numbers = numbers();
    (0..REGISTERS).map(|_| std::array::from_fn(|_| numbers.next().unwrap())).collect()
}

/// What blinding by a and b = -a x begins with makes the last sum meet itself in one register of sixteen, so in every batch of
/// points; and the products that are then computed apart are equal in all. Keys and counts are equal to what is added to them.
fn blinding() {
    let (x, y) = (scalar(SECRET), scalar(COMPOSITE));
    let draws: Vec<Scalar> = numbers().skip(100).take(2 + 2 * REGISTERS).collect();
    let a = draws[0];
    let back = -(0..252).fold(scalar(OFFSET), |point, _| point.double());
    let hostile = |(number, drawn): (usize, &[Scalar])| {
        let u = if number % 16 == 5 { -back * (a * x).invert().unwrap() } else { drawn[0] + drawn[1] };
        [u, -x * u, drawn[0], y * drawn[0], drawn[1], y * drawn[1]]
    };
    let hostile: Vec<Register> = draws[2..].chunks(2).enumerate().map(hostile).collect();
    let blind = |registers: &[Register]| {
        stage(registers, &draws, |stage| {
            blind_registers(stage, &secret_key(), &public_key()).unwrap();
        })
    };
    assert_bounded("phase one, worker", blind(&honest_registers()), blind(&hostile));

    let column = |number: usize| hostile.iter().map(move |register| &register[number]);
    let [u, e, p, q] = [0, 1, 2, 5].map(|number| points(column(number)));
    let b = -a * x;
    let combine = |u: &Points, e: &Points| Points::combine(u, e, &secret(&a), &secret(&b));
    let expected: Vec<Scalar> = column(0).zip(column(1)).map(|(u, e)| *e * a + *u * b).collect();
    assert!(!combine(&u, &e).1.equals(&points(&expected)).contains(&false));
    let honest = seconds(|| drop(combine(&p, &q)));
    let hostile_ones = seconds(|| drop(combine(&u, &e)));
    assert_bounded("joint multiplications", honest, hostile_ones);
    assert!(hostile_ones > 1.5 * honest, "no joint multiplication was exceptional: the test aims past it");
    assert_bounded("sums", seconds(|| drop(p.plus(&q))), seconds(|| drop(p.plus(&p))));
    let some = p.gather((0..REGISTERS).map(|place| if place % 16 == 5 { place } else { (place + 1) % REGISTERS }));
    assert_bounded("sums, one in sixteen", seconds(|| drop(p.plus(&q))), seconds(|| drop(p.plus(&some))));
    let validate = |registers: &[Register]| {
        stage(registers, &[], |stage| {
            setup(stage, &[], None, 10, None).unwrap();
        })
    };
    assert_bounded("setup", validate(&honest_registers()), validate(&hostile));
}

/// Groups of two: of index, keys' difference, flag A, counts, and what hides them, each sum meets itself.
fn joining() {
    let (x, y, half) = (scalar(SECRET), scalar(COMPOSITE), scalar(2).invert().unwrap());
    let draws: Vec<Scalar> = numbers().skip(100).take(3 + 5 * GROUPS).collect();
    let mut indexes: Vec<Scalar> = numbers().skip(50).take(GROUPS).collect();
    let order = encodings(&indexes);
    let mut sorted: Vec<usize> = (0..GROUPS).collect();
    sorted.sort_by_key(|group| &order[group * POINT_SIZE..][..POINT_SIZE]);
    indexes = sorted.into_iter().map(|group| indexes[group]).collect();

    let groups = || indexes.iter().zip(draws[3..].chunks(5));
    let hostile = groups().flat_map(|(index, drawn)| {
        let [zero, destructor, factor] = [drawn[0], drawn[1], drawn[2]];
        let (u, e) = (-*index * half * x.invert().unwrap(), *index * half);
        let (key, count) = (-zero * half * destructor.invert().unwrap(), zero * half * factor);
        [[u, e, key, y * key, count, y * count], [u, e, -key, -y * key, count, y * count]]
    });
    let mut randomness = numbers().skip(9);
    let honest = groups().flat_map(|(index, _)| [index, index]).map(|index| {
        let mut register: Register = std::array::from_fn(|_| randomness.next().unwrap());
        register[1] = *index + x * register[0];
        register
    });
    let join = |registers: Vec<Register>| {
        stage(&registers, &draws, |stage| {
            let tuples = join_registers(stage, &secret_key(), &public_key(), 2, None).unwrap();
            assert_eq!(tuples, GROUPS as u64);
        })
    };
    assert_bounded("phase one, aggregator", join(honest.collect()), join(hostile.collect()));
}

/// The choice of a kernel holds for a process, so does the offset: this one starts another for each.
#[test]
fn exceptional_sums_wherever_they_can_be_cost_at_most_three_times() {
    if std::env::var_os(VARIABLE).is_some() {
        fix_offset(points(&[scalar(OFFSET)]).get(0));
        blinding();
        joining();
        return;
    }
    let tests = std::env::current_exe().unwrap();
    for kernel in Choice::available() {
        let status = Command::new(&tests).arg("--nocapture").env(VARIABLE, kernel.name()).status().unwrap();
        assert!(status.success(), "exceptional sums cost too much on the kernel {kernel:?}");
    }
}
